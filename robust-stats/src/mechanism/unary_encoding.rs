//! Unary encoding: one bit per symbol, randomized independently.

use rand_chacha::rand_core::CryptoRng;

use super::bit_vector::BitVector;
use super::exact::{PrivacyBound, probability};
use super::{
    Channel, ExactProbability, Mechanism, PureMechanism, Support, check_domain, check_symbol,
};
use crate::error::RobustStatsError;
use crate::parameter::Epsilon;

/// Unary encoding: `domain` bits. The own symbol's bit is set with one probability, every other bit
/// with a lower one.
///
/// Encoding takes the same instructions and random numbers for every symbol and message, except for a
/// probability of `6e-12` per 64 symbols; the memory address of the own bit depends on the symbol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnaryEncoding {
    domain: u32,
    epsilon: Epsilon,
    /// The probability that the own bit is set, times `2^64`.
    own: u64,
    /// The probability that another bit is set, times `2^64`.
    other: u64,
}

impl UnaryEncoding {
    /// Symmetric unary encoding, the basic form of RAPPOR: every bit is kept with probability
    /// `e^(epsilon/2) / (e^(epsilon/2) + 1)`.
    ///
    /// # Errors
    ///
    /// When the domain is empty or has more than `2^32 - 1` symbols, or epsilon is above
    /// [`MAX_EPSILON`](super::MAX_EPSILON).
    pub fn symmetric(domain: usize, epsilon: Epsilon) -> Result<Self, RobustStatsError> {
        let own = PrivacyBound::new(epsilon)?.threshold_of_half();
        Ok(Self {
            domain: check_domain(domain)?,
            epsilon,
            own,
            other: own.wrapping_neg(),
        })
    }

    /// Optimized unary encoding (Wang, Blocki, Li, Jha 2017): the own bit is a fair coin, another one is
    /// set with probability `1 / (e^epsilon + 1)`, which minimizes the variance for rare symbols.
    ///
    /// # Errors
    ///
    /// As [`UnaryEncoding::symmetric`].
    pub fn optimized(domain: usize, epsilon: Epsilon) -> Result<Self, RobustStatsError> {
        let clear = PrivacyBound::new(epsilon)?.threshold(1, 1);
        Ok(Self {
            domain: check_domain(domain)?,
            epsilon,
            own: 1 << 63,
            other: clear.wrapping_neg(),
        })
    }

    /// Whether this is the optimized form.
    pub(crate) fn is_optimized(&self) -> bool {
        self.own == 1 << 63
    }

    /// Encodes into an existing bit vector without allocation.
    ///
    /// # Errors
    ///
    /// When the symbol is outside the domain, or the number of bits is not `domain`.
    pub fn encode_into<R: CryptoRng + ?Sized>(
        &self,
        symbol: usize,
        rng: &mut R,
        bits: &mut BitVector,
    ) -> Result<(), RobustStatsError> {
        check_symbol(symbol, self.domain)?;
        if bits.len() != self.domain as usize {
            return Err(RobustStatsError::mismatch(
                "domain",
                self.domain,
                bits.len(),
            ));
        }
        bits.fill_random(self.other, rng);
        bits.set(symbol, rng.next_u64() < self.own);
        Ok(())
    }
}

impl Mechanism for UnaryEncoding {
    type Report = BitVector;

    fn domain(&self) -> usize {
        self.domain as usize
    }

    fn epsilon(&self) -> Option<Epsilon> {
        Some(self.epsilon)
    }

    fn message_bits(&self) -> f64 {
        f64::from(self.domain)
    }

    fn encode<R: CryptoRng + ?Sized>(
        &self,
        symbol: usize,
        rng: &mut R,
    ) -> Result<BitVector, RobustStatsError> {
        let mut bits = BitVector::zeros(self.domain as usize);
        self.encode_into(symbol, rng, &mut bits)?;
        Ok(bits)
    }
}

impl PureMechanism for UnaryEncoding {
    fn support(&self) -> Support {
        Support {
            own: probability(self.own),
            other: probability(self.other),
        }
    }
}

/// For domains of at most 63 symbols: the bits of the message number are those sent.
impl Channel for UnaryEncoding {
    fn messages(&self) -> u64 {
        1 << self.domain
    }

    fn probability(&self, symbol: usize, message: u64) -> ExactProbability {
        (0..self.domain as usize).fold(ExactProbability::one(), |product, bit| {
            let set = if bit == symbol { self.own } else { self.other };
            product.and(if message >> bit & 1 == 1 {
                ExactProbability::below(set)
            } else {
                ExactProbability::at_least(set)
            })
        })
    }
}
