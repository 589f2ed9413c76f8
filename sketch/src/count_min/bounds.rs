//! Error bounds of estimates.
//!
//! The *bound* of the theorem is known in advance and holds for any stream, but is loose. The
//! *interval* takes the distribution of errors from the sketch's own counters (D. Ting, "Count-Min:
//! optimal estimation and tight error bounds using empirical error distributions", KDD 2018): what
//! other keys add to a key's counter is distributed like any other counter, so the counters
//! themselves are a sample of the errors.

use super::counter::Counter;
use super::layout::Layout;
use super::{CountMin, UpdateRule};
use crate::error::SketchError;
use crate::frequency::FrequencySketch;

/// The factor between the error bounds of the blocked and the row-major layout at equal
/// probability; see [`CountMin::error_bound`].
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

/// An error that is exceeded with small probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorBound {
    /// The overestimate, in occurrences.
    pub error: f64,
    /// An upper bound on the probability, over the choice of the seed, that an estimate exceeds it.
    pub probability: f64,
}

/// An estimate with the interval in which the true count lies at the requested level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval<T> {
    /// The lower end.
    pub lower: T,
    /// The estimate.
    pub estimate: T,
    /// The upper end.
    pub upper: T,
}

/// `e^-power`. (`f64::exp` needs `std`.)
pub(super) fn inverse_power_of_e(power: usize) -> f64 {
    (0..power).fold(1.0, |product, _| product / core::f64::consts::E)
}

impl<C: Counter> CountMin<C> {
    /// The bound of the theorem: with probability at most `e^-depth`, an estimate is too large by
    /// more than `e * total / width` (Cormode and Muthukrishnan, theorem 1). It holds for rows of
    /// either update rule, and for any stream.
    ///
    /// In the blocked layout the groups of a line are not independent, and the bound is larger. The
    /// worst streams known consist of equally frequent keys, just enough of them that one in each
    /// counter breaks the bound. A line receives a Poisson number of them, and given that number the
    /// groups are independent. The error that they exceed with probability about `e^-depth` (at most
    /// 1.15 times that, measured) is that of rows times this factor, by depth and counters in a group
    /// (a line of `u32` counters has groups of 16 / depth):
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
    /// ranges of addresses. Proved for the blocked layout is only Markov's inequality:
    /// `t * total / width` is exceeded with probability at most `1 / t`.
    ///
    /// The bound does not hold once the sketch is [saturated](Self::saturated).
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

    /// An error that is exceeded with probability at most `1 - level`, judged by the sketch's own
    /// counters: the quantile of the estimates of keys that never occurred, which are all error.
    /// Takes about `log2(total)` passes over the counters.
    ///
    /// It is an estimate, on skewed streams far below the [bound](Self::error_bound). With
    /// conservative update it is too large rather than too small, because keys that did occur have
    /// smaller errors.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when the level is not above 0 and below 1.
    pub fn error_quantile(&self, level: f64) -> Result<u64, SketchError> {
        if !(level > 0.0 && level < 1.0) {
            return Err(SketchError::parameter("level", "0 < level < 1", level));
        }
        // Bisection for the smallest count that few enough counters exceed.
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

    /// The interval of one key's count. The upper end is certain: unless the sketch is
    /// [saturated](Self::saturated), the count does not exceed the estimate. The lower end is the
    /// estimate minus the [error quantile](Self::error_quantile); for many keys, call that once
    /// instead.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when the level is not above 0 and below 1.
    pub fn interval(&self, hash: u64, level: f64) -> Result<Interval<u64>, SketchError> {
        let error = self.error_quantile(level)?;
        let estimate = self.estimate_hash(hash);
        Ok(Interval {
            lower: estimate.saturating_sub(error),
            estimate,
            upper: if self.saturated { u64::MAX } else { estimate },
        })
    }

    /// The probability that the estimate of a key that never occurred exceeds `count`: that its
    /// counters in all rows do.
    fn share_above(&self, count: C) -> f64 {
        let above = |cells: &[C]| {
            let above = cells.iter().filter(|&&cell| cell > count).count();
            above as f64 / cells.len() as f64
        };
        match self.shape.layout {
            Layout::RowMajor => self.cells().map(above).product(),
            // The groups of a line are independent of each other; the lines are equally likely.
            Layout::Blocked => {
                let group = 1 << self.shape.group_bits;
                let lines = self.cells.as_slice().chunks_exact(self.shape.stride);
                let shares = lines.map(|line| line.chunks_exact(group).map(above).product::<f64>());
                shares.sum::<f64>() / f64::from(self.shape.range)
            }
        }
    }

    /// An upper bound on the inner product of two streams, `sum f(k) * g(k)`: the minimum over the
    /// rows of the inner products of their counters. It is too large by more than `e / width` times
    /// the product of the totals with probability at most `e^-depth` (Cormode and Muthukrishnan,
    /// theorem 3; row-major layout). Neither holds once a sketch is saturated.
    ///
    /// # Errors
    ///
    /// [`SketchError::Incompatible`] when the sketches differ in a parameter;
    /// [`SketchError::Parameter`] for conservative update, whose counters are less than the sum of
    /// their keys, so that the product could be too small.
    pub fn inner_product(&self, other: &Self) -> Result<u128, SketchError> {
        self.compatible(other)?;
        if self.rule != UpdateRule::Plain {
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
