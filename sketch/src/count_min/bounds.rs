//! How far off is an estimate?
//!
//! Two answers. The *bound* of the theorem holds before a key was seen, for any stream, and is
//! loose. The *interval* reads the distribution of errors off the sketch's own counters (D. Ting,
//! "Count-Min: optimal estimation and tight error bounds using empirical error distributions",
//! KDD 2018): a counter that a key shares with others is distributed like any other counter, so the
//! counters themselves are a sample of the errors.

use super::counter::Counter;
use super::layout::Layout;
use super::{CountMin, Update};
use crate::error::SketchError;
use crate::frequency::FrequencySketch;

/// How much wider a blocked sketch has to be to keep the error of rows with the same probability;
/// see [`CountMin::error_bound`].
pub(super) fn blocked_error_factor(depth: usize, group: usize) -> f64 {
    match (depth, group) {
        (1, _) | (2, 8..) | (4, 16..) => 1.0,
        (2, _) => 1.1,
        (4, 8..) => 1.2,
        (4, 4..) => 1.6,
        (4, _) => 3.4,
        (8, 8..) => 1.6,
        (8, 4..) => 3.1,
        (8, _) => 14.0,
        (_, 4..) => 10.6,
        _ => 214.0,
    }
}

/// An error that is exceeded rarely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorBound {
    /// An estimate is too large by more than this ...
    pub error: f64,
    /// ... with at most this probability, over the choice of the seed.
    pub probability: f64,
}

/// Between which values a frequency lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval<T> {
    /// Hardly below this.
    pub low: T,
    /// The estimate.
    pub estimate: T,
    /// Hardly above this.
    pub high: T,
}

/// `e^-power`.
pub(super) fn inverse_power_of_e(power: usize) -> f64 {
    (0..power).fold(1.0, |product, _| product / core::f64::consts::E)
}

impl<C: Counter> CountMin<C> {
    /// The bound of the theorem: with probability at most `e^-depth`, an estimate is too large by
    /// more than `e * total / width` (Cormode and Muthukrishnan, theorem 1). It holds for rows of
    /// either update rule, and for any stream.
    ///
    /// The groups of a line are not independent, and there the error is larger. The worst streams
    /// that we know consist of equally frequent keys, just enough of them for one in each counter to
    /// break the bound. A line has a Poisson number of them, and given that number the groups are
    /// independent; the error that they exceed with a probability of about `e^-depth` (at most 1.15 times
    /// that, measured) is this many times that of rows, by the counters in a group (a line of `u32` counters has 16 / depth):
    ///
    /// | depth | 2 | 4 | 8 | 16 or more |
    /// | --- | --- | --- | --- | --- |
    /// | 1 | | | | 1 |
    /// | 2 | | 1.1 | 1 | 1 |
    /// | 4 | 3.4 | 1.6 | 1.2 | 1 |
    /// | 8 | 14 | 3.1 | 1.6 | |
    /// | 16 | 214 | 10.6 | | |
    ///
    /// The tests measure it on those streams, and on sequential, strided and bit-reversed keys and
    /// ranges of addresses. What is proved for blocks is Markov's inequality alone:
    /// `t * total / width` is exceeded with probability at most `1 / t`.
    ///
    /// Saturated counters void the bound.
    #[must_use]
    pub fn error_bound(&self) -> ErrorBound {
        let factor = match self.shape.layout {
            Layout::RowMajor => 1.0,
            Layout::Blocked => blocked_error_factor(self.shape.depth, 1 << self.shape.group_bits),
        };
        ErrorBound {
            error: factor * core::f64::consts::E * self.total as f64 / self.shape.width as f64,
            probability: inverse_power_of_e(self.shape.depth),
        }
    }

    /// An error that, by the sketch's own counters, is exceeded with probability at most
    /// `1 - level`: the quantile of the estimates of keys that never occurred, whose estimates are
    /// error alone. Takes about `log2(total)` passes over the counters.
    ///
    /// It is an estimate, and on skewed streams far below the [bound](Self::error_bound). With
    /// conservative update it is on the safe side, because keys that did occur have smaller errors.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when the level is not above 0 and below 1.
    pub fn error_quantile(&self, level: f64) -> Result<u64, SketchError> {
        if !(level > 0.0 && level < 1.0) {
            return Err(SketchError::parameter("level", "0 < level < 1", level));
        }
        let allowed = 1.0 - level;
        let (mut low, mut high) = (0, self.total.min(C::MAX));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.share_above(C::saturating_from(middle)) <= allowed {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low)
    }

    /// The interval of one key's frequency. The upper end is hard: unless the sketch is
    /// [saturated](Self::saturated), the frequency is not above the estimate. The lower end is the
    /// estimate less the [error quantile](Self::error_quantile); who asks for many keys calls that
    /// once.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when the level is not above 0 and below 1.
    pub fn interval(&self, hash: u64, level: f64) -> Result<Interval<u64>, SketchError> {
        let error = self.error_quantile(level)?;
        let estimate = self.estimate_hash(hash);
        Ok(Interval {
            low: estimate.saturating_sub(error),
            estimate,
            high: if self.saturated { u64::MAX } else { estimate },
        })
    }

    /// The probability that a key that never occurred is estimated above `count`.
    fn share_above(&self, count: C) -> f64 {
        let above = |cells: &[C]| {
            let above = cells.iter().filter(|&&cell| cell > count).count();
            above as f64 / cells.len() as f64
        };
        match self.shape.layout {
            Layout::RowMajor => self.cells().map(above).product(),
            Layout::Blocked => {
                let group = 1 << self.shape.group_bits;
                let lines = self.cells.as_slice().chunks_exact(self.shape.stride);
                let shares = lines.map(|line| line.chunks_exact(group).map(above).product::<f64>());
                shares.sum::<f64>() / f64::from(self.shape.range)
            }
        }
    }

    /// An upper bound on the inner product of the frequencies of two streams, `sum f(k) * g(k)`:
    /// the least over the rows of the products of their counters. It is too large by more than
    /// `e / width` times the product of the totals with probability at most `e^-depth` (Cormode and
    /// Muthukrishnan, theorem 3; for rows). Saturated counters void both.
    ///
    /// # Errors
    ///
    /// [`SketchError::Incompatible`] when the sketches differ in a parameter;
    /// [`SketchError::Parameter`] for conservative update, whose counters hold less than the sum of
    /// their keys, so that the product could be too small.
    pub fn inner_product(&self, other: &Self) -> Result<u128, SketchError> {
        self.compatible(other)?;
        if self.rule != Update::Plain {
            return Err(SketchError::parameter(
                "update rule",
                "plain, for an inner product",
                self.rule,
            ));
        }
        let product = |(a, b): (C, C)| u128::from(a.get()) * u128::from(b.get());
        let row = |row: usize| -> u128 {
            let ours = self.shape.cells_of_row(row, self.cells.as_slice());
            let theirs = self.shape.cells_of_row(row, other.cells.as_slice());
            ours.zip(theirs).map(product).fold(0, u128::saturating_add)
        };
        Ok((0..self.shape.depth).map(row).min().unwrap_or_default())
    }
}
