//! RAPPOR (Erlingsson, Pihur, Korolova 2014): a Bloom filter with a permanent and an instantaneous
//! randomized response.

use alloc::vec::Vec;

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use rand_chacha::rand_core::CryptoRng;
use sha2::Sha256;

use super::bit_vector::BitVector;
use super::exact::{nearest_threshold, probability};
use super::{Channel, ExactProbability};
use crate::error::RobustStatsError;

/// The parameters of RAPPOR, in the notation of its paper and of its parameter files.
///
/// Hashing and the permanent response equal those of Google's clients, for exchange of reports, maps and
/// counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rappor {
    /// The size of the Bloom filter, `k`.
    bits: u32,
    /// The number of hash functions, `h`.
    hashes: u32,
    /// The number of cohorts, `m`.
    cohorts: u32,
    /// The probability `p` that a clear bit is reported as set, times `2^64`.
    clear: u64,
    /// The probability `q` that a set bit is reported as set, times `2^64`.
    set: u64,
    /// The probability `f` that a bit is permanently replaced by a fair coin, times 128.
    replace: u8,
}

/// One report of a RAPPOR client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RapporReport {
    /// The client's cohort, which determines its hash functions.
    pub cohort: u32,
    /// The randomized Bloom filter.
    pub bits: BitVector,
}

impl Rappor {
    /// `f` is rounded up to a multiple of 1/128, because the permanent response takes seven random bits
    /// per bit.
    ///
    /// # Errors
    ///
    /// When `bits` is not from 1 to 256 (a hash function gives one byte), `hashes` not from 1 to 16,
    /// there is no cohort, `p` or `q` is not from 0 to 1, `f` is not from 0 to 127/128 (at 1 every bit
    /// is a coin, and a report says nothing), or `p >= q`.
    pub fn new(
        bits: usize,
        hashes: usize,
        cohorts: usize,
        [p, q, f]: [f64; 3],
    ) -> Result<Self, RobustStatsError> {
        for (argument, value) in [("p", p), ("q", q), ("f", f)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(RobustStatsError::parameter(argument, "from 0 to 1", value));
            }
        }
        // Rounding up only adds privacy.
        let steps = (f * 128.0) as u8;
        let replace = steps + u8::from(f64::from(steps) < f * 128.0);
        Self::from_thresholds(
            [bits, hashes, cohorts],
            nearest_threshold(p),
            nearest_threshold(q),
            replace,
        )
    }

    /// From realized probabilities.
    pub(crate) fn from_thresholds(
        [bits, hashes, cohorts]: [usize; 3],
        clear: u64,
        set: u64,
        replace: u8,
    ) -> Result<Self, RobustStatsError> {
        let within = |argument, value: usize, largest: u32| match u32::try_from(value) {
            Ok(value) if (1..=largest).contains(&value) => Ok(value),
            _ => Err(RobustStatsError::parameter(
                argument,
                alloc::format!("from 1 to {largest}"),
                value,
            )),
        };
        if clear >= set {
            return Err(RobustStatsError::parameter(
                "p",
                alloc::format!("below q = {}", probability(set)),
                probability(clear),
            ));
        }
        if replace > 127 {
            return Err(RobustStatsError::parameter(
                "f",
                "from 0 to 127 parts of 128",
                replace,
            ));
        }
        Ok(Self {
            bits: within("bits", bits, 256)?,
            hashes: within("hashes", hashes, 16)?,
            cohorts: within("cohorts", cohorts, 1 << 20)?,
            clear,
            set,
            replace,
        })
    }

    /// The thresholds of `p` and `q`, and the 128ths of `f`.
    pub(crate) fn thresholds(&self) -> (u64, u64, u8) {
        (self.clear, self.set, self.replace)
    }

    /// The size of the Bloom filter, `k`.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.bits as usize
    }

    /// The number of hash functions, `h`.
    #[must_use]
    pub fn hashes(&self) -> usize {
        self.hashes as usize
    }

    /// The number of cohorts, `m`.
    #[must_use]
    pub fn cohorts(&self) -> usize {
        self.cohorts as usize
    }

    /// The realized parameters `p`, `q` and `f`.
    #[must_use]
    pub fn parameters(&self) -> [f64; 3] {
        [
            probability(self.clear),
            probability(self.set),
            f64::from(self.replace) / 128.0,
        ]
    }

    /// The probabilities, over both responses, that a bit is reported as set if the value sets it,
    /// `q*`, and if not, `p*`.
    #[must_use]
    pub fn probabilities(&self) -> (f64, f64) {
        let [p, q, f] = self.parameters();
        let coin = f / 2.0 * (p + q);
        (coin + (1.0 - f) * q, coin + (1.0 - f) * p)
    }

    /// The epsilon of one report, `h ln( q*(1-p*) / (p*(1-q*)) )`. Infinite if `f` is 0 and a bit is
    /// deterministic.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn report_epsilon(&self) -> f64 {
        let (set, clear) = self.probabilities();
        f64::from(self.hashes) * (set * (1.0 - clear) / (clear * (1.0 - set))).ln()
    }

    /// The total epsilon of any number of reports on one value: `2 h ln( (1 - f/2) / (f/2) )`
    /// (Theorem 1 of the paper). Infinite if `f` is 0.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn permanent_epsilon(&self) -> f64 {
        let [.., f] = self.parameters();
        2.0 * f64::from(self.hashes) * ((1.0 - f / 2.0) / (f / 2.0)).ln()
    }

    /// The Bloom filter bits of a value in a cohort, one per hash function: bytes of the MD5 of the
    /// cohort (big-endian) and the value.
    #[must_use]
    pub fn bloom_bits(&self, cohort: u32, value: &[u8]) -> Vec<u32> {
        let digest = Md5::new()
            .chain_update(cohort.to_be_bytes())
            .chain_update(value)
            .finalize();
        digest
            .iter()
            .take(self.hashes())
            .map(|&byte| u32::from(byte) % self.bits)
            .collect()
    }

    /// Encodes a value: the Bloom filter, the permanent response drawn from the client's secret, and
    /// a fresh response.
    ///
    /// Encoding takes the same instructions and random numbers for all values of one length, except for a
    /// probability of `6e-12` per 64 bits; the memory addresses of the filter's bits depend on the value.
    ///
    /// The secret must be random, stay on the device and never change: the privacy of repeated reports
    /// depends on it.
    ///
    /// # Errors
    ///
    /// When the cohort is out of range.
    pub fn encode<R: CryptoRng + ?Sized>(
        &self,
        cohort: u32,
        secret: &[u8; 32],
        value: &[u8],
        rng: &mut R,
    ) -> Result<RapporReport, RobustStatsError> {
        if cohort >= self.cohorts {
            return Err(RobustStatsError::parameter(
                "cohort",
                alloc::format!("a number below {}", self.cohorts),
                cohort,
            ));
        }
        // Memoized by derivation: the permanent response is a function of the secret and the value.
        let permanent = self.permanent(secret, &self.bloom(cohort, value));
        let mut if_clear = BitVector::zeros(self.bits());
        if_clear.fill_random(self.clear, rng);
        let mut if_set = BitVector::zeros(self.bits());
        if_set.fill_random(self.set, rng);
        Ok(RapporReport {
            cohort,
            bits: self.respond(&permanent, &if_clear, &if_set),
        })
    }

    fn bloom(&self, cohort: u32, value: &[u8]) -> BitVector {
        let mut bloom = BitVector::zeros(self.bits());
        for bit in self.bloom_bits(cohort, value) {
            bloom.set(bit as usize, true);
        }
        bloom
    }

    /// The permanent response: byte `i` of an HMAC of the filter determines bit `i`. Its lowest bit is
    /// the coin, and its other bits, compared with `f`, decide the replacement. Filters of more than 32
    /// bits use further blocks, with a counter from 1 appended to the message.
    fn permanent(&self, secret: &[u8], bloom: &BitVector) -> BitVector {
        let mut message: Vec<u8> = bloom
            .words()
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        // Big-endian and at least 32 bits, as in the clients of the paper.
        message.truncate(self.bits().div_ceil(8).max(4));
        message.reverse();
        let length = message.len();
        let mut permanent = bloom.clone();
        for block in 0..self.bits().div_ceil(32) {
            message.truncate(length);
            if let Ok(counter @ 1..) = u8::try_from(block) {
                message.push(counter);
            }
            let mut hmac =
                Hmac::<Sha256>::new_from_slice(secret).expect("an HMAC takes keys of any length");
            hmac.update(&message);
            let bits = 32 * block..self.bits();
            for (bit, byte) in bits.zip(hmac.finalize().into_bytes()) {
                // Branch-free: the number of replaced bits would be one of the value and the secret.
                let replace = byte >> 1 < self.replace;
                let kept = permanent.get(bit);
                permanent.set(bit, replace & (byte & 1 == 1) | !replace & kept);
            }
        }
        permanent
    }

    fn respond(
        &self,
        permanent: &BitVector,
        if_clear: &BitVector,
        if_set: &BitVector,
    ) -> BitVector {
        let words = permanent.words().iter();
        let words = words.zip(if_clear.words().iter().zip(if_set.words()));
        let words = words.map(|(permanent, (clear, set))| clear & !permanent | set & permanent);
        BitVector::from_words(self.bits(), words.collect()).expect("the same length")
    }
}

/// One report conditional on cohort 0, over both responses, for values that are the decimal numbers of
/// their symbols and filters of at most 63 bits.
impl Channel for Rappor {
    fn messages(&self) -> u64 {
        1 << self.bits
    }

    fn probability(&self, symbol: usize, message: u64) -> ExactProbability {
        let bloom = self.bloom(0, alloc::format!("{symbol}").as_bytes());
        let replace = u128::from(self.replace);
        (0..self.bits()).fold(ExactProbability::one(), |mut product, bit| {
            // In units of 1/256: a bit keeps its value unless replaced by a coin with the other value.
            let permanent = if bloom.get(bit) {
                256 - replace
            } else {
                replace
            };
            let set = permanent * u128::from(self.set) + (256 - permanent) * u128::from(self.clear);
            let sent = message >> bit & 1 == 1;
            product
                .factors
                .push((if sent { set } else { (1 << 72) - set }, 1 << 72));
            product
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The expected number stands in the test of Google's Python client (testEncoder): secret "secret",
    // value "abc", cohort 0, 16 bits, 2 hashes, f = 0.5, every third bit clear in the response to a
    // clear bit, all bits set in the response to a set bit.
    #[test]
    fn permanent_response_of_googles_client() {
        let rappor = Rappor::new(16, 2, 64, [0.5, 0.75, 0.5]).unwrap();
        let permanent = rappor.permanent(b"secret", &rappor.bloom(0, b"abc"));
        let thirds = (0..16).filter(|i| i % 3 != 1).map(|i| 1 << i).sum();
        let if_clear = BitVector::from_words(16, alloc::vec![thirds]).unwrap();
        let if_set = BitVector::from_words(16, alloc::vec![0xffff]).unwrap();
        let report = rappor.respond(&permanent, &if_clear, &if_set);
        assert_eq!(report.words(), [64_493]);
    }

    // With h = 2 and f = 1/2 the permanent response has epsilon 2 h ln 3, by Theorem 1 of the paper.
    #[cfg(feature = "std")]
    #[test]
    fn permanent_epsilon_is_that_of_the_paper() {
        let rappor = Rappor::new(16, 2, 64, [0.5, 0.75, 0.5]).unwrap();
        assert!((rappor.permanent_epsilon() - 4.0 * 3.0_f64.ln()).abs() < 1e-12);
        let without = Rappor::new(16, 2, 64, [0.5, 0.75, 0.0]).unwrap();
        assert!(without.permanent_epsilon().is_infinite());
    }

    #[test]
    fn a_response_that_is_all_coins_is_refused() {
        for f in [1.0, 0.999] {
            assert!(Rappor::new(16, 2, 64, [0.5, 0.75, f]).is_err(), "{f}");
        }
        assert!(Rappor::new(16, 2, 64, [0.5, 0.75, 127.0 / 128.0]).is_ok());
        assert!(Rappor::from_thresholds([16, 2, 64], 0, 9, 128).is_err());
    }

    #[test]
    fn permanent_response_beyond_a_block_has_its_probability() {
        let rappor = Rappor::new(200, 1, 1, [0.25, 0.75, 0.5]).unwrap();
        let empty = BitVector::zeros(200);
        let ones: usize = (0_u32..2_000)
            .map(|secret| rappor.permanent(&secret.to_le_bytes(), &empty).count_ones())
            .sum();
        // 400 000 bits, each set with probability f/2 = 1/4: five standard deviations are 1 370.
        assert!(ones.abs_diff(100_000) < 1_370, "{ones}");
    }
}
