//! Measured quantities.

use rand_chacha::rand_core::RngCore;
use serde::{Deserialize, Serialize};

use super::claim::Short;
use super::json_number;
use crate::stats;

/// A measured quantity, and how sure it is.
///
/// What is random and measured once cannot settle a claim; what has no randomness needs no
/// interval.
///
/// ```
/// use septet_core::report::Estimate;
/// use septet_core::seed::SeedTree;
///
/// let mut rng = SeedTree::new(1).rng();
/// let mean = Estimate::mean(&[0.91, 0.93, 0.92], "trainings", "", &mut rng);
/// assert_eq!(mean.show_confidence(), "[0.89516, 0.94484], 95 % over 3 trainings");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value.
    #[serde(with = "json_number")]
    pub value: f64,
    /// The unit; empty for a ratio or a count.
    pub unit: String,
    /// How sure the value is.
    pub certainty: Certainty,
}

/// How sure a measured value is, and on what that rests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Certainty {
    /// It has no randomness: another seed gives the same value.
    Exact,
    /// A confidence interval at 95 %.
    Confidence {
        /// The lower end.
        low: f64,
        /// The upper end.
        high: f64,
        /// The number of independent replicates.
        n: usize,
        /// What is replicated, in the plural: `trainings`, `worlds`, `trials`.
        of: String,
        /// Where the interval comes from, such as `Student's t`.
        method: String,
    },
    /// The lowest and the highest of the replicates: no confidence interval.
    Range {
        /// The lowest.
        low: f64,
        /// The highest.
        high: f64,
        /// The number of replicates.
        n: usize,
        /// What is replicated, in the plural.
        of: String,
    },
    /// It is random, and nothing is known about its spread.
    Unknown {
        /// The number of replicates: one, or none that give a number.
        n: usize,
        /// What would have to be replicated, in the plural.
        of: String,
    },
}

impl Estimate {
    /// A quantity without randomness: a count of a deterministic algorithm, a bound, a formula.
    #[must_use]
    pub fn exact(value: f64, unit: impl Into<String>) -> Self {
        Self {
            value,
            unit: unit.into(),
            certainty: Certainty::Exact,
        }
    }

    /// The mean of independent replicates with its interval at 95 % from
    /// [`stats::mean_interval`]. Fewer than two replicates, or such that are not finite, give no
    /// interval. `of` names in the plural what is replicated.
    #[must_use]
    pub fn mean(
        values: &[f64],
        of: impl Into<String>,
        unit: impl Into<String>,
        rng: &mut impl RngCore,
    ) -> Self {
        let interval = stats::mean_interval(values, 0.95, rng);
        let method = if values.len() <= stats::STUDENT_SAMPLES {
            "Student's t"
        } else {
            "BCa bootstrap"
        };
        Self::with_optional(
            stats::mean(values),
            interval,
            method,
            values.len(),
            of,
            unit,
        )
    }

    /// The mean of replicates with the range from the lowest to the highest, for claims on every
    /// single one. Fewer than two replicates, or such that are not finite, give no range.
    #[must_use]
    pub fn range(values: &[f64], of: impl Into<String>, unit: impl Into<String>) -> Self {
        let (n, of) = (values.len(), of.into());
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // `f64::min` and `f64::max` pass over NaN.
        let all_finite = values.iter().all(|value| value.is_finite());
        Self {
            value: stats::mean(values),
            unit: unit.into(),
            certainty: if n < 2 || !all_finite {
                Certainty::Unknown { n, of }
            } else {
                Certainty::Range { low, high, n, of }
            },
        }
    }

    /// The share of successes among independent trials, with Wilson's interval at 95 %.
    #[must_use]
    pub fn proportion(successes: u64, trials: u64, of: impl Into<String>) -> Self {
        let value = successes as f64 / trials as f64;
        let interval = stats::wilson(successes, trials, 0.95);
        Self::with_optional(value, interval, "Wilson", trials as usize, of, "")
    }

    /// A quantity whose confidence interval at 95 % was computed by the method named, from `n`
    /// replicates. Ends that are not finite numbers in ascending order give no interval.
    #[must_use]
    pub fn confidence(
        value: f64,
        interval: impl Into<(f64, f64)>,
        method: &str,
        n: usize,
        of: impl Into<String>,
        unit: impl Into<String>,
    ) -> Self {
        let (low, high) = interval.into();
        let is_interval = low.is_finite() && high.is_finite() && low <= high;
        let interval = is_interval.then_some(stats::Interval { low, high });
        Self::with_optional(value, interval, method, n, of, unit)
    }

    /// A random quantity measured once. It has no interval, and settles nothing.
    #[must_use]
    pub fn once(value: f64, of: impl Into<String>, unit: impl Into<String>) -> Self {
        Self::with_optional(value, None, "", 1, of, unit)
    }

    fn with_optional(
        value: f64,
        interval: Option<stats::Interval>,
        method: &str,
        n: usize,
        of: impl Into<String>,
        unit: impl Into<String>,
    ) -> Self {
        let of = of.into();
        Self {
            value,
            unit: unit.into(),
            certainty: match interval {
                Some(stats::Interval { low, high }) => Certainty::Confidence {
                    low,
                    high,
                    n,
                    of,
                    method: method.to_owned(),
                },
                None => Certainty::Unknown { n, of },
            },
        }
    }

    /// The ends of the range of the value: those of the interval or of the range, the
    /// value itself when it is exact. `None` when nothing is known, or the value is not finite.
    #[must_use]
    pub fn ends(&self) -> Option<(f64, f64)> {
        if !self.value.is_finite() {
            return None;
        }
        match self.certainty {
            Certainty::Exact => Some((self.value, self.value)),
            Certainty::Confidence { low, high, .. } | Certainty::Range { low, high, .. } => {
                Some((low, high))
            }
            Certainty::Unknown { .. } => None,
        }
    }

    /// The value with its unit, as reports show it.
    #[must_use]
    pub fn show_value(&self) -> String {
        format!("{} {}", Short(self.value), self.unit)
            .trim_end()
            .to_owned()
    }

    /// How sure the value is, as reports show it.
    #[must_use]
    pub fn show_confidence(&self) -> String {
        match &self.certainty {
            Certainty::Exact => "exact".to_owned(),
            Certainty::Confidence {
                low, high, n, of, ..
            } => format!("[{}, {}], 95 % over {n} {of}", Short(*low), Short(*high)),
            Certainty::Range { low, high, n, of } => {
                format!("range {} to {} of {n} {of}", Short(*low), Short(*high))
            }
            Certainty::Unknown { n, of } => format!("no interval: {n} of {of}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::SeedTree;

    #[test]
    fn replicates_give_their_mean_with_an_interval_around_it() {
        let mut rng = SeedTree::new(1).rng();
        let estimate = Estimate::mean(&[1.0, 2.0, 3.0, 4.0, 5.5], "runs", "s", &mut rng);
        assert_eq!((estimate.value, estimate.unit.as_str()), (3.1, "s"));
        // R: t.test(c(1, 2, 3, 4, 5.5))
        let (low, high) = estimate.ends().unwrap();
        assert!((low - 0.931_6).abs() < 1e-3, "{low}");
        assert!((high - 5.268_4).abs() < 1e-3, "{high}");
        let shown = estimate.show_confidence();
        assert!(shown.ends_with("], 95 % over 5 runs"), "{shown}");
    }

    #[test]
    fn a_range_is_called_a_range() {
        let estimate = Estimate::range(&[1.0, 2.5, 2.0], "trainings", "%");
        assert_eq!(estimate.ends(), Some((1.0, 2.5)));
        assert_eq!(estimate.show_confidence(), "range 1 to 2.5 of 3 trainings");
    }

    #[test]
    fn too_few_replicates_give_no_interval() {
        let mut rng = SeedTree::new(1).rng();
        let none = [
            Estimate::mean(&[2.0], "runs", "", &mut rng),
            Estimate::mean(&[], "runs", "", &mut rng),
            Estimate::mean(&[1.0, f64::NAN], "runs", "", &mut rng),
            Estimate::range(&[2.0], "runs", ""),
            Estimate::range(&[2.0, f64::INFINITY], "runs", ""),
            Estimate::once(1.0, "trainings", ""),
            Estimate::proportion(0, 0, "trials"),
            Estimate::confidence(0.0, (0.0, f64::NAN), "t", 5, "runs", ""),
            Estimate::confidence(0.0, (0.5, -0.5), "t", 5, "runs", ""),
            Estimate::exact(f64::NAN, ""),
        ];
        for estimate in none {
            assert_eq!(estimate.ends(), None, "{estimate:?}");
        }
        assert_eq!(Estimate::exact(1.0, "").ends(), Some((1.0, 1.0)));
    }
}
