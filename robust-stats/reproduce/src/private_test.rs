//! Q8: testing uniformity through a few bits, private or not.

use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Scale, SeedTree, Table, Value,
};
use septet_core::stats;
use septet_robust_stats::Epsilon;
use septet_robust_stats::design::DesignMatrix;
use septet_robust_stats::distribution::Pmf;
use septet_robust_stats::parameter::Gamma;
use septet_robust_stats::simulate::{group_size, sample_counts};
use septet_robust_stats::testing::IdentityTest;
use septet_robust_stats::theory::coupling::coupling_shift;
use serde::Serialize;

use super::population::design;
use super::{DERIVED, seeds};

const GROUPS: usize = 30;
/// So many that the distance is one of manipulation: noise adds a thousandth of it.
const USERS: u64 = 40_000_000_000;
const LEVEL: f64 = 0.05;

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Setting {
    symbols: usize,
    cells: usize,
    epsilon: Option<f64>,
    gamma: f64,
}

const fn private(symbols: usize, gamma: f64) -> Setting {
    Setting {
        symbols,
        cells: 2,
        epsilon: Some(1.0),
        gamma,
    }
}

const fn open(cells: usize) -> Setting {
    Setting {
        symbols: 128,
        cells,
        epsilon: None,
        gamma: 0.004,
    }
}

/// One private bit, by symbols.
const BY_SYMBOLS: [Setting; 4] = [
    private(32, 0.004),
    private(64, 0.004),
    private(128, 0.004),
    private(256, 0.004),
];
/// One to three bits without privacy.
const BY_CELLS: [Setting; 3] = [open(2), open(4), open(8)];
/// Far below one half, which is the largest distance there can be.
const SINGLE: Setting = private(32, 0.005);
const DOUBLE: Setting = private(32, 0.01);

/// Twice what coupling hides with gamma: both hypotheses may be corrupted.
fn formula(setting: &Setting) -> Result<f64, ExperimentError> {
    let epsilon = setting.epsilon.map(Epsilon::new).transpose()?;
    let both = 2.0 * setting.gamma;
    Ok(coupling_shift(
        both,
        setting.symbols,
        setting.cells,
        epsilon,
    ))
}

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.selects("Q8") {
        return Ok(());
    }
    // One grid for all questions: settings share designs, and are compared within them.
    let designs = seeds(cx, 64);
    let settings = [&BY_SYMBOLS[..], &BY_CELLS, &[SINGLE, DOUBLE]].concat();
    // Designs and directions are those of the seed, so that settings are compared on the same ones.
    let root = cx.seed().child("private tests");
    let distances = cx
        .grid("tests through a few bits", settings.clone())
        .seeds(designs)
        .run(|setting, cell| critical(setting, &root.index(cell.seed_index())))?;
    let mut rng = cx.seed().child("private test intervals").rng();

    // The effect of gamma: ratios on the same design.
    let pairs = distances
        .by_seed(&DOUBLE)?
        .iter()
        .zip(distances.by_seed(&SINGLE)?);
    let ratios: Vec<f64> = pairs.map(|(double, single)| double / single).collect();
    cx.claim(
        "Q8.gamma",
        "Twice the corrupted users double the distance that a test through one private bit notices: ratio",
    )
    .scale(Scale::Scaled)
    .expect(Expected::near(2.0, 0.15))
    .source(DERIVED)
    .tolerance_because(
        "the distance has a part from the noise of messages, which does not double: it lowers the ratio",
    )
    .theory(2.0)
    .measured(Estimate::mean(&ratios, "designs", "", &mut rng));

    // The effect of the symbols: one slope per design, since designs are the replicates.
    let mut by_design = vec![Vec::new(); designs as usize];
    for setting in &BY_SYMBOLS {
        for (points, &distance) in by_design.iter_mut().zip(distances.by_seed(setting)?) {
            points.push((setting.symbols as f64, distance));
        }
    }
    let slopes = by_design
        .iter()
        .filter_map(|points| Some(stats::log_log_slope(points, 0.95)?.exponent));
    let slopes: Vec<f64> = slopes.collect();
    cx.claim(
        "Q8.slope",
        "The distance that a test through one private bit notices under attack grows as about \
         k^(1/2): exponent",
    )
    .scale(Scale::Scaled)
    .expect(Expected::near(0.5, 0.06))
    .source(DERIVED)
    .theory(0.5)
    .measured(Estimate::mean(&slopes, "designs", "", &mut rng));

    // Absolute distances against the formula, with privacy and without.
    for (id, what, settings) in [
        ("private-bit", "one private bit", &BY_SYMBOLS[..]),
        ("bits", "one to three bits", &BY_CELLS),
    ] {
        // The mean over settings, for each design; inverse, since the mean over few partitions stands
        // in the denominator of the distance.
        let mut of_design = vec![0.0; designs as usize];
        for setting in settings {
            let formula = formula(setting)?;
            for (sum, distance) in of_design.iter_mut().zip(distances.by_seed(setting)?) {
                *sum += formula / distance / settings.len() as f64;
            }
        }
        cx.claim(
            &format!("Q8.{id}"),
            &format!(
                "A test through {what} notices from twice the distance on that coupling hides: \
                 formula over measured"
            ),
        )
        .scale(Scale::Scaled)
        .expect(Expected::near(1.0, 0.06))
        .source(DERIVED)
        .theory(1.0)
        .measured(Estimate::mean(&of_design, "designs", "", &mut rng));
    }

    // Every setting in one table.
    let mut table = Table::new(
        "Distance that a test through 30 partitions notices while corrupted users hide all they can",
        [
            Column::integer("k"),
            Column::integer("cells"),
            Column::number("epsilon", 1),
            Column::number("gamma", 3),
            Column::number("distance", 4),
            Column::number("twice coupling", 4),
        ],
    )
    .note(
        "The mean distance is 2 % above the formula, since 30 partitions differ in what they show.",
    );
    for setting in &settings {
        table.push([
            Value::from(setting.symbols as u64),
            Value::from(setting.cells as u64),
            Value::from(setting.epsilon),
            Value::from(setting.gamma),
            Value::from(stats::mean(distances.by_seed(setting)?)),
            Value::from(formula(setting)?),
        ]);
    }
    cx.table(table);
    Ok(())
}

/// The distance at which the robust test begins to reject when corrupted users hide the alternative as well as
/// can be: they lower the statistic to its least value, from which the test takes off as much again.
fn critical(setting: &Setting, seed: &SeedTree) -> Result<f64, ExperimentError> {
    // A test of this design, with a null law of 199 simulated data sets.
    let design = design(
        setting.symbols,
        setting.cells,
        Some(GROUPS),
        setting.epsilon,
        seed,
    )?;
    let matrix = DesignMatrix::from_design(&design)?;
    let uniform = Pmf::uniform(setting.symbols)?;
    let sizes = (0..GROUPS)
        .map(|group| group_size(USERS, GROUPS, group))
        .collect();
    let test = IdentityTest::distributed(&design, &uniform, sizes, 199, seed)?;
    // Twice gamma: what corrupted users take off the statistic, and what the test takes off again.
    let both = Gamma::new(2.0 * setting.gamma)?;
    // Bisect the distance: 12 halvings of the largest one that the alternative allows.
    let (mut low, mut high) = (0.0, 0.5);
    for _ in 0..12 {
        let alpha = f64::midpoint(low, high);
        // The same direction and the same noise at every distance.
        let far = Pmf::paninski(setting.symbols, alpha, &mut seed.child("direction").rng())?;
        let counts = sample_counts(&matrix, &far, USERS, &mut seed.child("noise").rng())?;
        if test.run_groups(&counts, both, LEVEL)?.robust_p_value <= LEVEL {
            high = alpha;
        } else {
            low = alpha;
        }
    }
    Ok(high)
}
