//! Generalized randomized response: the own symbol, or a uniform other one.

use rand_chacha::rand_core::CryptoRng;

use super::exact::{PrivacyBound, UniformBelow, probability};
use super::{Channel, ExactProbability, Mechanism, PureMechanism, Support, check_symbol};
use crate::error::RobustStatsError;
use crate::parameter::Epsilon;

/// Generalized randomized response over `domain` symbols: the own symbol with probability
/// `e^epsilon / (e^epsilon + domain - 1)`, each other one with `1 / (e^epsilon + domain - 1)`.
///
/// The best of the classical mechanisms for domains below about `3 e^epsilon + 2`; with 2 symbols it
/// is Warner's randomized response. A client may send any symbol, so that a fraction `gamma` of corrupted clients
/// moves the estimate by up to `gamma k / (e^epsilon - 1)`: for large domains use a
/// [`HashDesign`](crate::design::HashDesign).
///
/// Encoding takes the same instructions and random numbers for every symbol, whether it is sent or
/// another one: only a rejected random number, which is independent of both, is drawn again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomizedResponse {
    domain: u32,
    epsilon: Epsilon,
    /// The probability of the own symbol, times `2^64`.
    keep: u64,
    /// Draws one of the other symbols.
    other: UniformBelow,
}

impl RandomizedResponse {
    /// # Errors
    ///
    /// When the domain is empty or has more than `2^32 - 1` symbols, or epsilon is above
    /// [`MAX_EPSILON`](super::MAX_EPSILON).
    pub fn new(domain: usize, epsilon: Epsilon) -> Result<Self, RobustStatsError> {
        let domain = super::check_domain(domain)?;
        // The own symbol against each of the others, which share the remaining probability.
        let keep = PrivacyBound::new(epsilon)?.threshold(u64::from(domain) - 1, 1);
        Ok(Self {
            domain,
            epsilon,
            keep,
            other: UniformBelow::new((domain - 1).max(1)),
        })
    }

    /// Encodes a symbol of the domain, unchecked.
    pub(crate) fn respond<R: CryptoRng + ?Sized>(&self, symbol: u32, rng: &mut R) -> u32 {
        if self.domain == 1 {
            return 0;
        }
        let keep = rng.next_u64() < self.keep;
        let other = self.other.draw(rng);
        let other = other + u32::from(other >= symbol);
        // Branch-free on the secret.
        let mask = u32::from(keep).wrapping_neg();
        (symbol & mask) | (other & !mask)
    }

    /// The probabilities of the own symbol, `p*`, and of a given other one, `q*`.
    #[must_use]
    pub fn probabilities(&self) -> (f64, f64) {
        if self.domain == 1 {
            return (1.0, 0.0);
        }
        let keep = probability(self.keep);
        (keep, (1.0 - keep) / f64::from(self.domain - 1))
    }
}

impl Mechanism for RandomizedResponse {
    type Report = u32;

    fn domain(&self) -> usize {
        self.domain as usize
    }

    fn epsilon(&self) -> Option<Epsilon> {
        Some(self.epsilon)
    }

    fn message_bits(&self) -> f64 {
        super::bits_of(u64::from(self.domain))
    }

    fn encode<R: CryptoRng + ?Sized>(
        &self,
        symbol: usize,
        rng: &mut R,
    ) -> Result<u32, RobustStatsError> {
        let symbol = check_symbol(symbol, self.domain)?;
        Ok(self.respond(symbol, rng))
    }
}

impl PureMechanism for RandomizedResponse {
    fn support(&self) -> Support {
        let (own, other) = self.probabilities();
        Support { own, other }
    }
}

impl Channel for RandomizedResponse {
    fn messages(&self) -> u64 {
        u64::from(self.domain)
    }

    fn probability(&self, symbol: usize, message: u64) -> ExactProbability {
        if self.domain == 1 {
            return ExactProbability::one();
        }
        if message == symbol as u64 {
            ExactProbability::below(self.keep)
        } else {
            ExactProbability::at_least(self.keep).divided(u128::from(self.domain - 1))
        }
    }
}
