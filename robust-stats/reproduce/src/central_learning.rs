//! L: what corrupted users do to the frequencies of values that a server sees directly.

use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Scale, Table, Value,
};
use septet_core::stats;
use septet_robust_stats::attack::{Adversary, Aim, ThresholdWalk, attack};
use septet_robust_stats::distribution::Pmf;
use septet_robust_stats::parameter::Gamma;
use septet_robust_stats::simulate::{central, sample_counts};
use serde::Serialize;

use super::population::distance;
use super::{DERIVED, seeds};

#[derive(Clone, Copy, Debug, Serialize)]
struct Setting {
    symbols: usize,
    samples: u64,
    gamma: f64,
    /// The exponent of Zipf's law; 0 is the uniform distribution.
    zipf: f64,
}

/// The mean total variation of frequencies from the truth without corrupted users, by the normal law of counts.
fn noise(truth: &Pmf, samples: u64) -> f64 {
    let deviation =
        |p: &f64| (2.0 * p * (1.0 - p) / (std::f64::consts::PI * samples as f64)).sqrt();
    truth.masses().iter().map(deviation).sum::<f64>() / 2.0
}

fn truth(setting: &Setting) -> Result<Pmf, ExperimentError> {
    Ok(if setting.zipf > 0.0 {
        Pmf::zipf(setting.symbols, setting.zipf)?
    } else {
        Pmf::uniform(setting.symbols)?
    })
}

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.selects("L") {
        return Ok(());
    }
    // Flat and steep truths, from few to many samples per symbol.
    let grid = [
        (100, 1_000_000, 0.02, 0.0),
        (100, 1_000_000, 0.05, 1.0),
        (1_000, 1_000_000, 0.01, 0.0),
        (1_000, 1_000_000, 0.01, 1.0),
        (10_000, 4_000_000, 0.02, 0.0),
        (10_000, 4_000_000, 0.005, 1.0),
    ];
    let settings = grid.map(|(symbols, samples, gamma, zipf)| Setting {
        symbols,
        samples,
        gamma,
        zipf,
    });
    let runs = seeds(cx, 10);
    let errors = cx
        .grid("frequencies under attack", settings)
        .seeds(runs)
        .run(|setting, cell| {
            let truth = truth(setting)?;
            // Every symbol is its own cell: the counts are those of the values.
            let matrix = central(setting.symbols)?;
            let mut rng = cell.seed().rng();
            let counts = sample_counts(&matrix, &truth, setting.samples, &mut rng)?;
            // From symbols with too few samples to those with too many.
            let mut walk = Adversary::Adaptive(Box::new(ThresholdWalk {
                aim: Aim::FalseAlarm,
                reference: truth.clone(),
            }));
            let gamma = Gamma::new(setting.gamma)?;
            let attacked = attack(&matrix, &counts, &mut walk, gamma, &mut rng)?.counts;
            // The server takes frequencies as they are, without any decoder.
            let total = setting.samples as f64;
            let seen: Vec<f64> = attacked
                .counts()
                .iter()
                .map(|&n| n as f64 / total)
                .collect();
            Ok(distance(&seen, &truth))
        })?;
    let mut table = Table::new(
        "Total variation of the frequencies from the truth under the worst attack",
        [
            Column::text("Truth"),
            Column::integer("k"),
            Column::integer("n"),
            Column::number("gamma", 3),
            Column::number("measured", 5),
            Column::number("noise + gamma", 5),
        ],
    );
    // The means of runs over the formula, setting by setting.
    let mut ratios = Vec::new();
    for setting in &settings {
        let formula = noise(&truth(setting)?, setting.samples) + setting.gamma;
        let measured = stats::mean(errors.by_seed(setting)?);
        ratios.push(measured / formula);
        table.push([
            Value::from(if setting.zipf > 0.0 {
                "Zipf(1)"
            } else {
                "uniform"
            }),
            Value::from(setting.symbols as u64),
            Value::from(setting.samples),
            Value::from(setting.gamma),
            Value::from(measured),
            Value::from(formula),
        ]);
    }
    cx.table(table);
    // One range over all settings: the formula holds at every one of them.
    cx.claim(
        "L.error",
        "Central learning: under the worst attack frequencies err by the noise of n samples, about \
         sqrt(k / n), plus gamma: measured over formula",
    )
    .paper_ref("abstract")
    .scale(Scale::Scaled)
    .expect(Expected::near(1.0, 0.03))
    .source(DERIVED)
    .tolerance_because(
        "the noise of ten runs of a setting, and a normal law for counts of 40 and more",
    )
    .theory(1.0)
    .measured(Estimate::range(&ratios, "settings", ""));
    Ok(())
}
