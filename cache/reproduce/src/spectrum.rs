//! The figure of the abstract's claim: the combiners between a perfect and an adversarial predictor.

use septet_cache::predict::{Noise, PredictorSpec};
use septet_core::experiment::{Context, ExperimentError, Figure, Series};

use crate::families::Family;
use crate::runs::{self, Seeds};

/// The share of predictions that are turned around: the page needed first is said to come last.
const SHARES: [f64; 8] = [0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0];

const SERIES: [&str; 4] = ["FtP", "RobustFtP_D", "RobustFtP_R", "LMarker"];

pub(crate) fn run(cx: &mut Context, families: &[&Family]) -> Result<(), ExperimentError> {
    if !cx.selects("Q2") && !cx.selects("Q3") {
        return Ok(());
    }
    // The real trace where the data is there, else the generated one that stands in for it.
    let named = |name: &str| families.iter().find(|family| family.name == name);
    let Some(&family) = named("mcf-like").or_else(|| named("generated mcf")) else {
        return Ok(());
    };
    // Each share is a predictor of its own, so one grid has all points.
    let pairs: Vec<(&Family, PredictorSpec)> = SHARES
        .iter()
        .map(|&probability| {
            (
                family,
                PredictorSpec::Oracle(Noise::Flipped { probability }),
            )
        })
        .collect();
    let policies = [
        "Belady",
        "Marker",
        "FtP",
        "RobustFtP_D",
        "RobustFtP_R",
        "LMarker",
    ];
    let misses = runs::run(cx, "spectrum", &pairs, &policies, Seeds::Few)?;
    let mut figure = Figure::new(
        "insurance",
        format!(
            "Misses over those of the optimum on {} as predictions go wrong, with intervals at \
             95 %: the combiners follow the predictor (FtP) while it is good, and Marker when it \
             fails",
            family.name
        ),
        "share of predictions that are turned around",
        "misses / misses of the optimum",
    )
    .alt(
        "FtP rises from 1 far above the line of Marker; RobustFtP_D stays beside the lower of the \
         two, RobustFtP_R a little above it; LMarker is near Marker everywhere.",
    );
    // One curve for each policy; a band only where several seeds give an interval.
    for policy in SERIES {
        let mut series = Series::new(policy);
        for (&share, misses) in SHARES.iter().zip(&misses) {
            let ratio = misses.ratio(policy, "Belady");
            series = match ratio.ends() {
                Some(band) => series.point_with_band(share, ratio.value, band),
                None => series.points([(share, ratio.value)]),
            };
        }
        figure = figure.series(series);
    }
    // Marker ignores predictions: any point gives its line.
    if let Some(first) = misses.first() {
        figure = figure.reference("Marker", first.mean("Marker") / first.mean("Belady"));
    }
    cx.figure(figure);
    Ok(())
}
