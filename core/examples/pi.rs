//! A small experiment: π by throwing darts, the simplest use of the Monte Carlo method. It shows what an experiment may use,
//! and is the program behind the tests of the runner.
//!
//! ```text
//! cargo run --package septet-core --features experiment
//! ```

use std::f64::consts::PI;
use std::process::ExitCode;
use std::time::Duration;

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

/// How often each number of darts is thrown.
const REPETITIONS: usize = 40;

/// The parameters of a cell.
#[derive(serde::Serialize)]
struct Throw {
    darts: u64,
    repetition: usize,
}

/// The estimates of π from one number of darts.
struct Throws {
    darts: u64,
    estimates: Vec<f64>,
}

/// The share of darts in the quarter disc, times four.
fn throw(darts: u64, rng: &mut impl RngCore) -> f64 {
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

    fn expected_time(&self, profile: Profile) -> Option<Duration> {
        match profile {
            Profile::Quick => Some(Duration::from_secs(1)),
            Profile::Full => Some(Duration::from_secs(3)),
            Profile::Gpu => None,
        }
    }

    fn run(&self, cx: &mut Context) -> Result<(), ExperimentError> {
        let throws = throw_all(cx)?;
        claim_mean(cx, &throws);
        claim_rate(cx, &throws);
        cx.skip(
            "P3.needle",
            "Throwing needles on a ruled floor gives π as well",
            "needles are not simulated",
            "throw needles by hand",
        );
        Ok(())
    }
}

fn throw_all(cx: &mut Context) -> Result<Vec<Throws>, ExperimentError> {
    let sizes = match cx.profile() {
        Profile::Quick => 6,
        Profile::Full | Profile::Gpu => 7,
    };
    let darts = (0..sizes).map(|size| 1_000 * 4_u64.pow(size));
    let params: Vec<Throw> = darts
        .clone()
        .flat_map(|darts| (0..REPETITIONS).map(move |repetition| Throw { darts, repetition }))
        .collect();
    let estimates: Vec<f64> = cx.cells("throws", &params, |params, seed| {
        Ok(throw(params.darts, &mut seed.rng()))
    })?;
    let groups = estimates.chunks(REPETITIONS).map(<[f64]>::to_vec);
    Ok(darts
        .zip(groups)
        .map(|(darts, estimates)| Throws { darts, estimates })
        .collect())
}

fn claim_mean(cx: &mut Context, throws: &[Throws]) {
    let Some(most) = throws.last() else { return };
    let mut rng = cx.seed().child("mean").rng();
    let mean = Estimate::of_samples(&most.estimates, "", &mut rng);
    cx.claim(
        "P1.mean",
        "Four times the share of darts in the quarter disc is π",
    )
    .scale(Scale::Scaled)
    .expect(Expected::near(PI, 0.002))
    .source("area of the disc")
    .tolerance_because("seven standard errors of the mean of 40 times 1 024 000 darts")
    .measured(mean);

    let columns = [
        Column::integer("Darts"),
        Column::number("Mean", 5),
        Column::number("Standard deviation", 5),
    ];
    let mut table = Table::new("Estimates of π", columns);
    for Throws { darts, estimates } in throws {
        let deviation = stats::standard_deviation(estimates);
        table.push([
            (*darts).into(),
            stats::mean(estimates).into(),
            deviation.into(),
        ]);
    }
    cx.table(table.note(format!("Each row: {REPETITIONS} independent repetitions.")));
}

fn claim_rate(cx: &mut Context, throws: &[Throws]) {
    let mut spreads = Vec::new();
    let mut measured = Series::new("measured");
    for Throws { darts, estimates } in throws {
        let spread = |sample: &[f64]| stats::standard_deviation(sample);
        let point = (*darts as f64, spread(estimates));
        let mut rng = cx.seed().child("spread").index(*darts).rng();
        measured = match stats::bca(estimates, spread, 2_000, 0.95, &mut rng) {
            Some(band) => measured.point_with_band(point.0, point.1, band),
            None => measured.points([point]),
        };
        spreads.push(point);
    }
    if let Some(slope) = stats::log_log_slope(&spreads, 0.95) {
        cx.claim(
            "P2.rate",
            "The spread falls with the square root of the number of darts",
        )
        .scale(Scale::Scaled)
        .expect(Expected::near(-0.5, 0.15))
        .source("central limit theorem")
        .tolerance_because("each spread is known to within 11 %, the exponent to within 0.02")
        .measured(Estimate::with_interval(
            slope.exponent,
            slope.interval,
            spreads.len(),
            "",
        ));
    }
    let theory = spreads
        .iter()
        .map(|&(darts, _)| (darts, (PI * (4.0 - PI) / darts).sqrt()));
    cx.figure(
        Figure::new(
            "spread",
            "Spread of the estimates over the number of darts, with its interval at 95 %",
            "darts",
            "standard deviation",
        )
        .alt("A falling straight line on logarithmic axes; theory lies within the measured band.")
        .log_x()
        .log_y()
        .series(measured)
        .series(Series::theory("theory").points(theory)),
    );
}

fn main() -> ExitCode {
    septet_core::experiment::main(Pi)
}
