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
pub use permutation::{ShiftReport, independence, two_sample};
pub use reduction::UniformReduction;
pub use reference::ExactPmf;
