//! The experiments of the paper, the program behind `cargo xtask reproduce cache`: set-up, calls
//! and claims. No algorithm of the study lives here.
//!
//! The body of the paper could not be read when this was written, so no claim compares with a
//! number of its tables. Each names the origin of its bound: result files that the authors or later
//! benchmarks published, or a theorem.

mod bits;
mod exactness;
mod families;
mod generated;
mod independent;
mod insurance;
mod marking;
mod noise;
mod parameters;
mod predictor;
mod randomized;
mod runs;
mod software;
mod spectrum;
mod tightest;

use std::process::ExitCode;

use septet_core::experiment::{Context, ExperimentError, Profile};

use crate::families::Family;

/// How many seeds a randomized algorithm is run with, and how many traces a generator draws.
const SEEDS: u64 = 5;

/// How many seeds R and Marker are run with on a real trace: R depends much on its draws.
const SEEDS_OF_R: u64 = 20;

/// How many on a real trace of fewer than [`SHORT`] requests, where each draw weighs more.
const SEEDS_OF_R_SHORT: u64 = 120;

/// How many D is run with on BrightKite.
const SEEDS_OF_D_SHORT: u64 = 40;

const SHORT: usize = 250_000;

/// The combiners' parameter in the study.
const EPSILON: f64 = 0.01;

fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    let generated = generated::families(cx)?;
    let real = families::real(cx)?;
    let families: Vec<&Family> = generated.iter().chain(&real).collect();
    spectrum::run(cx, &families)?;
    let insured = insurance::run(cx, &families)?;
    exactness::run(cx, &insured)?;
    marking::run(cx, &insured);
    noise::run(cx, &families)?;
    independent::run(cx, &families)?;
    randomized::run(cx, &families)?;
    if cx.profile() == Profile::Full {
        parameters::run(cx, &families)?;
        bits::run(cx, &families)?;
        software::run(cx)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    septet_core::experiment::main(&septet_core::package!(), run)
}
