//! Subset selection: a random subset of fixed size, biased towards the own symbol.

use rand_chacha::rand_core::CryptoRng;

use super::bit_vector::BitVector;
use super::exact::{PrivacyBound, UniformBelow, probability};
use super::{
    Channel, ExactProbability, Mechanism, PureMechanism, Support, check_domain, check_symbol,
};
use crate::error::RobustStatsError;
use crate::parameter::Epsilon;

/// Subset selection (Ye, Barg 2018; Wang et al. 2016): `w = max(1, round(k / (e^epsilon + 1)))` symbols,
/// which include the own one with probability `w e^epsilon / (w e^epsilon + k - w)`; the others are
/// uniform. For large `k` it has the minimum variance of all mechanisms here; a message has `k` bits.
///
/// Encoding takes the same instructions, random numbers and memory addresses for every symbol, whether
/// it is in the subset or not. The number of random picks varies, independently of the symbol and the
/// subset: the draw treats all places alike, and the own symbol is given its place at the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SubsetSelection {
    domain: u32,
    size: u32,
    epsilon: Epsilon,
    /// The probability that the own symbol is in the subset, times `2^64`.
    include: u64,
    /// Draws one of the other symbols.
    other: UniformBelow,
}

impl SubsetSelection {
    /// # Errors
    ///
    /// When the domain is empty or has more than `2^32 - 1` symbols, or epsilon is above
    /// [`MAX_EPSILON`](super::MAX_EPSILON).
    pub fn new(domain: usize, epsilon: Epsilon) -> Result<Self, RobustStatsError> {
        let domain = check_domain(domain)?;
        let bound = PrivacyBound::new(epsilon)?;
        let size = bound.share_of(domain).max(1);
        // P(S | x in S) / P(S | x not in S) = p / (1-p) * C(k-1, w) / C(k-1, w-1), and the quotient of
        // the binomials is (k - w) / w.
        let include = bound.threshold(u64::from(domain - size), u64::from(size));
        Ok(Self {
            domain,
            size,
            epsilon,
            include,
            other: UniformBelow::new((domain - 1).max(1)),
        })
    }

    /// Number of symbols in a message.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size as usize
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
        if self.domain == 1 {
            bits.set(0, true);
            return Ok(());
        }
        let include = rng.next_u64() < self.include;
        // First a uniform subset of the places of all other symbols, with one symbol fewer than the
        // message has. Independent bits are exchangeable: given their number, the set ones are uniform.
        // So draw them with about the right probability, in steps of 2^-6, and correct the number by
        // uniform picks. A small subset is drawn by picks only.
        let places = self.domain - 1;
        let certain = self.size - 1;
        let coarse = if certain < self.domain / 16 {
            0
        } else {
            (u64::from(certain) << 6) / u64::from(places)
        };
        bits.fill_random(coarse << 58, rng);
        bits.set(places as usize, false);
        let mut set = u32::try_from(bits.count_ones()).expect("at most the domain");
        while set != certain {
            let pick = self.other.draw(rng) as usize;
            let add = set < certain;
            if bits.get(pick) != add {
                bits.set(pick, add);
                set = if add { set + 1 } else { set - 1 };
            }
        }
        // The last symbol of the message is the own one or another pick, which is made in any case.
        let last = loop {
            let pick = self.other.draw(rng) as usize;
            if !bits.get(pick) {
                break pick;
            }
        };
        bits.set(last, !include);
        bits.insert(symbol, include);
        Ok(())
    }
}

impl Mechanism for SubsetSelection {
    type Report = BitVector;

    fn domain(&self) -> usize {
        self.domain as usize
    }

    fn epsilon(&self) -> Option<Epsilon> {
        Some(self.epsilon)
    }

    /// The transmitted size, one bit per symbol.
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

impl PureMechanism for SubsetSelection {
    fn support(&self) -> Support {
        if self.domain == 1 {
            return Support {
                own: 1.0,
                other: 0.0,
            };
        }
        let own = probability(self.include);
        let (size, rest) = (f64::from(self.size), f64::from(self.domain - 1));
        Support {
            own,
            other: (own * (size - 1.0) + (1.0 - own) * size) / rest,
        }
    }
}

/// For domains of at most 63 symbols: the bits of the message number are those sent.
impl Channel for SubsetSelection {
    fn messages(&self) -> u64 {
        1 << self.domain
    }

    fn probability(&self, symbol: usize, message: u64) -> ExactProbability {
        if message.count_ones() != self.size {
            return ExactProbability::zero();
        }
        if self.domain == 1 {
            return ExactProbability::one();
        }
        let others = u128::from(self.domain - 1);
        let size = u128::from(self.size);
        if message >> symbol & 1 == 1 {
            ExactProbability::below(self.include).divided(choose(others, size - 1))
        } else {
            ExactProbability::at_least(self.include).divided(choose(others, size))
        }
    }
}

/// The binomial coefficient of `of` over `chosen`, for `of` up to 63.
fn choose(of: u128, chosen: u128) -> u128 {
    (0..chosen).fold(1, |subsets, taken| subsets * (of - taken) / (taken + 1))
}
