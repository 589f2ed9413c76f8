//! The second moment of a stream, and error bounds of estimates.

use super::CountSketch;
use super::counter::SignedCounter;
use crate::count_min::Interval;
use crate::error::SketchError;
use crate::frequency::FrequencySketch;
use crate::rows::MAX_DEPTH;

impl<C: SignedCounter> CountSketch<C> {
    /// The second moment of the frequencies, `sum f(k)^2`: the median over the rows of the sum of
    /// the squared counters, each of which has this mean and a variance of at most `2 / width` times
    /// its square (the sketch of N. Alon, Y. Matias, M. Szegedy, 1996, in the form of M. Charikar,
    /// K. Chen, M. Farach-Colton, 2002).
    #[must_use]
    pub fn second_moment(&self) -> f64 {
        let mut moments = [0.0; MAX_DEPTH];
        for (moment, row) in moments.iter_mut().zip(self.cells()) {
            let squares = row.iter().map(|&cell| {
                let count = cell.get() as f64;
                count * count
            });
            *moment = squares.sum();
        }
        let moments = &mut moments[..self.depth];
        moments.sort_unstable_by(f64::total_cmp);
        f64::midpoint(moments[(self.depth - 1) / 2], moments[self.depth / 2])
    }

    /// The Euclidean norm of the frequencies: the root of the [second moment](Self::second_moment).
    /// The estimate of a row has a standard deviation of at most this over `sqrt(width)`.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn l2_norm(&self) -> f64 {
        self.second_moment().sqrt()
    }

    /// An error that is exceeded in absolute value with probability at most `1 - level`, judged by
    /// the sketch's own counters: the quantile of the absolute estimates of keys that never occurred.
    /// Takes up to 63 passes over the counters.
    ///
    /// It is an estimate; for an even depth it is too large rather than too small.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when the level is not above 0 and below 1.
    pub fn error_quantile(&self, level: f64) -> Result<f64, SketchError> {
        if !(level > 0.0 && level < 1.0) {
            return Err(SketchError::parameter("level", "0 < level < 1", level));
        }
        // Bisection. Both signs are equally likely, hence the factor of two.
        let largest = self.cells().flatten().map(|cell| cell.get().abs()).max();
        let (mut low, mut high) = (0, largest.unwrap_or_default());
        while low < high {
            let middle = low + (high - low) / 2;
            if 2.0 * self.share_above(middle) <= 1.0 - level {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low as f64)
    }

    /// The interval of one key's count: the estimate plus and minus the
    /// [error quantile](Self::error_quantile); for many keys, call that once instead.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when the level is not above 0 and below 1.
    pub fn interval(&self, hash: u64, level: f64) -> Result<Interval<f64>, SketchError> {
        let error = self.error_quantile(level)?;
        let estimate = self.estimate_hash(hash);
        Ok(Interval {
            lower: estimate - error,
            estimate,
            upper: estimate + error,
        })
    }

    /// The probability that the estimate of a key that never occurred exceeds `count >= 0`: that at
    /// least half of its counters, with random signs, do.
    fn share_above(&self, count: i64) -> f64 {
        // The Poisson binomial distribution, row by row: probabilities[k] is that of k rows above.
        let mut probabilities = [0.0; MAX_DEPTH + 1];
        probabilities[0] = 1.0;
        for row in self.cells() {
            let above = row.iter().filter(|cell| cell.get().abs() > count).count();
            let above = above as f64 / row.len() as f64 / 2.0;
            for k in (0..=MAX_DEPTH).rev() {
                let from_below = if k > 0 { probabilities[k - 1] } else { 0.0 };
                probabilities[k] = probabilities[k] * (1.0 - above) + from_below * above;
            }
        }
        probabilities[self.depth.div_ceil(2)..].iter().sum()
    }
}
