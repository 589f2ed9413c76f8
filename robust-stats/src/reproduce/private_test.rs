//! Q8: testing uniformity through one private bit.

use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Scale, Table, Value,
};
use septet_core::stats;
use serde::Serialize;

use crate::Epsilon;
use crate::decode::DesignMatrix;
use crate::distribution::Pmf;
use crate::parameter::Gamma;
use crate::simulate::{group_size, sample_counts};
use crate::testing::IdentityTest;
use crate::theory::coupling::binary_response_contraction;

use super::population::design;
use super::{DERIVED, seeds};

const GROUPS: usize = 30;
const USERS: u64 = 4_000_000;
const EPSILON: f64 = 1.0;
const LEVEL: f64 = 0.05;

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Setting {
    symbols: usize,
    gamma: f64,
    seed: u64,
}

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.wants("Q8") {
        return Ok(());
    }
    let seeds = seeds(cx, 24);
    let grid = [
        (32, 0.004),
        (64, 0.004),
        (128, 0.004),
        (256, 0.004),
        // Far below one half, which is the most that a distance can be.
        (32, 0.005),
        (32, 0.01),
    ];
    let settings: Vec<Setting> = grid
        .into_iter()
        .flat_map(|(symbols, gamma)| {
            (0..seeds).map(move |seed| Setting {
                symbols,
                gamma,
                seed,
            })
        })
        .collect();
    // Designs and directions are those of the seed, so that settings are compared on the same ones.
    let root = cx.seed().child("private tests");
    let critical: Vec<f64> = cx.cells("one private bit", &settings, |setting, _| {
        critical(setting, &root.index(setting.seed))
    })?;
    let of = |symbols: usize, gamma: f64| -> Vec<f64> {
        settings
            .iter()
            .zip(&critical)
            .filter(|(setting, _)| setting.symbols == symbols && setting.gamma == gamma)
            .map(|(_, &critical)| critical)
            .collect()
    };
    let mut rng = cx.seed().child("private test intervals").rng();
    let ratios: Vec<f64> = of(32, 0.01)
        .iter()
        .zip(of(32, 0.005))
        .map(|(double, single)| double / single)
        .collect();
    cx.claim(
        "Q8.gamma",
        "Twice the liars double the distance that a test through one private bit notices",
    )
    .paper_ref("testing under local privacy")
    .scale(Scale::Simulated)
    .expect(Expected::near(2.0, 0.15))
    .source(DERIVED)
    .measured(Estimate::of_samples(&ratios, "", &mut rng));
    let sizes = [32, 64, 128, 256];
    let by_size: Vec<Vec<f64>> = sizes.iter().map(|&symbols| of(symbols, 0.004)).collect();
    let slopes: Vec<f64> = (0..seeds as usize)
        .filter_map(|seed| {
            let points: Vec<(f64, f64)> = sizes
                .iter()
                .zip(&by_size)
                .map(|(&symbols, critical)| (symbols as f64, critical[seed]))
                .collect();
            Some(stats::log_log_slope(&points, 0.95)?.exponent)
        })
        .collect();
    cx.claim("Q8.slope", "The distance grows as k^(1/2)")
        .paper_ref("testing under local privacy")
        .scale(Scale::Simulated)
        .expect(Expected::near(0.5, 0.06))
        .source(DERIVED)
        .measured(Estimate::of_samples(&slopes, "", &mut rng));
    let contraction = binary_response_contraction(Epsilon::new(EPSILON)?);
    let mut table = Table::new(
        "Distance that a test through one private bit notices under attack (4 million users, 30 \
         half sets, epsilon 1)",
        [
            Column::integer("k"),
            Column::number("gamma", 4),
            Column::number("distance", 4),
            Column::number("over gamma c sqrt(k)", 3),
        ],
    )
    .note("Theory without noise: 2.51 gamma c sqrt(k) with c = (e^epsilon + 1) / (e^epsilon - 1).");
    for (symbols, gamma) in grid {
        let mean = stats::mean(&of(symbols, gamma));
        table.push([
            Value::from(symbols),
            Value::from(gamma),
            Value::from(mean),
            Value::from(mean / (gamma * contraction * (symbols as f64).sqrt())),
        ]);
    }
    cx.table(table);
    Ok(())
}

/// The distance at which the robust test begins to reject when liars hide the alternative as well as
/// can be: they lower the statistic to its least value, from which the test takes off as much again.
fn critical(
    setting: &Setting,
    seed: &septet_core::experiment::SeedTree,
) -> Result<f64, ExperimentError> {
    let design = design(setting.symbols, 2, Some(GROUPS), Some(EPSILON), seed)?;
    let matrix = DesignMatrix::from_design(&design)?;
    let uniform = Pmf::uniform(setting.symbols)?;
    let sizes = (0..GROUPS)
        .map(|group| group_size(USERS, GROUPS, group))
        .collect();
    let test = IdentityTest::distributed(&design, &uniform, sizes, 999, seed)?;
    let both = Gamma::new(2.0 * setting.gamma)?;
    let (mut low, mut high) = (0.0, 0.5);
    for _ in 0..12 {
        let alpha = f64::midpoint(low, high);
        // The same direction and the same noise at every distance.
        let far = Pmf::paninski(setting.symbols, alpha, &mut seed.child("direction").rng())?;
        let mut rejected = 0;
        let runs = 5;
        for run in 0..runs {
            let mut rng = seed.child("noise").index(run).rng();
            let counts = sample_counts(&matrix, &far, USERS, &mut rng)?;
            let report = test.run_groups(&counts, both, LEVEL)?;
            rejected += u64::from(report.robust_p_value <= LEVEL);
        }
        if 2 * rejected > runs {
            high = alpha;
        } else {
            low = alpha;
        }
    }
    Ok(high)
}
