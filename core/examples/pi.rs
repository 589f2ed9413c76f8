//! A small experiment: π by throwing darts, the simplest use of the Monte Carlo method. It shows what an experiment may use,
//! and is the program behind the tests of the runner.
//!
//! ```text
//! cargo run --package septet-core --features experiment
//! ```

use std::f64::consts::PI;
use std::fs;
use std::io::Write as _;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use rand_chacha::rand_core::RngCore;
use septet_core::experiment::{
    Cell, Column, Context, Estimate, Expected, ExperimentError, Figure, Package, Profile, Scale,
    Series, Table, main as run_experiment,
};
use septet_core::io::write_whole;
use septet_core::report::Build;
use septet_core::stats;

/// How often each number of darts is thrown.
const REPETITIONS: u64 = 40;

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

fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    let throws = throw_all(cx)?;
    claim_mean(cx, &throws);
    claim_rate(cx, &throws);
    if cx.selects("P1.checkpoint") {
        claim_checkpoint(cx)?;
    }
    cx.skip(
        "P3.needle",
        "Throwing needles on a ruled floor gives π as well",
        "needles are not simulated",
        "throw needles by hand",
    );
    Ok(())
}

fn throw_all(cx: &mut Context) -> Result<Vec<Throws>, ExperimentError> {
    let sizes = match cx.profile() {
        Profile::Quick => 6,
        Profile::Full => 7,
    };
    let numbers: Vec<u64> = (0..sizes).map(|size| 1_000 * 4_u64.pow(size)).collect();
    let grid = cx
        .grid("throws", numbers.clone())
        .seeds(REPETITIONS)
        .run(|&darts, cell| Ok(throw(darts, &mut cell.seed().rng())))?;
    let throws = numbers.into_iter().map(|darts| {
        let estimates = grid.by_seed(&darts)?.to_vec();
        Ok(Throws { darts, estimates })
    });
    throws.collect()
}

/// A cell that takes long, as a training does: it writes down how far it is, and goes on there after
/// a kill. `PI_PAUSE` slows it down, in milliseconds a round, for those who want to see that.
fn claim_checkpoint(cx: &mut Context) -> Result<(), ExperimentError> {
    const ROUNDS: u64 = 50;
    let pause = std::env::var("PI_PAUSE")
        .ok()
        .and_then(|ms| ms.parse().ok());
    let work = |_: &u64, cell: &Cell| -> Result<f64, ExperimentError> {
        let file = cell.scratch()?.join("rounds.json");
        let kept = fs::read(&file).ok();
        let kept = kept.and_then(|text| serde_json::from_slice(&text).ok());
        let (start, mut sum): (u64, f64) = kept.unwrap_or((0, 0.0));
        for round in start..ROUNDS {
            sum += throw(20_000, &mut cell.seed().index(round).rng());
            let done = serde_json::to_vec(&(round + 1, sum))?;
            write_whole(&file, |file| file.write_all(&done))?;
            thread::sleep(Duration::from_millis(pause.unwrap_or(0)));
        }
        Ok(sum / ROUNDS as f64)
    };
    let found = *cx.grid("checkpoint", [ROUNDS]).run(work)?.get(&ROUNDS)?;
    cx.claim(
        "P1.checkpoint",
        "A million darts, thrown in rounds, find π too",
    )
    .scale(Scale::Beyond)
    .expect(Expected::near(PI, 0.012))
    .source("area of the disc")
    .tolerance_because("seven standard errors of a million darts")
    .measured(Estimate::confidence(
        found,
        (found - 0.003_3, found + 0.003_3),
        "normal approximation",
        1_000_000,
        "darts",
        "",
    ));
    Ok(())
}

fn claim_mean(cx: &mut Context, throws: &[Throws]) {
    let Some(most) = throws.last() else { return };
    let mut rng = cx.seed().child("mean").rng();
    let mean = Estimate::mean(&most.estimates, "series of throws", "", &mut rng);
    cx.claim(
        "P1.mean",
        "Four times the share of darts in the quarter disc is π",
    )
    .scale(Scale::Scaled)
    .expect(Expected::near(PI, 0.002))
    .source("area of the disc")
    .tolerance_because("seven standard errors of the mean of 40 times 1 024 000 darts")
    .published(PI)
    .headline()
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
        .measured(Estimate::confidence(
            slope.exponent,
            slope.interval,
            "least squares, Student's t",
            spreads.len(),
            "numbers of darts",
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
    let package = Package {
        manifest: include_str!("pi.toml"),
        contradictions: "",
        build: Build::default(),
    };
    run_experiment(&package, run)
}
