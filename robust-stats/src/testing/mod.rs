//! Tests whose verdict stands whatever a bounded fraction of liars did.
//!
//! - [`IdentityTest`] compares counts, or the reports of a hash design, with a reference.
//! - [`UniformReduction`] turns a test against any reference into one against the uniform
//!   distribution, which is the better of the two for rough references.
//! - [`two_sample`] and [`independence`] shift a permutation test by its sensitivity.
//! - [`Statistic`] holds the classical tests, none of which survives manipulation.

mod baseline;
mod identity;
mod permutation;
mod reduction;
mod reference;
mod total_variation;

pub use baseline::{ClassicalTest, Statistic};
pub use identity::{IdentityTest, TestReport};
pub use permutation::{MOST_PERMUTED, ShiftReport, independence, two_sample};
pub use reduction::{MOST_MAPPED, UniformReduction};
pub use reference::ExactPmf;

use crate::error::RobustStatsError;

/// The most simulated data sets or permutations of a test: their statistics are held in memory.
pub const MOST_DRAWS: usize = 10_000_000;

fn check_draws(argument: &'static str, draws: usize) -> Result<(), RobustStatsError> {
    if (1..=MOST_DRAWS).contains(&draws) {
        return Ok(());
    }
    let expected = format!("from 1 to {MOST_DRAWS}");
    Err(RobustStatsError::parameter(argument, expected, draws))
}
