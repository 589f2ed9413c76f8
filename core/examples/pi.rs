//! A small experiment: π by throwing darts, the simplest use of the Monte Carlo method. It shows what an experiment may use,
//! and is the program behind the tests of the runner.
//!
//! ```text
//! cargo run --package septet-core --features experiment --example pi
//! ```

use std::process::ExitCode;

use rand_chacha::rand_core::RngCore;
use septet_core::experiment::{
    Column, Context, Estimate, Expected, Experiment, ExperimentError, Figure, Paper, Profile,
    Scale, Series, Table,
};
use septet_core::stats;

static PAPER: Paper = Paper {
    id: "pi",
    title: "The Monte Carlo Method",
    authors: "N. Metropolis, S. Ulam",
    venue: "Journal of the American Statistical Association",
    year: 1949,
    url: "https://doi.org/10.1080/01621459.1949.10483310",
};

struct Pi;

#[derive(serde::Serialize)]
struct Throw {
    darts: u64,
    repetition: u64,
}

/// The share of darts in the quarter circle, times four.
fn estimate(darts: u64, rng: &mut impl RngCore) -> f64 {
    let mut coordinate = || (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let inside = (0..darts).filter(|_| {
        let (x, y) = (coordinate(), coordinate());
        x * x + y * y < 1.0
    });
    4.0 * inside.count() as f64 / darts as f64
}

impl Experiment for Pi {
    fn paper(&self) -> &'static Paper {
        &PAPER
    }

    fn run(&self, cx: &mut Context) -> Result<(), ExperimentError> {
        let sizes: &[u64] = match cx.profile() {
            Profile::Quick => &[1_000, 10_000, 100_000, 1_000_000],
            _ => &[1_000, 10_000, 100_000, 1_000_000, 10_000_000],
        };
        let repetitions = 20;
        let params: Vec<Throw> = sizes
            .iter()
            .flat_map(|&darts| (0..repetitions).map(move |repetition| Throw { darts, repetition }))
            .collect();
        let estimates: Vec<f64> = cx.cells("throws", &params, |throw, seed| {
            Ok(estimate(throw.darts, &mut seed.rng()))
        })?;
        let by_size: Vec<(u64, &[f64])> = sizes
            .iter()
            .copied()
            .zip(estimates.chunks(repetitions as usize))
            .collect();

        let mut table = Table::new(
            "Estimates of π",
            [
                Column::integer("Darts"),
                Column::number("Mean", 5),
                Column::number("Standard deviation", 5),
            ],
        );
        let mut spread = Series::new("measured spread");
        let mut theory = Series::theory("theory");
        for &(darts, estimates) in &by_size {
            let deviation = stats::standard_deviation(estimates);
            table.push([
                darts.into(),
                stats::mean(estimates).into(),
                deviation.into(),
            ]);
            let mut rng = cx.seed().child("spread").index(darts).rng();
            let deviation_of = |sample: &[f64]| stats::standard_deviation(sample);
            let band = stats::bca(estimates, deviation_of, 2_000, 0.95, &mut rng);
            let x = darts as f64;
            spread = match band {
                Some(band) => spread.point_with_band(x, deviation, band),
                None => spread.points([(x, deviation)]),
            };
            let pi = std::f64::consts::PI;
            theory = theory.points([(x, (pi * (4.0 - pi) / x).sqrt())]);
        }
        cx.table(table.note("Each row: 20 independent repetitions."));

        if let Some(&(_, largest)) = by_size.last() {
            let mut rng = cx.seed().child("mean").rng();
            cx.claim(
                "P1.mean",
                "Four times the share of darts in the quarter circle is π",
            )
            .source("area of the quarter disc")
            .scale(Scale::Original)
            .expect(Expected::near(std::f64::consts::PI, 0.002))
            .tolerance_because("the standard error of the mean is 0.0004")
            .measured(Estimate::of_samples(largest, "", &mut rng));
        }
        let points: Vec<(f64, f64)> = spread
            .points
            .iter()
            .map(|point| (point.x, point.y))
            .collect();
        if let Some(slope) = stats::log_log_slope(&points, 0.95) {
            cx.claim(
                "P2.rate",
                "The spread falls with the square root of the number of darts",
            )
            .scale(Scale::Scaled)
            .expect(Expected::Between(-0.6, -0.4))
            .source("central limit theorem")
            .tolerance_because("a spread of 20 values is known to within 16 %")
            .measured(Estimate::with_interval(
                slope.exponent,
                slope.interval,
                sizes.len(),
                "",
            ));
        }
        cx.skip(
            "P3.needle",
            "Throwing needles on a ruled floor gives π as well",
            "needles are not simulated",
            "throw needles by hand",
        );
        cx.figure(
            Figure::new(
                "spread",
                "Spread of the estimates over the number of darts",
                "darts",
                "standard deviation",
            )
            .log_x()
            .log_y()
            .series(spread)
            .series(theory)
            .reference("a hundredth", 0.01),
        );
        Ok(())
    }
}

fn main() -> ExitCode {
    septet_core::experiment::main(Pi)
}
