//! Q4: marking throws away much of what a good predictor gains; the combiner keeps it.

use septet_core::experiment::{Context, Estimate, Expected, ExperimentError};

use crate::predict::PredictorSpec;

use super::families::{Family, Origin};

use super::runs;

const POLICIES: [&str; 4] = ["Belady", "FtP", "LMarker", "RobustFtP_D"];

/// Traces on which popularity predicts well.
const TRACES: [&str; 6] = [
    "mcf-like",
    "libq-like",
    "lbm-like",
    "generated mcf",
    "generated libquantum",
    "generated lbm",
];

pub(super) fn run(cx: &mut Context, families: &[&Family]) -> Result<(), ExperimentError> {
    if !cx.wants("Q4") {
        return Ok(());
    }
    let pairs: Vec<(&Family, PredictorSpec)> = families
        .iter()
        .filter(|family| TRACES.contains(&family.name.as_str()))
        .map(|&family| (family, PredictorSpec::Popularity))
        .collect();
    let misses = runs::run(cx, "marking", &pairs, &POLICIES)?;
    for ((family, _), misses) in pairs.iter().zip(&misses) {
        let follow = misses.mean("FtP");
        let lost = |policy: &str| -> Vec<f64> {
            misses
                .values(policy)
                .iter()
                .map(|misses| misses - follow)
                .collect()
        };
        let ratios: Vec<f64> = lost("LMarker")
            .iter()
            .zip(lost("RobustFtP_D"))
            .map(|(marking, combiner)| marking / combiner.max(1.0))
            .collect();
        let mut rng = cx.seed().child("marking").child(&family.name).rng();
        let estimate = Estimate::of_samples(&ratios, "", &mut rng);
        cx.claim(
            &format!("Q4.{}", family.name.replace("generated ", "generated-")),
            &format!(
                "Marking (LMarker) loses at least 5 times as much of FtP's gain as RobustFtP_D on {}",
                family.name
            ),
        )
        .paper_ref("comparison with the algorithms of the literature")
        .scale(family.origin.scale())
        .expect(Expected::AtLeast(5.0))
        .source("this project's bound; published on sphinx3: LMarker 2.267, FtP 1.515")
        .measured(estimate);
    }
    if pairs
        .iter()
        .all(|(family, _)| family.origin == Origin::Generated)
    {
        cx.skip(
            "Q4.real",
            "On memory traces of programs, marking loses at least five times as much as the \
             combiner",
            "the traces are not here",
            "name a folder with the instrumented traces with --data or SEPTET_DATA",
        );
    }
    Ok(())
}
