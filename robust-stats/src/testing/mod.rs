//! Hypothesis tests that are valid under manipulation by a bounded fraction of clients.
//!
//! - [`IdentityTest`] compares counts, or the reports of a hash design, with a reference.
//! - [`UniformReduction`] reduces a test against any reference to one against the uniform
//!   distribution, which has more power for very uneven references.
//! - [`two_sample`] and [`independence`] are permutation tests shifted by their sensitivity.
//! - [`Statistic`] and [`ClassicalTest`] are classical tests, none of which is robust to manipulation.

mod baseline;
mod identity;
mod permutation;
mod reduction;
mod reference;
mod total_variation;

pub use baseline::{ClassicalTest, Statistic};
pub use identity::{IdentityTest, TestReport};
pub use permutation::{MAX_PERMUTED_SAMPLES, ShiftReport, independence, two_sample};
pub use reduction::{MAX_MAPPED_SAMPLES, UniformReduction};
pub use reference::ExactPmf;

use crate::error::RobustStatsError;

/// Maximum number of simulated data sets or permutations of a test, whose statistics are in memory.
pub const MAX_DRAWS: usize = 10_000_000;

fn check_draws(argument: &'static str, draws: usize) -> Result<(), RobustStatsError> {
    if (1..=MAX_DRAWS).contains(&draws) {
        return Ok(());
    }
    let expected = format!("from 1 to {MAX_DRAWS}");
    Err(RobustStatsError::parameter(argument, expected, draws))
}
