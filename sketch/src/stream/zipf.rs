//! Zipf's law: the frequency of the key with rank `r` is proportional to `r^-exponent`.

use rand::Rng;
use rand_distr::Distribution;

use crate::error::SketchError;

/// Zipf's law over keys 0 to `keys - 1`; key `i` has rank `i + 1`.
///
/// ```
/// use septet_sketch::stream::Zipf;
///
/// // The synthetic data of the paper: 13 970 034 occurrences of a million keys.
/// let counts = Zipf::new(1_000_000, 1.0)?.counts(1_000_000);
/// assert_eq!(counts.iter().sum::<u64>(), 13_970_034);
/// # Ok::<(), septet_sketch::SketchError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zipf {
    keys: u64,
    exponent: f64,
    distribution: rand_distr::Zipf<f64>,
}

impl Zipf {
    /// The law for `keys` keys, at least 1, with a finite exponent of at least 0 (uniform).
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] for a parameter out of range.
    pub fn new(keys: u64, exponent: f64) -> Result<Self, SketchError> {
        if keys == 0 {
            return Err(SketchError::parameter("keys", "at least 1", keys));
        }
        let wrong = || SketchError::parameter("exponent", "a finite number, at least 0", exponent);
        if !exponent.is_finite() || exponent < 0.0 {
            return Err(wrong());
        }
        let distribution = rand_distr::Zipf::new(keys as f64, exponent).map_err(|_| wrong())?;
        Ok(Self {
            keys,
            exponent,
            distribution,
        })
    }

    /// Deterministic counts `floor(largest / rank^exponent)` in the order of ranks, including keys with
    /// count zero.
    #[must_use]
    pub fn counts(&self, largest: u64) -> Vec<u64> {
        let is_harmonic = self.exponent == 1.0;
        (1..=self.keys)
            .map(|rank| {
                if is_harmonic {
                    // Integer division is exact, where a quotient of floats can round below an integer.
                    largest / rank
                } else {
                    (largest as f64 / (rank as f64).powf(self.exponent)).floor() as u64
                }
            })
            .collect()
    }

    /// An endless stream of independent draws, in constant time each.
    pub fn stream<R: Rng>(&self, rng: R) -> ZipfStream<R> {
        ZipfStream {
            distribution: self.distribution,
            rng,
        }
    }
}

/// An endless stream of keys drawn from a [`Zipf`] law.
#[derive(Clone, Debug)]
pub struct ZipfStream<R> {
    distribution: rand_distr::Zipf<f64>,
    rng: R,
}

impl<R: Rng> Iterator for ZipfStream<R> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        Some(self.distribution.sample(&mut self.rng) as u64 - 1)
    }
}

#[cfg(test)]
mod tests {
    use septet_core::seed::SeedTree;

    use super::*;

    #[test]
    fn the_counts_are_those_of_the_paper() {
        let counts = Zipf::new(1_000_000, 1.0).unwrap().counts(1_000_000);
        assert_eq!(counts.iter().sum::<u64>(), 13_970_034);
        // From the authors' notebook: 1.644922e12.
        let squares: u128 = counts.iter().map(|&f| u128::from(f) * u128::from(f)).sum();
        assert_eq!(squares / 1_000_000, 1_644_922);
    }

    #[test]
    fn draws_follow_the_law() {
        let zipf = Zipf::new(1000, 1.0).unwrap();
        let mut counts = vec![0_u32; 1000];
        let draws = 200_000;
        for key in zipf.stream(SeedTree::new(5).rng()).take(draws) {
            counts[key as usize] += 1;
        }
        let normalizer: f64 = (1..=1000).map(|rank| 1.0 / f64::from(rank)).sum();
        for rank in [1_u32, 2, 10, 100] {
            let expected = draws as f64 / (f64::from(rank) * normalizer);
            let found = f64::from(counts[rank as usize - 1]);
            // Six standard deviations of a Poisson count.
            assert!((found - expected).abs() < 6.0 * expected.sqrt(), "{rank}");
        }
    }

    #[test]
    fn parameters_are_checked() {
        assert!(Zipf::new(0, 1.0).is_err());
        assert!(Zipf::new(10, f64::NAN).is_err());
        assert!(Zipf::new(10, -1.0).is_err());
    }
}
