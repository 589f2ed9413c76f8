//! Experiments that reproduce a paper: what one is, how it is run, what it may use.
//!
//! An experiment is a package, `septet-<system>-reproduce`. Its manifest states the facts of the
//! [`Paper`], its `contradictions.toml` the claims that are known to be contradicted, and its
//! program is one call of [`main`] with a function that works through a [`Context`], its only way to
//! randomness, data, progress and results:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use rand_chacha::rand_core::RngCore as _;
//! use septet_core::experiment::{
//!     Context, Expected, ExperimentError, Package, Scale, main,
//! };
//!
//! fn run(cx: &mut Context) -> Result<(), ExperimentError> {
//!     // One cell for each kind of die, with eight seeds: computed in parallel, kept on disk.
//!     let throws = cx.grid("throws", [6_u32, 20]).seeds(8).run(|&sides, cell| {
//!         let mut rng = cell.seed().rng();
//!         let throws = (0..10_000).map(|_| f64::from(1 + rng.next_u32() % sides));
//!         Ok(throws.sum::<f64>() / 10_000.0)
//!     })?;
//!     cx.claim("D1.mean", "A fair die shows 3.5 points on average")
//!         .paper_ref("section 2")
//!         .scale(Scale::Original)
//!         .expect(Expected::near(3.5, 0.05))
//!         .tolerance_because("the standard error of 80 000 throws is 0.006")
//!         .published(3.5)
//!         .headline()
//!         .measured(throws.over_seeds(&6, "series of throws", "points", |&mean| mean)?);
//!     Ok(())
//! }
//!
//! // In an experiment's own package: `septet_core::package!()`.
//! const MANIFEST: &str = r#"
//!     [package.metadata.septet]
//!     id = "dice"
//!     title = "On Throwing Dice"
//!     authors = "A. Author"
//!     venue = "Journal of Examples"
//!     year = 2021
//!     url = "https://example.org"
//!     claim = "Fair dice are fair."
//!     questions = [{ id = "D1", text = "What does a die show on average?" }]
//!     quick = { seconds = 1 }
//!     full = { seconds = 1 }
//! "#;
//!
//! // In the binary: `fn main() -> ExitCode { .. }`.
//! fn program() -> ExitCode {
//!     let (manifest, contradictions) = (MANIFEST, "");
//!     let build = Default::default();
//!     main(&Package { manifest, contradictions, build }, run)
//! }
//! ```

mod cell;
mod claim;
mod context;
mod error;
mod exit;
mod grid;
mod header;
mod package;
mod program;
mod store;
#[cfg(feature = "cli-testing")]
pub mod testing;
#[cfg(test)]
mod tests;

pub use cell::Cell;
pub use claim::ClaimBuilder;
pub use context::Context;
pub use error::ExperimentError;
pub use grid::{Grid, GridBuilder};
pub use package::Package;
pub use program::main;

pub use crate::data::DataSet;
pub use crate::paper::{Paper, Question};
pub use crate::report::{
    Certainty, Column, Estimate, Expected, Figure, Report, Scale, Series, Table, Value, Verdict,
};
pub use crate::seed::SeedTree;

use clap::ValueEnum;
use serde::Deserialize;

use crate::paper::Run;

/// How much of an experiment is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// At most 60 seconds on two processors; no data set is needed.
    Quick,
    /// Everything, on the real data; a data set that is absent is an error.
    Full,
}

impl Profile {
    /// The name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }

    /// What this profile takes and uses of a paper.
    pub(crate) fn of(self, paper: &Paper) -> &Run {
        match self {
            Self::Quick => &paper.quick,
            Self::Full => &paper.full,
        }
    }
}
