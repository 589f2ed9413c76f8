//! The experiments of the paper: set-up, calls and claims. No algorithm lives here.
//!
//! The body of the paper could not be read when this was written, so no claim compares with a
//! number of its tables. Each names the origin of its bound: result files that the authors or later
//! benchmarks published, or a theorem.

mod bits;
mod bound;
mod exactness;
mod families;
mod generated;
mod insurance;
mod marking;
mod noise;
mod parameters;
mod predictor;
mod runs;
mod software;
mod tightest;

use std::time::Duration;

use septet_core::experiment::{Context, Experiment, ExperimentError, Paper, Profile};

use families::Family;

static PAPER: Paper = Paper {
    id: "cache",
    title: "Robust Learning-Augmented Caching: An Experimental Study",
    authors: "J. Chłędowski, A. Polak, B. Szabucki, K. Żołna",
    venue: "ICML",
    year: 2021,
    url: "https://arxiv.org/abs/2106.14693",
};

/// The reproduction of the study of robust learning-augmented caching.
#[derive(Clone, Copy, Debug)]
pub struct RobustCaching;

impl Experiment for RobustCaching {
    fn paper(&self) -> &'static Paper {
        &PAPER
    }

    fn data_sets(&self, profile: Profile) -> &'static [&'static str] {
        match profile {
            Profile::Quick => &families::DATA_SETS[..2],
            Profile::Full | Profile::Gpu => &families::DATA_SETS,
        }
    }

    fn expected_time(&self, profile: Profile) -> Option<Duration> {
        Some(Duration::from_secs(match profile {
            Profile::Quick => 40,
            Profile::Full | Profile::Gpu => 420,
        }))
    }

    fn run(&self, cx: &mut Context) -> Result<(), ExperimentError> {
        let generated = generated::families(cx)?;
        let real = families::real(cx)?;
        let families: Vec<&Family> = generated.iter().chain(&real).collect();
        exactness::run(cx, &families)?;
        insurance::run(cx, &families)?;
        marking::run(cx, &families)?;
        noise::run(cx, &families)?;
        bound::run(cx)?;
        if cx.profile() != Profile::Quick {
            parameters::run(cx, &families)?;
            bits::run(cx, &families)?;
            software::run(cx)?;
        }
        Ok(())
    }
}

/// How many seeds a randomised algorithm is run with.
const SEEDS: u64 = 5;
