//! Bit vectors, and random bits drawn 64 at a time.

use alloc::vec;
use alloc::vec::Vec;

use rand_chacha::rand_core::RngCore;

use crate::error::RobustStatsError;

/// Bits `0..len`, packed into 64-bit words, lowest bit first. Unused bits of the last word are zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitVector {
    len: usize,
    words: Vec<u64>,
}

impl BitVector {
    /// Zeros.
    #[must_use]
    pub fn zeros(len: usize) -> Self {
        Self {
            len,
            words: vec![0; len.div_ceil(64)],
        }
    }

    /// Bits from words.
    ///
    /// # Errors
    ///
    /// When the number of words does not match `len`, or a bit past the end is set.
    pub fn from_words(len: usize, words: Vec<u64>) -> Result<Self, RobustStatsError> {
        if words.len() != len.div_ceil(64) {
            return Err(RobustStatsError::parameter(
                "words",
                alloc::format!("{} words of 64 bits", len.div_ceil(64)),
                words.len(),
            ));
        }
        if words.last().is_some_and(|last| last & !last_mask(len) != 0) {
            return Err(RobustStatsError::parameter(
                "words",
                alloc::format!("zeros past bit {len}"),
                "ones",
            ));
        }
        Ok(Self { len, words })
    }

    /// Number of bits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no bit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Whether a bit is set; bits past the end are not.
    #[must_use]
    pub fn get(&self, bit: usize) -> bool {
        self.words
            .get(bit / 64)
            .is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// Sets or clears a bit.
    ///
    /// # Panics
    ///
    /// When the bit is past the end.
    pub fn set(&mut self, bit: usize, value: bool) {
        assert!(bit < self.len, "bit {bit} of {}", self.len);
        let word = &mut self.words[bit / 64];
        *word = *word & !(1 << (bit % 64)) | u64::from(value) << (bit % 64);
    }

    /// Number of set bits.
    #[must_use]
    pub fn count_ones(&self) -> usize {
        let ones: u32 = self.words.iter().map(|word| word.count_ones()).sum();
        ones as usize
    }

    /// Overwrites all bits with independent random bits, each set with probability `threshold / 2^64`.
    pub(crate) fn fill_random<R: RngCore + ?Sized>(&mut self, threshold: u64, rng: &mut R) {
        for word in &mut self.words {
            *word = random_word(threshold, rng);
        }
        let mask = last_mask(self.len);
        if let Some(last) = self.words.last_mut() {
            *last &= mask;
        }
    }
}

/// The bits of the last word that are within `len`.
fn last_mask(len: usize) -> u64 {
    match len % 64 {
        0 => u64::MAX,
        used => (1 << used) - 1,
    }
}

/// 64 independent bits, each set with probability exactly `threshold / 2^64`.
///
/// Bit-sliced comparison: each lane compares a uniform number with the threshold bit by bit from the
/// top, until every lane has found a differing bit. This takes seven to eight random words for 64 bits
/// instead of 64.
#[inline]
fn random_word<R: RngCore + ?Sized>(threshold: u64, rng: &mut R) -> u64 {
    let mut set = 0;
    let mut undecided = u64::MAX;
    let mut left = threshold;
    // Once the rest of the threshold is zero, no undecided lane can be below it.
    while left != 0 && undecided != 0 {
        let random = rng.next_u64();
        // All ones where the threshold's bit is one.
        let one = (left >> 63).wrapping_neg();
        // A lane is decided at the first differing bit: set if the threshold's bit is 1 and the random one 0.
        set |= undecided & !random & one;
        undecided &= !(random ^ one);
        left <<= 1;
    }
    set
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn random_bits_have_their_probability() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for probability in [0.0, 0.5, 0.25, 0.2689, 0.9, 1e-4] {
            let threshold = (probability * 2.0_f64.powi(64)) as u64;
            let mut bits = BitVector::zeros(1000);
            let mut ones = 0;
            for _ in 0..1000 {
                bits.fill_random(threshold, &mut rng);
                ones += bits.count_ones();
            }
            let deviation = (ones as f64 - 1e6 * probability)
                / (1e6 * probability * (1.0 - probability)).sqrt();
            assert!(
                ones == 0 && probability == 0.0 || deviation.abs() < 5.0,
                "{probability}: {ones}"
            );
        }
    }

    #[test]
    fn the_end_is_kept() {
        let mut bits = BitVector::zeros(70);
        bits.fill_random(u64::MAX, &mut ChaCha8Rng::seed_from_u64(0));
        assert_eq!(bits.count_ones(), 70);
        bits.set(69, false);
        assert!(!bits.get(69) && bits.get(68) && !bits.get(70));
        assert!(BitVector::from_words(70, vec![0, 1 << 6]).is_err());
        assert!(BitVector::from_words(70, vec![0]).is_err());
        assert!(BitVector::from_words(70, vec![0, 1 << 5]).is_ok());
    }
}
