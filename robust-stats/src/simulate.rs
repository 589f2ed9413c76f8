//! Draws of what the server sees, without the messages of single clients.
//!
//! Clients of one group are exchangeable, so their counts hold all that their messages say; drawing
//! the counts costs as much for a million clients as for a thousand.

use rand::Rng;

use crate::aggregate::CountMatrix;
use crate::decode::DesignMatrix;
use crate::distribution::{MultinomialSampler, Pmf};
use crate::error::RobustStatsError;

/// The counts of a design when `users` clients draw their values from `pmf` and nobody lies. Groups
/// differ in size by at most one. O(groups times (cells + symbols)).
///
/// # Errors
///
/// When the domains differ.
pub fn sample_counts<R: Rng + ?Sized>(
    matrix: &DesignMatrix,
    pmf: &Pmf,
    users: u64,
    rng: &mut R,
) -> Result<CountMatrix, RobustStatsError> {
    if pmf.domain() != matrix.symbols() {
        return Err(RobustStatsError::mismatch(
            "domain",
            pmf.domain(),
            matrix.symbols(),
        ));
    }
    let law = matrix.message_law(pmf.masses());
    let groups = matrix.groups();
    let mut counts = CountMatrix::new(groups, matrix.cells());
    for (group, law) in law.chunks_exact(matrix.cells()).enumerate() {
        let size = group_size(users, groups, group);
        let sampler = MultinomialSampler::new(&Pmf::from_weights(law)?);
        sampler.sample_into(size, rng, counts.group_mut(group));
    }
    Ok(counts)
}

/// How many of `users` clients are in a group when groups are as even as they can be.
#[must_use]
pub fn group_size(users: u64, groups: usize, group: usize) -> u64 {
    let groups = groups as u64;
    users / groups + u64::from((group as u64) < users % groups)
}

/// The matrix of a central protocol: one group, in which every symbol is its own cell.
///
/// # Errors
///
/// When there is no symbol.
pub fn central(symbols: usize) -> Result<DesignMatrix, RobustStatsError> {
    DesignMatrix::new(symbols, symbols, 1, |_, symbol| symbol)
}
