//! Measured quantities.

use rand_chacha::rand_core::RngCore;
use serde::{Deserialize, Serialize};

use super::json_number;
use crate::stats;

/// The number of bootstrap resamples behind [`Estimate::of_samples`].
const RESAMPLES: usize = 10_000;

/// A measured quantity, and how sure it is.
///
/// A stochastic quantity without an interval (one seed) cannot settle a claim. A deterministic one
/// needs no interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value.
    #[serde(with = "json_number")]
    pub value: f64,
    /// The confidence interval at 95 %, or the range that is proven.
    pub interval: Option<(f64, f64)>,
    /// The number of independent samples.
    pub n: usize,
    /// The unit; empty for a ratio or a count.
    pub unit: String,
    /// Whether another run with another seed gives the same value.
    pub deterministic: bool,
}

impl Estimate {
    /// A deterministic quantity: a count, a bound, the outcome of an algorithm without randomness.
    #[must_use]
    pub fn exact(value: f64, unit: impl Into<String>) -> Self {
        Self {
            value,
            interval: None,
            n: 1,
            unit: unit.into(),
            deterministic: true,
        }
    }

    /// The mean of independent samples with its BCa interval at 95 %. Fewer than two samples, or
    /// samples that are not finite, give no interval.
    #[must_use]
    pub fn of_samples(values: &[f64], unit: impl Into<String>, rng: &mut impl RngCore) -> Self {
        let interval = stats::bca(values, stats::mean, RESAMPLES, 0.95, rng);
        Self {
            value: stats::mean(values),
            interval: interval.map(Into::into),
            n: values.len(),
            unit: unit.into(),
            deterministic: false,
        }
    }

    /// A quantity whose interval was computed elsewhere, from `n` samples. Ends that are not
    /// finite numbers in ascending order give no interval.
    #[must_use]
    pub fn with_interval(
        value: f64,
        interval: impl Into<(f64, f64)>,
        n: usize,
        unit: impl Into<String>,
    ) -> Self {
        let (low, high) = interval.into();
        let is_interval = low.is_finite() && high.is_finite() && low <= high;
        Self {
            value,
            interval: is_interval.then_some((low, high)),
            n,
            unit: unit.into(),
            deterministic: false,
        }
    }

    /// A stochastic quantity measured once. It has no interval, and settles nothing.
    #[must_use]
    pub fn single(value: f64, unit: impl Into<String>) -> Self {
        Self {
            value,
            interval: None,
            n: 1,
            unit: unit.into(),
            deterministic: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::SeedTree;

    #[test]
    fn samples_give_their_mean_with_an_interval_around_it() {
        let mut rng = SeedTree::new(1).rng();
        let estimate = Estimate::of_samples(&[1.0, 2.0, 3.0, 4.0, 5.5], "s", &mut rng);
        assert_eq!(
            (estimate.value, estimate.n, estimate.unit.as_str()),
            (3.1, 5, "s")
        );
        assert!(!estimate.deterministic);
        let (low, high) = estimate.interval.unwrap();
        assert!(
            1.0 < low && low < 3.1 && 3.1 < high && high < 5.5,
            "{low} {high}"
        );
    }

    #[test]
    fn too_few_samples_give_no_interval() {
        let mut rng = SeedTree::new(1).rng();
        assert_eq!(Estimate::of_samples(&[2.0], "", &mut rng).interval, None);
        assert!(Estimate::of_samples(&[], "", &mut rng).value.is_nan());
        assert_eq!(Estimate::exact(1.0, "").interval, None);
    }
}
