//! Local hashing: the symbol is hashed to a cell, which is sent by randomized response.

use rand_chacha::rand_core::CryptoRng;

use super::exact::{PrivacyBound, uniform_below};
use super::{Channel, ExactProbability, Mechanism, PureMechanism, RandomizedResponse, Support};
use super::{bits_of, check_domain, check_symbol};
use crate::error::RobustStatsError;
use crate::parameter::Epsilon;

/// Optimized local hashing (OLH; Wang, Blocki, Li, Jha 2017), and its fast form with a finite family of
/// hash functions (FLH; Maddock's pure-LDP).
///
/// The client draws the seed of a hash function into `g = round(e^epsilon) + 1` cells and sends the
/// seed with the randomized cell. As the client chooses the seed, a fraction `gamma` of corrupted clients moves the
/// estimate by about `2 gamma k e^epsilon / ((e^epsilon + 1)(e^epsilon - 1))`: a
/// [`HashDesign`](crate::design::HashDesign), where the server chooses, costs them a factor `sqrt(k)`.
///
/// Encoding takes the same instructions and random numbers for every symbol and cell: only a rejected
/// random number, which is independent of both, is drawn again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalHashing {
    domain: u32,
    epsilon: Epsilon,
    /// Number of hash functions; 0 for all `2^64`.
    family: u32,
    response: RandomizedResponse,
}

/// A message of [`LocalHashing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashedCell {
    /// The seed of the hash function.
    pub seed: u64,
    /// The cell.
    pub cell: u32,
}

/// Maximum number of counts of a family on the server.
const MAX_FAMILY_COUNTS: usize = 1 << 27;

impl LocalHashing {
    /// With 64-bit seeds.
    ///
    /// # Errors
    ///
    /// When the domain is empty or has more than `2^32 - 1` symbols, or epsilon is above 20: there
    /// would be more than `2^28` cells.
    pub fn new(domain: usize, epsilon: Epsilon) -> Result<Self, RobustStatsError> {
        let domain = check_domain(domain)?;
        if epsilon.get() > 20.0 {
            return Err(RobustStatsError::parameter(
                "epsilon",
                "at most 20",
                epsilon.get(),
            ));
        }
        let cells = PrivacyBound::new(epsilon)?.rounded() + 1;
        let cells = usize::try_from(cells).expect("below 2^29 for epsilon up to 20");
        Ok(Self {
            domain,
            epsilon,
            family: 0,
            response: RandomizedResponse::new(cells, epsilon)?,
        })
    }

    /// Restricts seeds to `0..family`, so that the server counts by seed and decodes once.
    ///
    /// # Errors
    ///
    /// When the family is empty, or the number of counts, one per hash function and cell, exceeds
    /// `2^27`.
    pub fn with_family(self, family: u32) -> Result<Self, RobustStatsError> {
        let max = MAX_FAMILY_COUNTS / self.cells();
        if !(1..=max).contains(&(family as usize)) {
            let cells = self.cells();
            let expected = if max == 0 {
                alloc::format!("no family, because of {cells} cells")
            } else {
                alloc::format!("1 to {max} hash functions into {cells} cells")
            };
            return Err(RobustStatsError::parameter("family", expected, family));
        }
        Ok(Self { family, ..self })
    }

    /// Number of cells of the hash functions.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.response.domain()
    }

    /// Number of hash functions; `None` for all `2^64`.
    #[must_use]
    pub fn family(&self) -> Option<u32> {
        (self.family > 0).then_some(self.family)
    }

    /// The cell of a symbol under a seed.
    #[must_use]
    #[inline]
    pub fn cell(&self, seed: u64, symbol: u32) -> u32 {
        let cells = u32::try_from(self.cells()).expect("below 2^29");
        hash(expand(seed), symbol, cells)
    }

    /// Adds 1 to `supports[x]` for every symbol `x` that the seed maps to the cell.
    #[cfg(feature = "std")]
    pub(crate) fn support_into(&self, report: &HashedCell, supports: &mut [u32]) {
        let cells = u32::try_from(self.cells()).expect("below 2^29");
        let seed = expand(report.seed);
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        if std::arch::is_x86_feature_detected!("avx2") {
            #[expect(
                unsafe_code,
                reason = "eight symbols at a time: three to four times as fast"
            )]
            // SAFETY: AVX2 was detected just above.
            unsafe {
                support_avx2(seed, report.cell, cells, supports);
            }
            return;
        }
        support_loop(seed, report.cell, cells, supports);
    }
}

/// Two 32-bit keys from a seed, by the finalizer of `SplitMix64`, so that small seeds (of a family)
/// give independent functions.
#[inline]
fn expand(seed: u64) -> (u32, u32) {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    ((z >> 32) as u32, z as u32)
}

/// The cell of a symbol: a keyed multiply-shift mixer (the finalizer of `MurmurHash3` with a key before
/// each round), scaled to the number of cells. In 32 bits, so that eight symbols fit into a vector.
#[inline(always)]
fn hash((first, second): (u32, u32), symbol: u32, cells: u32) -> u32 {
    let mut h = symbol.wrapping_mul(0x9e37_79b1) ^ first;
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h.wrapping_add(second) ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    h ^= h >> 16;
    ((u64::from(h) * u64::from(cells)) >> 32) as u32
}

#[cfg(feature = "std")]
#[inline(always)]
fn support_loop(seed: (u32, u32), cell: u32, cells: u32, supports: &mut [u32]) {
    for (symbol, support) in (0..).zip(supports) {
        *support += u32::from(hash(seed, symbol, cells) == cell);
    }
}

#[cfg(all(feature = "std", target_arch = "x86_64"))]
#[target_feature(enable = "avx2")]
fn support_avx2(seed: (u32, u32), cell: u32, cells: u32, supports: &mut [u32]) {
    support_loop(seed, cell, cells, supports);
}

impl Mechanism for LocalHashing {
    type Report = HashedCell;

    fn domain(&self) -> usize {
        self.domain as usize
    }

    fn epsilon(&self) -> Option<Epsilon> {
        Some(self.epsilon)
    }

    /// The size of the seed and the cell.
    fn message_bits(&self) -> f64 {
        let seed = self
            .family()
            .map_or(64.0, |family| bits_of(u64::from(family)));
        seed + self.response.message_bits()
    }

    fn encode<R: CryptoRng + ?Sized>(
        &self,
        symbol: usize,
        rng: &mut R,
    ) -> Result<HashedCell, RobustStatsError> {
        // The seed is drawn first and does not depend on the symbol.
        let symbol = check_symbol(symbol, self.domain)?;
        let seed = if self.family == 0 {
            rng.next_u64()
        } else {
            u64::from(uniform_below(rng, self.family))
        };
        let cell = self.cell(seed, symbol);
        Ok(HashedCell {
            seed,
            cell: self.response.respond(cell, rng),
        })
    }
}

impl PureMechanism for LocalHashing {
    /// Another symbol is supported with probability `1 / g` over the seeds.
    fn support(&self) -> Support {
        Support {
            own: self.response.probabilities().0,
            other: 1.0 / f64::from(u32::try_from(self.cells()).expect("below 2^29")),
        }
    }
}

/// Conditional on seed 0: seeds are independent of the symbol.
impl Channel for LocalHashing {
    fn messages(&self) -> u64 {
        self.cells() as u64
    }

    fn probability(&self, symbol: usize, message: u64) -> ExactProbability {
        let symbol = u32::try_from(symbol).expect("a symbol of the domain");
        self.response
            .probability(self.cell(0, symbol) as usize, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_that_no_server_can_count_are_refused() {
        let hashing = LocalHashing::new(10, Epsilon::new(20.0).unwrap()).unwrap();
        assert!(hashing.with_family(u32::MAX).is_err());
        let hashing = LocalHashing::new(10, Epsilon::new(1.0).unwrap()).unwrap();
        assert!(hashing.with_family(0).is_err());
        assert!(hashing.with_family(1 << 20).is_ok());
        assert!(hashing.with_family(u32::MAX).is_err());
    }

    #[test]
    fn the_vector_form_is_the_scalar_form() {
        for (domain, epsilon) in [(1, 1.0), (37, 0.3), (1024, 2.0)] {
            let mechanism = LocalHashing::new(domain, Epsilon::new(epsilon).unwrap()).unwrap();
            for seed in 0..50 {
                let report = HashedCell {
                    seed: seed * 0x1234_5678_9abc,
                    cell: seed as u32 % mechanism.cells() as u32,
                };
                let mut supports = vec![0; domain];
                mechanism.support_into(&report, &mut supports);
                for (symbol, support) in (0..).zip(supports) {
                    let cell = mechanism.cell(report.seed, symbol);
                    assert_eq!(support == 1, cell == report.cell);
                }
            }
        }
    }

    // Two symbols meet under a share 1/g of the seeds, whichever symbols they are and however the
    // seeds are chosen: the estimate rests on it.
    #[test]
    fn pairs_collide_with_probability_one_over_g() {
        for epsilon in [0.1, 1.0, 2.0] {
            let mechanism = LocalHashing::new(1 << 20, Epsilon::new(epsilon).unwrap()).unwrap();
            let share = 1.0 / mechanism.cells() as f64;
            let seeds = 200_000;
            for (a, b) in [
                (0, 1),
                (0, 2),
                (1, 1 << 16),
                (5, 1_000_003),
                (12, 13),
                (0, 1 << 19),
            ] {
                let meet = (0..seeds)
                    .filter(|&seed| mechanism.cell(seed, a) == mechanism.cell(seed, b))
                    .count() as f64;
                let deviation =
                    (meet - seeds as f64 * share) / (seeds as f64 * share * (1.0 - share)).sqrt();
                assert!(deviation.abs() < 5.0, "{epsilon} {a} {b}: {deviation}");
            }
        }
    }
}
