//! Experiments that reproduce a paper: what one is, how it is run, what it may use.
//!
//! An [`Experiment`] names its [`Paper`] and works through a [`Context`], its only way to
//! randomness, data, progress and results. The whole program of a system's `reproduce-<system>` is
//! [`main`]:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use septet_core::experiment::{
//!     Context, Estimate, Expected, Experiment, ExperimentError, Paper, Scale, main,
//! };
//!
//! static PAPER: Paper = Paper {
//!     id: "dice",
//!     title: "On Throwing Dice",
//!     authors: "A. Author",
//!     venue: "Journal of Examples",
//!     year: 2021,
//!     url: "https://example.org",
//! };
//!
//! struct Dice;
//!
//! impl Experiment for Dice {
//!     fn paper(&self) -> &'static Paper {
//!         &PAPER
//!     }
//!
//!     fn run(&self, cx: &mut Context) -> Result<(), ExperimentError> {
//!         let means: Vec<f64> = cx.cells("throws", &[0_u64, 1, 2, 3, 4, 5, 6, 7], |_, seed| {
//!             use rand_chacha::rand_core::RngCore as _;
//!             let mut rng = seed.rng();
//!             let throws = (0..10_000).map(|_| f64::from(1 + rng.next_u32() % 6));
//!             Ok(throws.sum::<f64>() / 10_000.0)
//!         })?;
//!         let mut rng = cx.seed().child("interval").rng();
//!         let mean = Estimate::of_samples(&means, "points", &mut rng);
//!         cx.claim("D1.mean", "A fair die shows 3.5 points on average")
//!             .paper_ref("section 2")
//!             .scale(Scale::Original)
//!             .expect(Expected::near(3.5, 0.05))
//!             .tolerance_because("the standard error of 80 000 throws is 0.006")
//!             .measured(mean);
//!         Ok(())
//!     }
//! }
//!
//! // In the binary: `fn main() -> ExitCode { … }`.
//! fn program() -> ExitCode {
//!     main(Dice)
//! }
//! ```

mod cells;
mod claim;
mod context;
mod error;
mod exit;
mod header;
mod program;
#[cfg(test)]
mod tests;

pub use claim::ClaimBuilder;
pub use context::Context;
pub use error::ExperimentError;
pub use program::main;

pub use crate::data::DataSet;
pub use crate::report::{
    Column, Estimate, Expected, Figure, Report, Scale, Series, Table, Value, Verdict,
};
pub use crate::seed::SeedTree;

use std::time::Duration;

use clap::ValueEnum;

/// A paper whose results an experiment reproduces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paper {
    /// The name on the command line and of the folder of results: the crate's folder name.
    pub id: &'static str,
    /// The title.
    pub title: &'static str,
    /// The authors, separated by commas.
    pub authors: &'static str,
    /// Where it appeared.
    pub venue: &'static str,
    /// When it appeared.
    pub year: u16,
    /// Where it can be read.
    pub url: &'static str,
}

/// How much of an experiment is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Profile {
    /// At most 60 seconds on two processors; no data set is needed.
    Quick,
    /// Everything, on the real data; a data set that is absent is an error.
    Full,
    /// What needs a graphics processor.
    Gpu,
}

impl Profile {
    /// The name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
            Self::Gpu => "gpu",
        }
    }
}

/// The experiment of a paper.
pub trait Experiment {
    /// The paper.
    fn paper(&self) -> &'static Paper;

    /// The data sets that a profile uses when they are there; listed before the run.
    fn data_sets(&self, _profile: Profile) -> &'static [&'static str] {
        &[]
    }

    /// About how long it takes on two processors.
    fn expected_time(&self, _profile: Profile) -> Option<Duration> {
        None
    }

    /// Runs the experiment: works out cells, judges claims, adds tables and figures.
    ///
    /// # Errors
    ///
    /// Whatever stops the experiment. A claim that is not reproduced is no error.
    fn run(&self, cx: &mut Context) -> Result<(), ExperimentError>;
}
