//! Bit vectors, and random bits drawn 64 at a time.

use alloc::vec;
use alloc::vec::Vec;
use core::hint::black_box;

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

    /// Inserts a bit, moves it and all above one place up, and drops the last. The same instructions
    /// and addresses for every place and bit.
    pub(crate) fn insert(&mut self, bit: usize, value: bool) {
        debug_assert!(bit < self.len, "bit {bit} of {}", self.len);
        // Opaque, or the compiler makes a loop for each value of the bit.
        let inserted = black_box(u64::from(value).wrapping_neg());
        let mut carry = 0;
        for (start, word) in (0..).step_by(64).zip(&mut self.words) {
            // The places of the word below the inserted bit, and those up to it.
            let below = low_mask(bit.saturating_sub(start));
            let up_to = low_mask((bit + 1).saturating_sub(start));
            let moved = *word << 1 | carry;
            carry = *word >> 63;
            *word = *word & below | inserted & (up_to & !below) | moved & !up_to;
        }
        let mask = last_mask(self.len);
        if let Some(last) = self.words.last_mut() {
            *last &= mask;
        }
    }

    /// Overwrites all bits with independent random bits, each set with probability `threshold / 2^64`.
    /// Except for a probability of `6e-12` per word, it takes the same instructions and random numbers
    /// whatever the bits become.
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

/// The lowest `bits` bits, all 64 for more.
#[inline(always)]
fn low_mask(bits: usize) -> u64 {
    ((1_u128 << bits.min(64)) - 1) as u64
}

/// The number of leading bits of the threshold that all lanes of a word compare at once.
const SLICED_BITS: u32 = 8;

/// The number of lanes of a word that are decided one by one, needed or not. A lane is still undecided
/// with probability 1/256, so that a ninth of 64 has a probability below `C(64, 9) 2^-72 = 5.9e-12`.
const SINGLE_LANES: usize = 8;

/// 64 independent bits, each set with probability exactly `threshold / 2^64`.
///
/// Each lane compares a uniform number with the threshold. Bit-sliced for the leading bits, which
/// decides a lane at the first differing bit; the few lanes that are left are decided one by one. This
/// takes 16 random words for 64 bits instead of 64. To stop at the first word that decides all lanes
/// would take fewer, but then the time depends on the bits, including the one that is not sent because
/// the client's own takes its place.
#[inline]
fn random_word<R: RngCore + ?Sized>(threshold: u64, rng: &mut R) -> u64 {
    let mut set = 0;
    let mut undecided = u64::MAX;
    let mut left = threshold;
    for _ in 0..SLICED_BITS.min(64 - threshold.trailing_zeros()) {
        let random = rng.next_u64();
        // All ones where the threshold's bit is one.
        let one = (left >> 63).wrapping_neg();
        // A lane is decided at the first differing bit: set if the threshold's bit is 1 and the random one 0.
        set |= undecided & !random & one;
        undecided &= !(random ^ one);
        left <<= 1;
    }
    // Once the rest of the threshold is zero, no undecided lane can be below it.
    if left == 0 {
        return set;
    }
    let mut singles = 0;
    while singles < SINGLE_LANES || undecided != 0 {
        // The lowest undecided lane; no bit if there is none.
        let lane = undecided & undecided.wrapping_neg();
        set |= lane & u64::from(rng.next_u64() < left).wrapping_neg();
        undecided ^= lane;
        singles += 1;
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
        // The last two have leading bits in common with many random numbers, or with few.
        for probability in [0.0, 0.5, 0.25, 0.2689, 0.9, 1e-4, 0.501_953, 0.999_9] {
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
    fn inserted_bits_move_those_above() {
        for len in [1_usize, 2, 63, 64, 65, 128, 200] {
            for bit in [0, 1, 31, 62, 63, 64, 65, 127, 128, 199] {
                if bit >= len {
                    continue;
                }
                let mut bits = BitVector::zeros(len);
                bits.fill_random(1 << 63, &mut ChaCha8Rng::seed_from_u64(bit as u64));
                for value in [false, true] {
                    let mut inserted = bits.clone();
                    inserted.insert(bit, value);
                    let mut expected: Vec<bool> = (0..len).map(|place| bits.get(place)).collect();
                    expected.insert(bit, value);
                    let found: Vec<bool> = (0..len).map(|place| inserted.get(place)).collect();
                    assert_eq!(found, expected[..len], "{len} {bit}");
                    assert!(BitVector::from_words(len, inserted.words).is_ok());
                }
            }
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
