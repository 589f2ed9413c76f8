//! The experiments that hold the paper's statements against simulation: set-up, calls and claims. No
//! algorithm lives here.
//!
//! The paper has no experiments, and its body could not be read when this was written. Its statements
//! were derived anew with constants (D1 to D10 in the module [`crate::theory`]); claims compare with
//! those, and say so.

mod amplification;
mod coupling;
mod fakes;
mod grid;
mod learning;
mod matrix;
mod population;
mod private_test;
mod real;
mod targeted;
mod transport;

use std::time::Duration;

use septet_core::experiment::{Context, Experiment, ExperimentError, Paper, Profile};

static PAPER: Paper = Paper {
    id: "robust-stats",
    title: "Robust Testing and Estimation under Manipulation Attacks",
    authors: "J. Acharya, Z. Sun, H. Zhang",
    venue: "ICML",
    year: 2021,
    url: "https://arxiv.org/abs/2104.10740",
};

/// Where claims that were derived anew have their bounds from.
const DERIVED: &str = "the paper's model, derived anew with constants";

/// The reproduction of robust testing and estimation under manipulation.
#[derive(Clone, Copy, Debug)]
pub struct RobustStatistics;

impl Experiment for RobustStatistics {
    fn paper(&self) -> &'static Paper {
        &PAPER
    }

    fn data_sets(&self, profile: Profile) -> &'static [&'static str] {
        match profile {
            Profile::Quick => &[],
            Profile::Full | Profile::Gpu => &real::DATA_SETS,
        }
    }

    fn expected_time(&self, profile: Profile) -> Option<Duration> {
        Some(Duration::from_secs(match profile {
            Profile::Quick => 40,
            Profile::Full | Profile::Gpu => 900,
        }))
    }

    fn run(&self, cx: &mut Context) -> Result<(), ExperimentError> {
        transport::run(cx)?;
        coupling::run(cx)?;
        learning::run(cx)?;
        amplification::run(cx)?;
        private_test::run(cx)?;
        targeted::run(cx)?;
        matrix::run(cx)?;
        if cx.profile() != Profile::Quick {
            grid::run(cx)?;
            real::run(cx)?;
        }
        Ok(())
    }
}

/// How many seeds a cell is run with.
fn seeds(cx: &Context, quick: u64) -> u64 {
    match cx.profile() {
        Profile::Quick => quick,
        Profile::Full | Profile::Gpu => quick * 5,
    }
}
