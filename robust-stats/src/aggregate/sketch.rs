//! The count-mean sketches: counts by row and bucket.

use super::hadamard::transform;
use super::{
    Countable, FrequencyOracle, RejectReason, bit_counts, counts_by_row, counts_each_once,
};
use crate::mechanism::{
    CountMeanSketch, HadamardCountMeanSketch, SketchRow, SketchShape, SketchSign,
};

impl Countable for CountMeanSketch {
    type Report = SketchRow;

    /// Per row the number of its reports, then the count of each bucket.
    fn slots(&self) -> usize {
        self.shape().rows() * (self.shape().width() + 1)
    }

    fn is_consistent(&self, counts: &[u64], reports: u64) -> bool {
        counts_by_row(counts, self.shape().width(), reports)
    }

    fn count(&self, report: &SketchRow, counts: &mut [u32]) -> Result<(), RejectReason> {
        let width = self.shape().width();
        if report.row as usize >= self.shape().rows() || report.bits.len() != width {
            return Err(RejectReason::Range);
        }
        let start = report.row as usize * (width + 1);
        counts[start] += 1;
        bit_counts::add_bits(report.bits.words(), &mut counts[start + 1..=start + width]);
        Ok(())
    }
}

impl FrequencyOracle for CountMeanSketch {
    /// `O(rows * (width + domain))`.
    fn estimates(&self, counts: &[u64], reports: u64) -> Vec<f64> {
        // The debiased contribution of a report is (c/2) v + 1/2, v = +1 for a set bit, -1 for a clear one.
        let scale = 1.0 / (2.0 * self.keep_probability() - 1.0);
        let width = self.shape().width();
        let mut means = vec![0.0; self.shape().rows() * width];
        for (means, counts) in means
            .chunks_exact_mut(width)
            .zip(counts.chunks_exact(width + 1))
        {
            for (mean, &set) in means.iter_mut().zip(&counts[1..]) {
                let signs = 2.0 * set as f64 - counts[0] as f64;
                *mean = (scale * signs + counts[0] as f64) / 2.0;
            }
        }
        collect(self.shape(), &means, reports)
    }

    fn variance(&self, masses: &[f64], symbol: usize, reports: u64) -> f64 {
        // A report contributes `high` to a set bit and `low` to a clear one; a kept bit of the symbol's
        // bucket is set.
        let keep = self.keep_probability();
        let scale = 1.0 / (2.0 * keep - 1.0);
        let (high, low) = ((1.0 + scale) / 2.0, (1.0 - scale) / 2.0);
        let met = keep * high * high + (1.0 - keep) * low * low;
        let apart = (1.0 - keep) * high * high + keep * low * low;
        variance(self.shape(), masses, symbol, reports, [met, apart])
    }
}

impl Countable for HadamardCountMeanSketch {
    type Report = SketchSign;

    /// Per row and column the numbers of positive and of negative signs.
    fn slots(&self) -> usize {
        2 * self.shape().rows() * self.shape().width()
    }

    fn is_consistent(&self, counts: &[u64], reports: u64) -> bool {
        counts_each_once(counts, reports)
    }

    fn count(&self, report: &SketchSign, counts: &mut [u32]) -> Result<(), RejectReason> {
        let (row, column) = (report.row as usize, report.column as usize);
        if row >= self.shape().rows() || column >= self.shape().width() {
            return Err(RejectReason::Range);
        }
        counts[2 * (row * self.shape().width() + column) + usize::from(report.negative)] += 1;
        Ok(())
    }
}

impl FrequencyOracle for HadamardCountMeanSketch {
    /// `O(rows * (width log width + domain))`.
    fn estimates(&self, counts: &[u64], reports: u64) -> Vec<f64> {
        let scale = 1.0 / (2.0 * self.keep_probability() - 1.0);
        let width = self.shape().width();
        let signed = |pair: &[u64]| pair[0] as i64 - pair[1] as i64;
        let mut signs: Vec<i64> = counts.chunks_exact(2).map(signed).collect();
        signs.chunks_exact_mut(width).for_each(transform);
        let means: Vec<f64> = signs.iter().map(|&sign| scale * sign as f64).collect();
        collect(self.shape(), &means, reports)
    }

    fn variance(&self, masses: &[f64], symbol: usize, reports: u64) -> f64 {
        let scale = 1.0 / (2.0 * self.keep_probability() - 1.0);
        variance(self.shape(), masses, symbol, reports, [scale * scale; 2])
    }
}

/// The estimates from the debiased number of reports in each bucket. A symbol's bucket contains its own
/// reports and, in expectation, `1/width` of the others, which the correction subtracts.
fn collect(shape: &SketchShape, means: &[f64], reports: u64) -> Vec<f64> {
    if reports == 0 {
        return vec![0.0; shape.domain()];
    }
    let width = shape.width() as f64;
    let estimate = |symbol| {
        let at = |row| means[row * shape.width() + shape.bucket(row, symbol)];
        let sum: f64 = (0..shape.rows()).map(at).sum();
        width / (width - 1.0) * (sum / reports as f64 - 1.0 / width)
    };
    (0..shape.domain()).map(estimate).collect()
}

/// The variance over mechanism and hash functions, from the second moments of a report's contribution
/// if its bucket is that of the symbol (mean 1) and if not (mean 0).
///
/// Symbols that collide in a row collide for all clients of that row, hence a term that is independent
/// of the number of reports.
fn variance(
    shape: &SketchShape,
    masses: &[f64],
    symbol: usize,
    reports: u64,
    [met, apart]: [f64; 2],
) -> f64 {
    let (rows, width) = (shape.rows() as f64, shape.width() as f64);
    let own = masses[symbol];
    let meet = 1.0 / width;
    let others = masses.iter().enumerate().filter(|(x, _)| *x != symbol);
    let squares: f64 = others.map(|(_, mass)| mass * mass).sum();
    // Second moment of the contribution of another symbol: in the bucket with probability 1/width.
    let second_other = meet * met + (1.0 - meet) * apart;
    let single = own * (met - 1.0) + (1.0 - own) * (second_other - meet * meet);
    let shared = squares * meet * (1.0 - meet) / rows;
    let correction = width / (width - 1.0);
    correction * correction * (single / reports as f64 + shared)
}
