//! Q1 to Q3: central testing of uniformity as optimal transport.

use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Figure, Scale, SeedTree, Series, Table,
    Value,
};
use septet_core::stats;
use serde::{Deserialize, Serialize};

use crate::aggregate::CountMatrix;
use crate::attack::{Adaptive, Adversary, Aim, EmdQuantile, EmdSorted, ThresholdWalk, attack};
use crate::distribution::{MultinomialSampler, Pmf};
use crate::parameter::Gamma;
use crate::simulate::{central, sample_counts};
use crate::testing::{ClassicalTest, ExactPmf, IdentityTest, Statistic};
use crate::theory::kantorovich::{critical_distance, hidden_by};

use super::{DERIVED, seeds};

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if cx.wants("Q1") {
        formulas(cx)?;
    }
    if cx.wants("Q2") {
        executed(cx)?;
    }
    if cx.wants("Q3") {
        false_alarms(cx)?;
    }
    Ok(())
}

/// A setting of the formulas.
#[derive(Clone, Copy, Serialize)]
struct Point {
    samples: f64,
    symbols: f64,
    gamma: f64,
}

/// What liars hide, and from where the test separates.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Distances {
    hidden: f64,
    critical: f64,
}

const GAMMA_STEPS: [f64; 4] = [1.0, 2.0, 4.0, 8.0];

fn formulas(cx: &mut Context) -> Result<(), ExperimentError> {
    let point = |samples, symbols, gamma| Point {
        samples,
        symbols,
        gamma,
    };
    let sparse = GAMMA_STEPS.map(|step| point(4e3, 4e4, 1e-3 * step));
    let dense = GAMMA_STEPS.map(|step| point(4e6, 4e4, 2e-5 * step));
    let far = GAMMA_STEPS.map(|step| point(2e6, 200.0, 1e-2 * step));
    let by_samples = GAMMA_STEPS.map(|step| point(8e6 * step, 4e4, 2e-5));
    let by_symbols = GAMMA_STEPS.map(|step| point(3e7, 2e4 * step, 2e-5));
    let points: Vec<Point> = [sparse, dense, far, by_samples, by_symbols].concat();
    let distances = cx.cells("transport formulas", &points, |point, _| {
        Ok(Distances {
            hidden: hidden_by(point.gamma, point.samples, point.symbols),
            critical: critical_distance(point.gamma, point.samples, point.symbols),
        })
    })?;
    let part = |index: usize| &distances[4 * index..4 * index + 4];
    let slope = |part: &[Distances], x: &dyn Fn(usize) -> f64| {
        let points: Vec<(f64, f64)> = part
            .iter()
            .enumerate()
            .map(|(i, distances)| (x(i), distances.hidden))
            .collect();
        stats::log_log_slope(&points, 0.95).map_or(f64::NAN, |slope| slope.exponent)
    };
    let steps = |i: usize| GAMMA_STEPS[i];
    let mut claim = |id: &str, statement: &str, expected: Expected, value: f64| {
        cx.claim(id, statement)
            .paper_ref("central identity testing, earth mover's distance")
            .scale(Scale::Analytic)
            .expect(expected)
            .source(DERIVED)
            .measured(Estimate::exact(value, ""));
    };
    claim(
        "Q1.sparse",
        "With far more symbols than samples the hidden distance grows as gamma^(1/2)",
        Expected::near(0.5, 0.01),
        slope(part(0), &steps),
    );
    claim(
        "Q1.dense",
        "With far more samples than symbols it grows as gamma^(1/2) while it is small",
        Expected::near(0.5, 0.01),
        slope(part(1), &steps),
    );
    claim(
        "Q1.samples",
        "With far more samples than symbols it falls as n^(-1/4)",
        Expected::near(-0.25, 0.01),
        slope(part(3), &steps),
    );
    claim(
        "Q1.symbols",
        "and grows as k^(1/4)",
        Expected::near(0.25, 0.01),
        slope(part(4), &steps),
    );
    let coefficient = |index: usize| {
        let point = dense[index];
        part(1)[index].hidden / (point.symbols * point.gamma.powi(2) / point.samples).powf(0.25)
    };
    claim(
        "Q1.coefficient",
        "with the coefficient (pi / 2)^(1/4)",
        Expected::near(1.12, 0.02),
        coefficient(0),
    );
    for (index, name) in ["sparse", "dense"].into_iter().enumerate() {
        for (end, at) in [("least", 0), ("most", 3)] {
            let Distances { hidden, critical } = part(index)[at];
            claim(
                &format!("Q1.ratio.{name}.{end}"),
                &format!(
                    "The total variation test separates from sqrt(2) times what one-sided liars \
                     hide: {name} setting, {end} gamma"
                ),
                Expected::Between(1.40, 1.43),
                critical / hidden,
            );
        }
    }
    let mut table = Table::new(
        "What liars hide and where the robust test separates, by formula",
        [
            Column::integer("n"),
            Column::integer("k"),
            Column::number("gamma", 5),
            Column::number("hidden", 4),
            Column::number("critical", 4),
            Column::number("ratio", 2),
        ],
    );
    for (point, distances) in points.iter().zip(&distances).take(12) {
        table.push([
            Value::from(point.samples),
            Value::from(point.symbols),
            Value::from(point.gamma),
            Value::from(distances.hidden),
            Value::from(distances.critical),
            Value::from(distances.critical / distances.hidden),
        ]);
    }
    cx.table(table);
    Ok(())
}

const SAMPLES: u64 = 200_000;
const SYMBOLS: usize = 2_000;
const GAMMA: f64 = 0.005;
const LEVEL: f64 = 0.05;

/// Data from an alternative at some part of the critical distance; 0 is the null hypothesis.
#[derive(Clone, Copy, Debug, Serialize)]
struct Executed {
    of_critical: f64,
    attack: Attack,
    gamma: f64,
    batch: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
enum Attack {
    None,
    Quantile,
    Sorted,
    Walk,
}

impl Attack {
    const REAL: [Self; 3] = [Self::Quantile, Self::Sorted, Self::Walk];

    fn adversary(self, aim: Aim, alpha: f64, target: &Pmf, uniform: &Pmf) -> Box<dyn Adaptive> {
        match self {
            Self::Quantile => Box::new(EmdQuantile { aim, alpha }),
            Self::Sorted => Box::new(EmdSorted {
                target: target.clone(),
            }),
            Self::None | Self::Walk => Box::new(ThresholdWalk {
                aim,
                reference: uniform.clone(),
            }),
        }
    }
}

fn null_test(seed: &SeedTree) -> Result<IdentityTest, ExperimentError> {
    let reference = ExactPmf::uniform(SYMBOLS)?;
    Ok(IdentityTest::exact(
        reference,
        SAMPLES,
        1_999,
        &seed.child("test"),
    )?)
}

/// How many of `runs` data sets the robust test rejects.
fn rejections(
    cell: &Executed,
    runs: u64,
    test: &IdentityTest,
    seed: &SeedTree,
) -> Result<u64, ExperimentError> {
    let gamma = Gamma::new(cell.gamma)?;
    let alpha = cell.of_critical * critical_distance(GAMMA, SAMPLES as f64, SYMBOLS as f64);
    let matrix = central(SYMBOLS)?;
    let uniform = Pmf::uniform(SYMBOLS)?;
    let mut rng = seed.rng();
    let mut rejected = 0;
    for _ in 0..runs {
        let far = Pmf::paninski(SYMBOLS, alpha, &mut rng)?;
        // Under the null hypothesis liars feign an alternative beyond the critical distance.
        let (aim, truth, target, feigned) = if alpha > 0.0 {
            (Aim::Hide, &far, &uniform, alpha)
        } else {
            (Aim::FalseAlarm, &uniform, &far, 0.05)
        };
        let mut counts = sample_counts(&matrix, truth, SAMPLES, &mut rng)?;
        if cell.attack != Attack::None {
            let adversary = cell.attack.adversary(aim, feigned, target, &uniform);
            let mut adversary = Adversary::Adaptive(adversary);
            counts = attack(&matrix, &counts, &mut adversary, gamma, &mut rng)?.counts;
        }
        let report = test.run(counts.counts(), gamma, LEVEL)?;
        rejected += u64::from(report.robust_p_value <= LEVEL);
    }
    Ok(rejected)
}

/// The rate of successes with Wilson's interval.
fn rate(successes: u64, trials: u64) -> Estimate {
    let value = successes as f64 / trials as f64;
    match stats::wilson(successes, trials, 0.95) {
        Some(interval) => Estimate::with_interval(value, interval, trials as usize, ""),
        None => Estimate::single(value, ""),
    }
}

const BATCHES: u64 = 4;

fn executed(cx: &mut Context) -> Result<(), ExperimentError> {
    let runs = seeds(cx, 50);
    let mut cells = Vec::new();
    for (of_critical, batches) in [(0.0, 5 * BATCHES), (0.8, BATCHES), (1.5, BATCHES)] {
        for attack in Attack::REAL {
            cells.extend((0..batches).map(|batch| Executed {
                of_critical,
                attack,
                gamma: GAMMA,
                batch,
            }));
        }
    }
    let test = null_test(cx.seed())?;
    let rejected = cx.cells("executed transport", &cells, |cell, seed| {
        rejections(cell, runs, &test, seed)
    })?;
    // The attack that does best for the liars.
    let of = |of_critical: f64, attack: Attack| {
        let matching = cells
            .iter()
            .zip(&rejected)
            .filter(|(cell, _)| cell.of_critical == of_critical && cell.attack == attack);
        matching.fold((0, 0), |(rejected, trials), (_, more)| {
            (rejected + more, trials + runs)
        })
    };
    let worst = |of_critical: f64, most: bool| {
        let all = Attack::REAL.map(|attack| of(of_critical, attack));
        let pick = if most {
            all.into_iter().max()
        } else {
            all.into_iter().min()
        };
        pick.unwrap_or((0, 1))
    };
    let mut claim = |id: &str, statement: &str, expected: Expected, (rejected, trials)| {
        cx.claim(id, statement)
            .paper_ref("central identity testing")
            .scale(Scale::Scaled)
            .expect(expected)
            .source(DERIVED)
            .measured(rate(rejected, trials));
    };
    claim(
        "Q2.hidden",
        "At 0.8 of the critical distance liars hide the alternative: power of the robust test under \
         the best attack (n = 200 000, k = 2000, gamma 0.5 %)",
        Expected::AtMost(0.15),
        worst(0.8, false),
    );
    claim(
        "Q2.power",
        "At 1.5 of it the robust test notices under every attack",
        Expected::AtLeast(0.9),
        worst(1.5, false),
    );
    claim(
        "Q2.level",
        "The null hypothesis is rejected no more often than the level says under every attack",
        Expected::AtMost(0.05 + 2.0 * (0.05_f64 * 0.95 / 200.0).sqrt()),
        worst(0.0, true),
    );
    power_under_attack(cx, &test)
}

fn power_under_attack(cx: &mut Context, test: &IdentityTest) -> Result<(), ExperimentError> {
    let runs = seeds(cx, 20);
    let distances = [0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5];
    let mut cells = Vec::new();
    for attack in [Attack::None, Attack::Quantile, Attack::Walk] {
        cells.extend(distances.map(|of_critical| Executed {
            of_critical,
            attack,
            gamma: GAMMA,
            batch: 0,
        }));
    }
    cells.extend(distances.map(|of_critical| Executed {
        of_critical,
        attack: Attack::None,
        gamma: 0.0,
        batch: 0,
    }));
    let rejected = cx.cells("power under attack", &cells, |cell, seed| {
        rejections(cell, runs, test, seed)
    })?;
    let mut figure = Figure::new(
        "power-under-attack",
        "Power of the test of uniformity (n = 200 000, k = 2000) that tolerates gamma = 0.5 %, by the \
         distance of the alternative over the critical one",
        "distance / critical distance",
        "rejected at 5 %",
    )
    .reference("level", LEVEL);
    let names = [
        "tolerant test, no liars",
        "tolerant test, quantile coupling",
        "tolerant test, greedy moves",
        "classical test, no liars",
    ];
    for (name, part) in names
        .into_iter()
        .zip(cells.chunks(10).zip(rejected.chunks(10)))
    {
        let mut series = Series::new(name);
        for (cell, &rejected) in part.0.iter().zip(part.1) {
            let rate = rate(rejected, runs);
            let band = rate.interval.unwrap_or((rate.value, rate.value));
            series = series.point_with_band(cell.of_critical, rate.value, band);
        }
        figure = figure.series(series);
    }
    cx.figure(figure);
    Ok(())
}

/// A classical statistic, or the robust test.
#[derive(Clone, Copy, Debug, Serialize)]
struct Alarm {
    statistic: Option<Statistic>,
}

const ALARM_SAMPLES: u64 = 20_000;

fn false_alarms(cx: &mut Context) -> Result<(), ExperimentError> {
    let runs = seeds(cx, 1_000);
    let mut cells: Vec<Alarm> = Statistic::all()
        .into_iter()
        .map(|(_, statistic)| Alarm {
            statistic: Some(statistic),
        })
        .collect();
    cells.push(Alarm { statistic: None });
    let root = cx.seed().child("false alarms");
    let rejected = cx.cells("false alarms", &cells, |cell, seed| {
        let uniform = Pmf::uniform(SYMBOLS)?;
        let sampler = MultinomialSampler::new(&uniform);
        let gamma = Gamma::new(0.01)?;
        let matrix = central(SYMBOLS)?;
        let robust = IdentityTest::exact(ExactPmf::uniform(SYMBOLS)?, ALARM_SAMPLES, 999, seed)?;
        let classical = cell
            .statistic
            .map(|statistic| ClassicalTest::new(statistic, &uniform, ALARM_SAMPLES, 999, seed))
            .transpose()?;
        // Every statistic judges the same data.
        let mut rng = root.rng();
        let mut rejected = 0;
        for _ in 0..runs {
            let counts = sampler.sample(ALARM_SAMPLES, &mut rng);
            let counts = CountMatrix::from_counts(1, SYMBOLS, counts)?;
            // All from the symbols that lack samples to the one that has most too many.
            let mut flood = Adversary::Adaptive(Box::new(ThresholdWalk {
                aim: Aim::FalseAlarm,
                reference: uniform.clone(),
            }));
            let attacked = attack(&matrix, &counts, &mut flood, gamma, &mut rng)?.counts;
            let p_value = match &classical {
                Some(test) => test.p_value(attacked.counts())?,
                None => robust.run(attacked.counts(), gamma, LEVEL)?.robust_p_value,
            };
            rejected += u64::from(p_value <= LEVEL);
        }
        Ok(rejected)
    })?;
    let mut table = Table::new(
        "A true hypothesis with 1 % of the samples moved to one symbol (n = 20 000, k = 2000): how \
         often it is rejected at 5 %",
        [Column::text("Statistic"), Column::number("rejected", 3)],
    );
    let names = Statistic::all().map(|(name, _)| name);
    for (name, &rejected) in names
        .iter()
        .chain(&["robust total variation"])
        .zip(&rejected)
    {
        table.push([
            Value::from(*name),
            Value::from(rejected as f64 / runs as f64),
        ]);
    }
    cx.table(table);
    for (index, id, name) in [
        (0, "chi-squared", "chi-squared"),
        (2, "collisions", "collisions"),
        (4, "unshifted", "unshifted total variation"),
    ] {
        cx.claim(
            &format!("Q3.{id}"),
            &format!(
                "The {name} test rejects a true hypothesis when 1 % of the samples are moved to one \
                 symbol"
            ),
        )
        .paper_ref("motivation of robust testing")
        .scale(Scale::Scaled)
        .expect(Expected::AtLeast(0.95))
        .source(DERIVED)
        .measured(rate(rejected[index], runs));
    }
    cx.claim("Q3.robust", "The robust total variation test does not")
        .paper_ref("central identity testing")
        .scale(Scale::Scaled)
        .expect(Expected::AtMost(0.07))
        .source(DERIVED)
        .measured(rate(rejected[6], runs));
    Ok(())
}
