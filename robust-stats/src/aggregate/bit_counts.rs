//! Bit counts: unary encodings and subsets.

use super::{Countable, FrequencyOracle, RejectReason};
use crate::mechanism::{BitVector, Mechanism, PureMechanism, SubsetSelection, UnaryEncoding};

impl Countable for UnaryEncoding {
    type Report = BitVector;

    fn slots(&self) -> usize {
        self.domain()
    }

    /// Every bit is set or not.
    fn is_consistent(&self, _: &[u64], _: u64) -> bool {
        true
    }

    fn count(&self, report: &BitVector, counts: &mut [u32]) -> Result<(), RejectReason> {
        if report.len() != self.domain() {
            return Err(RejectReason::Range);
        }
        add_bits(report.words(), counts);
        Ok(())
    }
}

impl Countable for SubsetSelection {
    type Report = BitVector;

    fn slots(&self) -> usize {
        self.domain()
    }

    /// Every report sets `size` bits.
    fn is_consistent(&self, counts: &[u64], reports: u64) -> bool {
        let sum: u128 = counts.iter().map(|&count| u128::from(count)).sum();
        sum == u128::from(reports) * self.size() as u128
    }

    /// A subset of another size is rejected.
    fn count(&self, report: &BitVector, counts: &mut [u32]) -> Result<(), RejectReason> {
        if report.len() != self.domain() || report.count_ones() != self.size() {
            return Err(RejectReason::Range);
        }
        add_bits(report.words(), counts);
        Ok(())
    }
}

impl FrequencyOracle for UnaryEncoding {
    fn estimates(&self, counts: &[u64], reports: u64) -> Vec<f64> {
        let support = self.support();
        let estimate = |&count| support.estimate(count, reports);
        counts.iter().map(estimate).collect()
    }

    fn variance(&self, masses: &[f64], symbol: usize, reports: u64) -> f64 {
        self.support().variance(masses[symbol], reports)
    }
}

impl FrequencyOracle for SubsetSelection {
    fn estimates(&self, counts: &[u64], reports: u64) -> Vec<f64> {
        let support = self.support();
        let estimate = |&count| support.estimate(count, reports);
        counts.iter().map(estimate).collect()
    }

    fn variance(&self, masses: &[f64], symbol: usize, reports: u64) -> f64 {
        self.support().variance(masses[symbol], reports)
    }
}

/// Adds bit `i` to count `i`, for as many bits as there are counts.
pub(super) fn add_bits(words: &[u64], counts: &mut [u32]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[expect(
            unsafe_code,
            reason = "eight counts at a time: a quarter of the time at 1 024 bits"
        )]
        // SAFETY: AVX2 was detected just above.
        unsafe {
            add_bits_avx2(words, counts);
        }
        return;
    }
    add_bits_loop(words, counts);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
// Only the enabled instructions differ from `add_bits`: the compiler vectorizes the loop.
fn add_bits_avx2(words: &[u64], counts: &mut [u32]) {
    add_bits_loop(words, counts);
}

#[inline(always)]
fn add_bits_loop(words: &[u64], counts: &mut [u32]) {
    for (word, counts) in words.iter().zip(counts.chunks_mut(64)) {
        // Halves of 32 bits, for shifts as wide as the counts.
        let halves = [*word as u32, (word >> 32) as u32];
        for (half, counts) in halves.into_iter().zip(counts.chunks_mut(32)) {
            for (bit, count) in (0..).zip(counts) {
                *count += half >> bit & 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_add_every_bit_once() {
        for len in [1_usize, 31, 64, 65, 200] {
            let mut bits = BitVector::zeros(len);
            for bit in (0..len).filter(|bit| bit % 3 == 0 || bit % 7 == 2) {
                bits.set(bit, true);
            }
            let (mut fast, mut slow) = (vec![5; len], vec![5; len]);
            add_bits(bits.words(), &mut fast);
            add_bits_loop(bits.words(), &mut slow);
            for bit in 0..len {
                assert_eq!(fast[bit], 5 + u32::from(bits.get(bit)));
                assert_eq!(slow[bit], fast[bit]);
            }
        }
    }
}
