//! The exact probabilities of messages, for audits.

use alloc::vec;
use alloc::vec::Vec;

/// A probability as a product of fractions of integers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExactProbability {
    /// Numerators and denominators: the probability is the product of all quotients.
    pub factors: Vec<(u128, u128)>,
}

impl ExactProbability {
    /// The certain event.
    #[must_use]
    pub fn one() -> Self {
        Self {
            factors: Vec::new(),
        }
    }

    /// The impossible event.
    #[must_use]
    pub fn zero() -> Self {
        Self {
            factors: vec![(0, 1)],
        }
    }

    /// The event that a uniform 64-bit number is below `threshold`.
    #[must_use]
    pub fn chance(threshold: u64) -> Self {
        Self {
            factors: vec![(u128::from(threshold), 1 << 64)],
        }
    }

    /// The event that it is not.
    #[must_use]
    pub fn opposite(threshold: u64) -> Self {
        Self {
            factors: vec![((1 << 64) - u128::from(threshold), 1 << 64)],
        }
    }

    /// The probability divided evenly over `outputs` outputs.
    #[must_use]
    pub fn divided(mut self, outputs: u128) -> Self {
        self.factors.push((1, outputs));
        self
    }

    /// The probability that this event and an independent one both happen.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.factors.extend(other.factors);
        self
    }
}

/// A mechanism whose message probabilities are known exactly.
///
/// Where a message has a part that does not depend on the value (a seed, a row of a sketch, a group),
/// the probabilities are those given that part: the part itself carries nothing about the value.
pub trait Channel {
    /// How many messages there are, numbered from 0.
    fn messages(&self) -> u64;

    /// The probability of a message when the value is `symbol`, below the domain.
    fn probability(&self, symbol: usize, message: u64) -> ExactProbability;
}
