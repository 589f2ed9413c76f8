//! The experiments that hold the paper's statements against simulation: the program behind
//! `cargo xtask reproduce robust-stats`.
//!
//! Here are set-up, calls and claims, and the formulas that only claims need. What is run is the
//! library's public interface.
//!
//! The paper has no experiments, and its body could not be read when this was written. Its statements
//! were derived anew with constants, in [`septet_robust_stats::theory`] and [`theory`]; claims compare
//! with those, and say so. Where a rate is an asymptotic one, claims compare with the formula at the
//! size at hand.

mod amplification;
mod central_learning;
mod certificate;
mod coupling;
mod fakes;
mod grid;
mod learning;
mod matrix;
mod population;
mod private_test;
mod real;
mod targeted;
mod theory;
mod transport;

use std::process::ExitCode;

use septet_core::experiment::{Context, Estimate, ExperimentError, Profile};

/// Where claims that were derived anew have their bounds from.
const DERIVED: &str =
    "derived anew from the paper's model, with constants: septet_robust_stats::theory";

fn main() -> ExitCode {
    septet_core::experiment::main(&septet_core::package!(), run)
}

fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    // First, since its figure shows what the abstract claims.
    grid::run(cx)?;
    transport::run(cx)?;
    central_learning::run(cx)?;
    coupling::run(cx)?;
    learning::run(cx)?;
    matrix::run(cx)?;
    certificate::run(cx)?;
    amplification::run(cx)?;
    private_test::run(cx)?;
    targeted::run(cx)?;
    if cx.profile() == Profile::Full {
        real::run(cx)?;
    }
    Ok(())
}

/// How many seeds a cell is run with.
fn seeds(cx: &Context, quick: u64) -> u64 {
    match cx.profile() {
        Profile::Quick => quick,
        Profile::Full => quick * 5,
    }
}

/// A point of a figure with what is known of it: the ends of its interval, or the value alone.
fn band(estimate: &Estimate) -> (f64, f64) {
    estimate.ends().unwrap_or((estimate.value, estimate.value))
}
