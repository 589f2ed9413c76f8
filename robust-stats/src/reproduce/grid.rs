//! Exponents of the hashed protocols over wide grids, with bootstrap intervals; the critical distance
//! of the central test by simulation.

use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Scale, SeedTree, Table, Value,
};
use septet_core::stats;
use serde::Serialize;

use crate::Epsilon;
use crate::attack::{Adversary, MaxCoupling, PlantedShift, attack};
use crate::decode::Decoder;
use crate::distribution::Pmf;
use crate::parameter::Gamma;
use crate::simulate::{central, sample_counts};
use crate::testing::{ExactPmf, IdentityTest};
use crate::theory::coupling::response_contraction;
use crate::theory::kantorovich::critical_distance;

use super::DERIVED;
use super::population::{decode, design_matrix, distance};

const SEEDS: u64 = 20;

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if cx.wants("G1") {
        exponents(cx)?;
    }
    if cx.wants("G2") {
        critical_distances(cx)?;
    }
    Ok(())
}

/// One estimate: near the uniform distribution, perhaps under coupling.
#[derive(Clone, Copy, Debug, Serialize)]
struct Setting {
    symbols: usize,
    bits: u32,
    users: f64,
    gamma: f64,
    epsilon: Option<f64>,
    seed: u64,
}

/// One line of a table of exponents: what varies, and what the error does.
struct Line {
    id: &'static str,
    statement: &'static str,
    exponent: f64,
    /// What varies, and the setting there.
    points: Vec<(f64, Setting)>,
}

fn setting(symbols: usize, bits: u32, users: f64, gamma: f64) -> Setting {
    Setting {
        symbols,
        bits,
        users,
        gamma,
        epsilon: None,
        seed: 0,
    }
}

fn lines() -> Result<Vec<Line>, ExperimentError> {
    // Noise is an eighth of the shift or less where manipulation is measured, and nobody lies where
    // noise is.
    let many = 3e9;
    let mut by_epsilon = Vec::new();
    for epsilon in [0.25, 0.5, 1.0, 2.0, 4.0] {
        let contraction = response_contraction(Epsilon::new(epsilon)?, 2);
        let setting = Setting {
            epsilon: Some(epsilon),
            ..setting(64, 1, 1e12, 0.002)
        };
        by_epsilon.push((contraction, setting));
    }
    Ok(vec![
        Line {
            id: "G1.noise.users",
            statement: "Without liars the error falls as n^(-1/2)",
            exponent: -0.5,
            points: [1e6, 4e6, 1.6e7]
                .map(|users| (users, setting(128, 2, users, 0.0)))
                .to_vec(),
        },
        Line {
            id: "G1.noise.symbols",
            statement: "Without liars the error grows as k",
            exponent: 1.0,
            points: [64, 128, 256, 512]
                .map(|symbols| (symbols as f64, setting(symbols, 3, 2e7, 0.0)))
                .to_vec(),
        },
        Line {
            id: "G1.manipulation.gamma",
            statement: "Planted by coupling, the error grows as gamma",
            exponent: 1.0,
            points: [0.0025, 0.005, 0.01, 0.02]
                .map(|gamma| (gamma, setting(128, 3, many, gamma)))
                .to_vec(),
        },
        Line {
            id: "G1.manipulation.symbols",
            statement: "Planted by coupling, the error grows as k^(1/2)",
            exponent: 0.5,
            points: [64, 128, 256, 512]
                .map(|symbols| (symbols as f64, setting(symbols, 2, many, 0.01)))
                .to_vec(),
        },
        Line {
            id: "G1.manipulation.cells",
            statement: "Planted by coupling along random signs, the error falls as (L - 1)^(-1/2)",
            exponent: -0.5,
            points: [1, 2, 3, 4, 5]
                .map(|bits| {
                    (
                        f64::from((1_u32 << bits) - 1),
                        setting(512, bits, many, 0.01),
                    )
                })
                .to_vec(),
        },
        Line {
            id: "G1.manipulation.privacy",
            statement: "Planted by coupling, the error grows as (e^epsilon + 1) / (e^epsilon - 1)",
            exponent: 1.0,
            points: by_epsilon,
        },
    ])
}

/// The mean error of one seed's designs.
fn error(setting: &Setting, seed: &SeedTree) -> Result<f64, ExperimentError> {
    let matrix = design_matrix(
        setting.symbols,
        1 << setting.bits,
        None,
        setting.epsilon,
        seed,
    )?;
    let truth = Pmf::uniform(setting.symbols)?;
    let mut rng = seed.rng();
    let mut counts = sample_counts(&matrix, &truth, setting.users as u64, &mut rng)?;
    let gamma = Gamma::new(setting.gamma)?;
    if setting.gamma > 0.0 {
        // Random signs, without a search: the gain of a search depends on the shape of the design.
        let shift = PlantedShift::search(&matrix, &truth, 0.99 * setting.gamma, 0, &mut rng)?;
        let mut coupling = Adversary::Adaptive(Box::new(MaxCoupling {
            truth: truth.clone(),
            target: shift.target,
        }));
        counts = attack(&matrix, &counts, &mut coupling, gamma, &mut rng)?.counts;
    }
    let estimate = decode(Decoder::default(), &matrix, &counts, gamma)?;
    Ok(distance(&estimate.masses, &truth))
}

fn exponents(cx: &mut Context) -> Result<(), ExperimentError> {
    let mut table = Table::new(
        "Exponents of the error of the min-L1 estimate",
        [
            Column::text("Statement"),
            Column::number("theory", 2),
            Column::number("measured", 3),
            Column::number("low", 3),
            Column::number("high", 3),
        ],
    )
    .note("Intervals by bootstrap over 20 seeds.");
    for line in lines()? {
        let settings: Vec<Setting> = (0..SEEDS)
            .flat_map(|seed| line.points.iter().map(move |(_, s)| Setting { seed, ..*s }))
            .collect();
        let errors: Vec<f64> = cx.cells(line.id, &settings, error)?;
        let slopes: Vec<f64> = errors
            .chunks(line.points.len())
            .filter_map(|errors| {
                let points: Vec<(f64, f64)> = line
                    .points
                    .iter()
                    .zip(errors)
                    .map(|((x, _), &error)| (*x, error))
                    .collect();
                Some(stats::log_log_slope(&points, 0.95)?.exponent)
            })
            .collect();
        let mut rng = cx.seed().child(line.id).rng();
        let measured = Estimate::of_samples(&slopes, "", &mut rng);
        let (low, high) = measured.interval.unwrap_or((f64::NAN, f64::NAN));
        table.push([
            Value::from(line.statement),
            Value::from(line.exponent),
            Value::from(measured.value),
            Value::from(low),
            Value::from(high),
        ]);
        cx.claim(line.id, line.statement)
            .paper_ref("table of rates")
            .scale(Scale::Simulated)
            .expect(Expected::near(line.exponent, 0.05))
            .source(DERIVED)
            .measured(measured);
    }
    cx.table(table);
    Ok(())
}

/// A setting of the central test.
#[derive(Clone, Copy, Debug, Serialize)]
struct Central {
    samples: u64,
    symbols: usize,
    gamma: f64,
    seed: u64,
}

fn critical_distances(cx: &mut Context) -> Result<(), ExperimentError> {
    let grid = [
        (2_000, 10_000, 0.02),
        (10_000, 10_000, 0.01),
        (100_000, 10_000, 0.005),
        (1_000_000, 10_000, 0.002),
        (100_000, 1_000, 0.01),
        (1_000_000, 1_000, 0.005),
        (1_000_000, 100, 0.01),
        (1_000_000, 100, 0.1),
    ];
    let seeds = 5;
    let settings: Vec<Central> = grid
        .into_iter()
        .flat_map(|(samples, symbols, gamma)| {
            (0..seeds).map(move |seed| Central {
                samples,
                symbols,
                gamma,
                seed,
            })
        })
        .collect();
    let measured: Vec<f64> = cx.cells(
        "critical distance of the central test",
        &settings,
        |s, seed| {
            let reference = ExactPmf::uniform(s.symbols)?;
            let test = IdentityTest::exact(reference, s.samples, 299, seed)?;
            let matrix = central(s.symbols)?;
            // Liars lower the statistic to its least value, and the test takes off as much again.
            let both = Gamma::new(2.0 * s.gamma)?;
            let (mut low, mut high) = (0.0, 0.5);
            for _ in 0..11 {
                let alpha = f64::midpoint(low, high);
                let mut rng = seed.child("data").rng();
                let mut rejected = 0;
                for _ in 0..5 {
                    let far = Pmf::paninski(s.symbols, alpha, &mut rng)?;
                    let counts = sample_counts(&matrix, &far, s.samples, &mut rng)?;
                    let report = test.run(counts.counts(), both, 0.05)?;
                    rejected += u64::from(report.robust_p_value <= 0.05);
                }
                if rejected >= 3 {
                    high = alpha;
                } else {
                    low = alpha;
                }
            }
            Ok(high)
        },
    )?;
    let mut table = Table::new(
        "Distance from which the robust test of uniformity separates under the best attack, by \
         simulation and by formula",
        [
            Column::integer("n"),
            Column::integer("k"),
            Column::number("gamma", 3),
            Column::number("simulated", 4),
            Column::number("formula", 4),
        ],
    )
    .note("The formula leaves noise out: the simulated distance is a little larger.");
    let mut least = vec![f64::INFINITY; seeds as usize];
    for ((samples, symbols, gamma), measured) in
        grid.into_iter().zip(measured.chunks(seeds as usize))
    {
        let formula = critical_distance(gamma, samples as f64, symbols as f64);
        let mean = stats::mean(measured);
        for (least, measured) in least.iter_mut().zip(measured) {
            *least = least.min(measured / formula);
        }
        table.push([
            Value::from(samples),
            Value::from(symbols),
            Value::from(gamma),
            Value::from(mean),
            Value::from(formula),
        ]);
    }
    cx.table(table);
    let mut rng = cx.seed().child("critical distances").rng();
    cx.claim(
        "G2.critical",
        "No test does better than the formula: least ratio of the simulated critical distance to it \
         over the grid",
    )
    .paper_ref("central identity testing")
    .scale(Scale::Simulated)
    .expect(Expected::AtLeast(0.97))
    .source(DERIVED)
    .tolerance_because("eleven halvings of the distance, and five data sets for each")
    .measured(Estimate::of_samples(&least, "", &mut rng));
    Ok(())
}
