//! Hadamard response: counts of columns, decoded by the fast Walsh-Hadamard transform.

use super::{Countable, FrequencyOracle, RejectReason, counts_each_once};
use crate::mechanism::{HadamardResponse, Mechanism};

impl Countable for HadamardResponse {
    type Report = u32;

    fn slots(&self) -> usize {
        self.columns()
    }

    fn is_consistent(&self, counts: &[u64], reports: u64) -> bool {
        counts_each_once(counts, reports)
    }

    fn count(&self, report: &u32, counts: &mut [u32]) -> Result<(), RejectReason> {
        let count = counts
            .get_mut(*report as usize)
            .ok_or(RejectReason::Range)?;
        *count += 1;
        Ok(())
    }
}

impl FrequencyOracle for HadamardResponse {
    /// `O(K log K)` for `K` columns.
    fn estimates(&self, counts: &[u64], reports: u64) -> Vec<f64> {
        if reports == 0 {
            return vec![0.0; self.domain()];
        }
        let (plus, minus) = self.probabilities();
        // Row r of a block's transform is the number of reports with +1 in row r minus that with -1. Its
        // expectation per report is exactly (plus - minus) times the symbol's frequency.
        let scale = 1.0 / ((plus - minus) * reports as f64);
        let columns = self.block_columns();
        let mut estimates = Vec::with_capacity(self.domain());
        let mut block = vec![0_i64; columns];
        for counts in counts.chunks_exact(columns) {
            // Counts are at most 2^56, so sums of a block stay within 63 bits.
            for (place, &count) in block.iter_mut().zip(counts) {
                *place = i64::try_from(count).unwrap_or(i64::MAX);
            }
            transform(&mut block);
            let rows = block[1..].iter().take(self.domain() - estimates.len());
            estimates.extend(rows.map(|&row| row as f64 * scale));
        }
        estimates
    }

    fn variance(&self, masses: &[f64], symbol: usize, reports: u64) -> f64 {
        let (plus, minus) = self.probabilities();
        let (block, _) = self.row(symbol);
        let rows = self.block_columns() - 1;
        let own_block = &masses[block * rows..masses.len().min((block + 1) * rows)];
        let block_mass: f64 = own_block.iter().sum();
        // A report contributes +1 or -1 if it is in the block, else 0. The second moment is thus the
        // probability of the block: `plus + minus` for its own symbols, `2 minus` for others.
        let own_first = plus - minus;
        let second = block_mass * (plus + minus) + (1.0 - block_mass) * 2.0 * minus;
        (second - masses[symbol] * own_first * own_first) / (reports as f64 * own_first * own_first)
    }
}

/// The in-place Walsh-Hadamard transform `out[r] = sum_c (-1)^popcount(r & c) in[c]`, in integers,
/// exact if the sum of absolute values is below `2^63`. `O(n log n)`.
///
/// # Panics
///
/// When the length is not a power of 2.
pub fn transform(values: &mut [i64]) {
    assert!(
        values.len().is_power_of_two(),
        "the length must be a power of 2, found {}",
        values.len()
    );
    // Radix 4, from the widest butterflies to the narrowest, depth first: a part that fits into the
    // cache is finished before the next one is loaded.
    const CACHED: usize = 1 << 12;
    if values.len() <= CACHED {
        return transform_cached(values);
    }
    let quarter = values.len() / 4;
    let (low, high) = values.split_at_mut(2 * quarter);
    let (a, b) = low.split_at_mut(quarter);
    let (c, d) = high.split_at_mut(quarter);
    for (((a, b), c), d) in a.iter_mut().zip(&mut *b).zip(&mut *c).zip(&mut *d) {
        butterfly(a, b, c, d);
    }
    for part in [a, b, c, d] {
        transform(part);
    }
}

fn transform_cached(values: &mut [i64]) {
    let mut width = values.len();
    // Two levels per pass, so that each value is loaded half as often.
    while width >= 4 {
        let quarter = width / 4;
        for part in values.chunks_exact_mut(width) {
            let (low, high) = part.split_at_mut(2 * quarter);
            let (a, b) = low.split_at_mut(quarter);
            let (c, d) = high.split_at_mut(quarter);
            for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
                butterfly(a, b, c, d);
            }
        }
        width = quarter;
    }
    // An odd number of levels leaves one of radix 2.
    if width == 2 {
        for pair in values.chunks_exact_mut(2) {
            (pair[0], pair[1]) = (pair[0] + pair[1], pair[0] - pair[1]);
        }
    }
}

/// A radix-4 butterfly.
#[inline(always)]
fn butterfly(a: &mut i64, b: &mut i64, c: &mut i64, d: &mut i64) {
    let (sum, difference) = (*a + *c, *a - *c);
    let (sum_2, difference_2) = (*b + *d, *b - *d);
    *a = sum + sum_2;
    *b = sum - sum_2;
    *c = difference + difference_2;
    *d = difference - difference_2;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transform_is_its_definition() {
        for bits in [0, 1, 2, 3, 5, 6, 13, 14] {
            let n = 1_usize << bits;
            let values: Vec<i64> = (0..n).map(|i| (i * 7919 % 101) as i64 - 50).collect();
            let mut fast = values.clone();
            transform(&mut fast);
            for row in (0..n).step_by(1 + n / 50) {
                let sign = |column: usize| 1 - 2 * i64::from((row & column).count_ones() % 2);
                let slow: i64 = (0..n).map(|column| sign(column) * values[column]).sum();
                assert_eq!(fast[row], slow, "{n} {row}");
            }
        }
    }
}
