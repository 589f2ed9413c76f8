//! Exact message probabilities, for audits.

use alloc::vec;
use alloc::vec::Vec;

/// A probability as a product of rational numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExactProbability {
    /// Pairs of numerator and denominator, whose quotients are multiplied.
    pub factors: Vec<(u128, u128)>,
}

impl ExactProbability {
    /// Probability 1.
    #[must_use]
    pub fn one() -> Self {
        Self {
            factors: Vec::new(),
        }
    }

    /// Probability 0.
    #[must_use]
    pub fn zero() -> Self {
        Self {
            factors: vec![(0, 1)],
        }
    }

    /// The probability that a uniform 64-bit integer is below `threshold`.
    #[must_use]
    pub fn below(threshold: u64) -> Self {
        Self {
            factors: vec![(u128::from(threshold), 1 << 64)],
        }
    }

    /// The probability that a uniform 64-bit integer is at least `threshold`.
    #[must_use]
    pub fn at_least(threshold: u64) -> Self {
        Self {
            factors: vec![((1 << 64) - u128::from(threshold), 1 << 64)],
        }
    }

    /// The probability of each of `outputs` equally likely outputs.
    #[must_use]
    pub fn divided(mut self, outputs: u128) -> Self {
        self.factors.push((1, outputs));
        self
    }

    /// The joint probability with an independent event.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.factors.extend(other.factors);
        self
    }
}

/// A mechanism with exactly known message probabilities.
///
/// If a part of a message is independent of the value (a seed, a row of a sketch, a group), the
/// probabilities are conditional on that part, which carries no information about the value.
pub trait Channel {
    /// Number of messages, which are numbered from 0.
    fn messages(&self) -> u64;

    /// The probability of a message for the value `symbol`, which is below the domain.
    fn probability(&self, symbol: usize, message: u64) -> ExactProbability;
}
