//! Q1 to Q3: central testing of uniformity as optimal transport.

use septet_core::experiment::{
    Cell, Column, Context, Estimate, Expected, ExperimentError, Figure, Profile, Scale, SeedTree,
    Series, Table, Value,
};
use septet_core::stats;
use septet_robust_stats::aggregate::CountMatrix;
use septet_robust_stats::attack::{
    Adaptive, Adversary, Aim, EmdQuantile, EmdSorted, ThresholdWalk, attack,
};
use septet_robust_stats::distribution::{MultinomialSampler, Pmf};
use septet_robust_stats::parameter::Gamma;
use septet_robust_stats::simulate::{central, sample_counts};
use septet_robust_stats::testing::{ClassicalTest, ExactPmf, IdentityTest, Statistic};
use septet_robust_stats::theory::kantorovich::{critical_distance, undetectable_distance};
use serde::Serialize;

use super::{DERIVED, band, seeds};

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if cx.selects("Q1.formula") {
        formula(cx);
    }
    if cx.selects("Q1.critical") {
        critical_distances(cx)?;
    }
    if cx.selects("Q2") {
        executed(cx)?;
    }
    if cx.selects("Q3") {
        false_alarms(cx)?;
    }
    Ok(())
}

const GAMMA_STEPS: [f64; 4] = [1.0, 2.0, 4.0, 8.0];

/// The constant of the rate `(k gamma^2 / n)^(1/4)`; the rest of the formulas is in a table.
fn formula(cx: &mut Context) {
    let mut table = Table::new(
        "What corrupted users hide and where the robust test separates, by formula",
        [
            Column::integer("n"),
            Column::integer("k"),
            Column::number("gamma", 5),
            Column::number("hidden", 4),
            Column::number("critical", 4),
            Column::number("ratio", 2),
        ],
    );
    // A tenth, a hundred and ten thousand samples for each symbol.
    for (samples, symbols, least) in [(4e3, 4e4, 1e-3), (4e6, 4e4, 2e-5), (2e6, 200.0, 1e-2)] {
        for gamma in GAMMA_STEPS.map(|step| least * step) {
            let hidden = undetectable_distance(gamma, samples, symbols);
            let critical = critical_distance(gamma, samples, symbols);
            table.push([
                Value::from(samples),
                Value::from(symbols),
                Value::from(gamma),
                Value::from(hidden),
                Value::from(critical),
                Value::from(critical / hidden),
            ]);
        }
    }
    cx.table(table);
    // The constant, in a setting where counts are nearly normal and gamma is small.
    let (samples, symbols, gamma): (f64, f64, f64) = (4e6, 4e4, 2e-5);
    let rate = (symbols * gamma.powi(2) / samples).powf(0.25);
    // By the normal approximation of the Poisson laws.
    let constant = (std::f64::consts::PI / 2.0).powf(0.25);
    cx.claim(
        "Q1.formula",
        "With 100 samples for each symbol the sums over Poisson laws give the rate \
         (k gamma^2 / n)^(1/4) with the constant (pi / 2)^(1/4)",
    )
    .scale(Scale::Analytic)
    .expect(Expected::near(1.12, 0.02))
    .source(DERIVED)
    .theory(constant)
    .measured(Estimate::exact(
        undetectable_distance(gamma, samples, symbols) / rate,
        "",
    ));
}

/// A setting of the central test.
#[derive(Clone, Copy, Debug, Serialize)]
struct Central {
    samples: u64,
    symbols: usize,
    gamma: f64,
}

/// The distance from which the robust test rejects in half of the cases although corrupted users hide the
/// alternative as well as can be, over the formula.
fn critical_distances(cx: &mut Context) -> Result<(), ExperimentError> {
    // Sparse, medium and dense samples; the full profile adds five settings.
    let mut grid = vec![
        (2_000, 10_000, 0.02),
        (100_000, 1_000, 0.01),
        (1_000_000, 100, 0.1),
    ];
    if cx.profile() == Profile::Full {
        grid.extend([
            (10_000, 10_000, 0.01),
            (100_000, 10_000, 0.005),
            (1_000_000, 10_000, 0.002),
            (1_000_000, 1_000, 0.005),
            (1_000_000, 100, 0.01),
        ]);
    }
    let settings: Vec<Central> = grid
        .into_iter()
        .map(|(samples, symbols, gamma)| Central {
            samples,
            symbols,
            gamma,
        })
        .collect();
    // Ten bisections per setting, each with its own test and data.
    let measured = cx
        .grid("critical distance of the central test", settings.clone())
        .seeds(10)
        .version(2)
        .run(|setting, cell| critical(setting, cell.seed()))?;
    let mut table = Table::new(
        "Distance from which the robust test of uniformity separates under the best attack, by \
         simulation and by formula",
        [
            Column::integer("n"),
            Column::integer("k"),
            Column::number("gamma", 3),
            Column::number("simulated", 4),
            Column::number("formula", 4),
            Column::number("ratio", 3),
        ],
    )
    .note("The formula leaves noise out: the simulated distance is a little larger.");
    // Compare means of runs with the formula, setting by setting.
    let mut ratios = Vec::new();
    for setting in &settings {
        let formula = critical_distance(
            setting.gamma,
            setting.samples as f64,
            setting.symbols as f64,
        );
        let mean = stats::mean(measured.by_seed(setting)?);
        ratios.push(mean / formula);
        table.push([
            Value::from(setting.samples),
            Value::from(setting.symbols),
            Value::from(setting.gamma),
            Value::from(mean),
            Value::from(formula),
            Value::from(mean / formula),
        ]);
    }
    cx.table(table);
    // The range shows the worst setting, not an average over them.
    cx.claim(
        "Q1.critical",
        "The central test notices from the optimal distance on while corrupted users hide all they can: \
         simulated over optimal distance",
    )
    .paper_ref("abstract")
    .scale(Scale::Scaled)
    .expect(Expected::Between(0.97, 1.2))
    .source(DERIVED)
    .tolerance_because(
        "below: eleven halvings, five data sets each; above: noise, up to 14 % with 2000 samples",
    )
    .theory(1.0)
    .headline()
    .measured(Estimate::range(&ratios, "settings, means of runs", ""));
    Ok(())
}

fn critical(setting: &Central, seed: &SeedTree) -> Result<f64, ExperimentError> {
    let reference = ExactPmf::uniform(setting.symbols)?;
    let test = IdentityTest::exact(reference, setting.samples, 299, &seed.child("test"))?;
    let matrix = central(setting.symbols)?;
    // Corrupted users lower the statistic to its least value, and the test takes off as much again.
    let both = Gamma::new(2.0 * setting.gamma)?;
    let (mut low, mut high) = (0.0, 0.5);
    for _ in 0..11 {
        let alpha = f64::midpoint(low, high);
        let mut rng = seed.child("data").rng();
        let mut rejected = 0;
        for _ in 0..5 {
            let far = Pmf::paninski(setting.symbols, alpha, &mut rng)?;
            let counts = sample_counts(&matrix, &far, setting.samples, &mut rng)?;
            let report = test.run(counts.counts(), both, LEVEL)?;
            rejected += u64::from(report.robust_p_value <= LEVEL);
        }
        if rejected >= 3 {
            high = alpha;
        } else {
            low = alpha;
        }
    }
    Ok(high)
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
    data_sets: u64,
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

fn null_test(seed: &SeedTree, draws: usize) -> Result<IdentityTest, ExperimentError> {
    let reference = ExactPmf::uniform(SYMBOLS)?;
    Ok(IdentityTest::exact(
        reference,
        SAMPLES,
        draws,
        &seed.child("test"),
    )?)
}

/// How many of the data sets the robust test rejects.
fn rejections(
    setting: &Executed,
    test: &IdentityTest,
    seed: &SeedTree,
) -> Result<u64, ExperimentError> {
    let gamma = Gamma::new(setting.gamma)?;
    let alpha = setting.of_critical * critical_distance(GAMMA, SAMPLES as f64, SYMBOLS as f64);
    let matrix = central(SYMBOLS)?;
    let uniform = Pmf::uniform(SYMBOLS)?;
    let mut rng = seed.rng();
    let mut rejected = 0;
    for _ in 0..setting.data_sets {
        let far = Pmf::paninski(SYMBOLS, alpha, &mut rng)?;
        // Under the null hypothesis corrupted users feign an alternative beyond the critical distance.
        let (aim, truth, target, feigned) = if alpha > 0.0 {
            (Aim::Hide, &far, &uniform, alpha)
        } else {
            (Aim::FalseAlarm, &uniform, &far, 0.05)
        };
        let mut counts = sample_counts(&matrix, truth, SAMPLES, &mut rng)?;
        if setting.attack != Attack::None {
            let adversary = setting.attack.adversary(aim, feigned, target, &uniform);
            let mut adversary = Adversary::Adaptive(adversary);
            counts = attack(&matrix, &counts, &mut adversary, gamma, &mut rng)?.counts;
        }
        let report = test.run(counts.counts(), gamma, LEVEL)?;
        rejected += u64::from(report.robust_p_value <= LEVEL);
    }
    Ok(rejected)
}

/// The simulations of the null law that a rate is averaged over: the level of a test holds on average
/// over them, and no single one has exactly the level.
const TESTS: u64 = 20;

fn executed(cx: &mut Context) -> Result<(), ExperimentError> {
    // Level and power are run apart: the level needs many null laws, the power does not.
    let at = |of_critical: f64, attack: Attack, data_sets: u64| Executed {
        of_critical,
        attack,
        gamma: GAMMA,
        data_sets,
    };
    // Greedy moves are the worst for the statistic.
    let level = at(0.0, Attack::Walk, 400);
    let under_null = cx
        .grid("level under attack", [level])
        .seeds(TESTS)
        .run(|setting, cell| rejections(setting, &null_test(cell.seed(), 999)?, cell.seed()))?;
    let data_sets = seeds(cx, 200);
    let power = |of_critical: f64, attack: Attack| at(of_critical, attack, data_sets);
    let settings: Vec<Executed> = [0.0, 0.8, 1.5]
        .into_iter()
        .flat_map(|of_critical| Attack::REAL.map(|attack| power(of_critical, attack)))
        .collect();
    // One test with a finer null law serves all data sets of the power runs.
    let test = null_test(cx.seed(), 1_999)?;
    let rejected = cx
        .grid("executed transport", settings)
        .version(2)
        .run(|setting, cell| rejections(setting, &test, cell.seed()))?;

    // Rates by attack, at the null and on both sides of the critical distance.
    let mut table = Table::new(
        "How often the robust test rejects at 5 % under attack (n = 200 000, k = 2000, gamma 0.5 %)",
        [
            Column::text("Attack"),
            Column::number("hypothesis true", 3),
            Column::number("0.8 of critical", 3),
            Column::number("1.5 of critical", 3),
        ],
    )
    .note("Below the critical distance corrupted users hide the alternative, beyond it they cannot.");
    let names = ["quantile coupling", "fresh counts by rank", "greedy moves"];
    for (attack, name) in Attack::REAL.into_iter().zip(names) {
        let share = |of_critical: f64| -> Result<Value, ExperimentError> {
            let rejected = *rejected.get(&power(of_critical, attack))?;
            Ok(Value::from(rejected as f64 / data_sets as f64))
        };
        table.push([Value::from(name), share(0.0)?, share(0.8)?, share(1.5)?]);
    }
    cx.table(table);

    let at_distance = |of_critical: f64| -> Result<[u64; 3], ExperimentError> {
        let mut all = [0; 3];
        for (rejected_by, attack) in all.iter_mut().zip(Attack::REAL) {
            *rejected_by = *rejected.get(&power(of_critical, attack))?;
        }
        Ok(all)
    };
    // The strongest attack.
    let hidden = at_distance(0.8)?.into_iter().min().unwrap_or(data_sets);
    let noticed = at_distance(1.5)?.into_iter().min().unwrap_or(0);
    cx.claim(
        "Q2.hidden",
        "At 0.8 of the critical distance 0.5 % corrupted users hide the alternative: power of the robust test",
    )
    .scale(Scale::Scaled)
    .expect(Expected::AtMost(0.15))
    .source(DERIVED)
    .measured(Estimate::proportion(hidden, data_sets, "data sets"));
    cx.claim(
        "Q2.power",
        "At 1.5 of the critical distance the robust test notices under every attack: least power",
    )
    .scale(Scale::Scaled)
    .expect(Expected::AtLeast(0.9))
    .source(DERIVED)
    .measured(Estimate::proportion(noticed, data_sets, "data sets"));
    // Null laws are the replicates: data sets judged by the same one share its error.
    let rates = under_null.over_seeds(&level, "simulated null laws", "", |&rejected| {
        rejected as f64 / level.data_sets as f64
    })?;
    cx.claim(
        "Q2.level",
        "Corrupted users who move samples so that the statistic rises most make the robust test reject a true \
         hypothesis no more often than its level of 5 % says",
    )
    .scale(Scale::Scaled)
    .expect(Expected::AtMost(0.065))
    .source(DERIVED)
    .tolerance_because("5 % and five standard errors of 8000 data sets and 20 null laws")
    .measured(rates);
    power_under_attack(cx, &test)
}

fn power_under_attack(cx: &mut Context, test: &IdentityTest) -> Result<(), ExperimentError> {
    let data_sets = seeds(cx, 20);
    let distances = [0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5];
    // Without corrupted users and with the two attacks; gamma 0 makes the robust test a classical one.
    let curves = [
        ("tolerant test, no corrupted users", Attack::None, GAMMA),
        ("tolerant test, quantile coupling", Attack::Quantile, GAMMA),
        ("tolerant test, greedy moves", Attack::Walk, GAMMA),
        ("classical test, no corrupted users", Attack::None, 0.0),
    ];
    let at = |of_critical: f64, attack: Attack, gamma: f64| Executed {
        of_critical,
        attack,
        gamma,
        data_sets,
    };
    let settings: Vec<Executed> = curves
        .into_iter()
        .flat_map(|(_, attack, gamma)| distances.map(|distance| at(distance, attack, gamma)))
        .collect();
    let rejected = cx
        .grid("power under attack", settings)
        .version(2)
        .run(|setting, cell| rejections(setting, test, cell.seed()))?;
    // Distances are in units of the critical one, where the jump is expected.
    let mut figure = Figure::new(
        "power-under-attack",
        "Power of the test of uniformity (n = 200 000, k = 2000) that tolerates gamma = 0.5 %, by the \
         distance of the alternative over the critical one",
        "distance / critical distance",
        "rejected at 5 %",
    )
    .alt("Under attack the power jumps from 0 to 1 at the critical distance.")
    .reference("level", LEVEL);
    for (name, attack, gamma) in curves {
        let mut series = Series::new(name);
        for distance in distances {
            let rejected = *rejected.get(&at(distance, attack, gamma))?;
            // Every point is a proportion, and its band the interval of that.
            let rate = Estimate::proportion(rejected, data_sets, "data sets");
            series = series.point_with_band(distance, rate.value, band(&rate));
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
    data_sets: u64,
}

const ALARM_SAMPLES: u64 = 20_000;

fn false_alarms(cx: &mut Context) -> Result<(), ExperimentError> {
    let data_sets = seeds(cx, 200);
    let alarm = |statistic: Option<Statistic>| Alarm {
        statistic,
        data_sets,
    };
    let classical = Statistic::all().map(|(_, statistic)| alarm(Some(statistic)));
    // Every statistic judges the same data as the first robust test.
    let root = cx.seed().child("false alarms");
    let work = |setting: &Alarm, cell: &Cell| alarms(setting, &root.index(cell.seed_index()));
    let rejected = cx.grid("false alarms", classical).version(2).run(work)?;
    // The robust rate is the mean over null laws, in the last row.
    let of_robust = cx
        .grid("false alarms of the robust test", [alarm(None)])
        .seeds(TESTS)
        .run(work)?;
    let mut table = Table::new(
        "A true hypothesis with 1 % of the samples moved to one symbol (n = 20 000, k = 2000): how \
         often it is rejected at 5 %",
        [Column::text("Statistic"), Column::number("rejected", 3)],
    );
    for (name, statistic) in Statistic::all() {
        let share = *rejected.get(&alarm(Some(statistic)))? as f64 / data_sets as f64;
        table.push([Value::from(name), Value::from(share)]);
    }
    let robust = of_robust.over_seeds(&alarm(None), "simulated null laws", "", |&rejected| {
        rejected as f64 / data_sets as f64
    })?;
    table.push([
        Value::from("robust total variation"),
        Value::from(robust.value),
    ]);
    cx.table(table);
    // Claims for three statistics, by their place in the list of all.
    for (index, id, name) in [
        (0, "chi-squared", "chi-squared"),
        (2, "collisions", "collisions"),
        (4, "unshifted", "total variation"),
    ] {
        let all = *rejected.get(&alarm(Some(Statistic::all()[index].1)))?;
        cx.claim(
            &format!("Q3.{id}"),
            &format!(
                "The classical {name} test rejects a true hypothesis when 1 % of the samples are \
                 moved to one symbol"
            ),
        )
        .scale(Scale::Scaled)
        .expect(Expected::AtLeast(0.95))
        .source(DERIVED)
        .measured(Estimate::proportion(all, data_sets, "data sets"));
    }
    // The robust test has to keep its level under the same attack.
    cx.claim(
        "Q3.robust",
        "The robust total variation test of level 5 % rejects no more often on the same data",
    )
    .scale(Scale::Scaled)
    .expect(Expected::AtMost(0.07))
    .source(DERIVED)
    .measured(robust);
    Ok(())
}

/// How many data sets a test rejects though the hypothesis is true.
fn alarms(setting: &Alarm, seed: &SeedTree) -> Result<u64, ExperimentError> {
    let uniform = Pmf::uniform(SYMBOLS)?;
    let sampler = MultinomialSampler::new(&uniform);
    let gamma = Gamma::new(0.01)?;
    let matrix = central(SYMBOLS)?;
    // The test: its null law has a seed of its own.
    let null = seed.child("test");
    let p_value: PValue = match setting.statistic {
        Some(statistic) => {
            let test = ClassicalTest::new(statistic, &uniform, ALARM_SAMPLES, 999, &null)?;
            Box::new(move |counts| Ok(test.p_value(counts)?))
        }
        None => {
            let reference = ExactPmf::uniform(SYMBOLS)?;
            let test = IdentityTest::exact(reference, ALARM_SAMPLES, 999, &null)?;
            Box::new(move |counts| Ok(test.run(counts, gamma, LEVEL)?.robust_p_value))
        }
    };
    // The data: the same for every statistic, since the generator depends on the seed alone.
    let mut rng = seed.child("data").rng();
    let mut rejected = 0;
    for _ in 0..setting.data_sets {
        let counts = sampler.sample(ALARM_SAMPLES, &mut rng);
        let counts = CountMatrix::from_counts(1, SYMBOLS, counts)?;
        // All from the symbols that lack samples to the one that has most too many.
        let mut flood = Adversary::Adaptive(Box::new(ThresholdWalk {
            aim: Aim::FalseAlarm,
            reference: uniform.clone(),
        }));
        let attacked = attack(&matrix, &counts, &mut flood, gamma, &mut rng)?.counts;
        rejected += u64::from(p_value(attacked.counts())? <= LEVEL);
    }
    Ok(rejected)
}

type PValue = Box<dyn Fn(&[u64]) -> Result<f64, ExperimentError>>;
