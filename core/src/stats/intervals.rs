//! Confidence intervals with closed forms.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::{mean, standard_deviation};

/// An interval of real numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl From<Interval> for (f64, f64) {
    fn from(interval: Interval) -> Self {
        (interval.low, interval.high)
    }
}

/// Wilson's score interval for a proportion: `successes` in `trials`, without continuity
/// correction (Wilson, JASA 22, 1927). `None` for no trials, more successes than trials, or a
/// level outside `(0, 1)`.
#[must_use]
pub fn wilson(successes: u64, trials: u64, level: f64) -> Option<Interval> {
    if trials == 0 || successes > trials || !is_level(level) {
        return None;
    }
    let z = normal_quantile(0.5 + level / 2.0);
    let n = trials as f64;
    let p = successes as f64 / n;
    // The ends are the solutions q of (p - q)^2 = z^2 q (1 - q) / n.
    let denominator = 1.0 + z * z / n;
    let center = (p + z * z / (2.0 * n)) / denominator;
    let half_width = z / denominator * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    // At the ends the exact bound is 0 or 1; rounding must not move it.
    Some(Interval {
        low: if successes == 0 {
            0.0
        } else {
            center - half_width
        },
        high: if successes == trials {
            1.0
        } else {
            center + half_width
        },
    })
}

/// Student's t interval for the mean of normally distributed values. For few samples it holds its
/// level where a bootstrap does not; see [`mean_interval`](super::mean_interval). `None` for fewer than two
/// values, a value that is not finite, or a level outside `(0, 1)`.
#[must_use]
pub fn student_t(values: &[f64], level: f64) -> Option<Interval> {
    if values.len() < 2 || !values.iter().all(|value| value.is_finite()) || !is_level(level) {
        return None;
    }
    let standard_error = standard_deviation(values) / (values.len() as f64).sqrt();
    let half_width = student_quantile(0.5 + level / 2.0, values.len() - 1)? * standard_error;
    let center = mean(values);
    Some(Interval {
        low: center - half_width,
        high: center + half_width,
    })
}

/// Whether this is a confidence level: strictly between 0 and 1.
pub(super) fn is_level(level: f64) -> bool {
    level > 0.0 && level < 1.0
}

/// The quantile of the standard normal distribution at `p` in `(0, 1)`.
pub(super) fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

/// The distribution function of the standard normal distribution.
pub(super) fn normal_cdf(z: f64) -> f64 {
    Normal::standard().cdf(z)
}

/// The quantile of Student's t distribution at `p` in `(0, 1)`; `None` for no degrees of freedom.
pub(super) fn student_quantile(p: f64, degrees_of_freedom: usize) -> Option<f64> {
    let distribution = StudentsT::new(0.0, 1.0, degrees_of_freedom as f64).ok()?;
    Some(distribution.inverse_cdf(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(measured: f64, expected: f64, tolerance: f64) {
        assert!(
            (measured - expected).abs() <= tolerance,
            "{measured} is not {expected}"
        );
    }

    #[test]
    fn wilson_agrees_with_newcombe() {
        // R. G. Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.
        for (successes, trials, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let interval = wilson(successes, trials, 0.95).unwrap();
            assert_close(interval.low, low, 5e-5);
            assert_close(interval.high, high, 5e-5);
        }
    }

    #[test]
    fn wilson_keeps_to_the_unit_interval() {
        assert_eq!(wilson(0, 7, 0.99).unwrap().low, 0.0);
        assert_eq!(wilson(7, 7, 0.99).unwrap().high, 1.0);
        assert_eq!(wilson(0, 0, 0.95), None);
        assert_eq!(wilson(3, 2, 0.95), None);
        assert_eq!(wilson(1, 2, 1.0), None);
        assert_eq!(wilson(1, 2, f64::NAN), None);
    }

    #[test]
    fn student_quantiles_are_those_of_the_printed_table() {
        // The usual table of critical values, two-sided 95 %.
        for (degrees_of_freedom, expected) in [(1, 12.706), (4, 2.776), (10, 2.228), (30, 2.042)] {
            let measured = student_quantile(0.975, degrees_of_freedom).unwrap();
            assert_close(measured, expected, 5e-4);
        }
        assert_close(normal_quantile(0.975), 1.959_963_984_540_054, 1e-9);
    }

    #[test]
    fn student_interval_of_students_own_data() {
        // Student (1908), the ten differences in hours of sleep; R: t.test(extra2 - extra1).
        let differences = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];
        let interval = student_t(&differences, 0.95).unwrap();
        assert_close(interval.low, 0.700_114_2, 1e-6);
        assert_close(interval.high, 2.459_885_8, 1e-6);
        assert_eq!(student_t(&[1.0], 0.95), None);
        assert_eq!(student_t(&[1.0, f64::INFINITY], 0.95), None);
    }

    #[test]
    fn wilson_holds_the_truth_as_often_as_it_says() {
        // The exact coverage for 40 trials, averaged over 99 proportions: Agresti and Coull (The
        // American Statistician 52, 1998) find about the nominal level.
        let trials = 40_u64;
        let probability = |successes: u64, p: f64| {
            let ways: f64 = (0..successes)
                .map(|i| (trials - i) as f64 / (successes - i) as f64)
                .product();
            ways * p.powi(successes as i32) * (1.0 - p).powi((trials - successes) as i32)
        };
        let coverage = |p: f64| -> f64 {
            (0..=trials)
                .filter(|&successes| {
                    let interval = wilson(successes, trials, 0.95).unwrap();
                    interval.low <= p && p <= interval.high
                })
                .map(|successes| probability(successes, p))
                .sum()
        };
        let proportions = (1..100).map(|percent| f64::from(percent) / 100.0);
        let average = proportions.map(coverage).sum::<f64>() / 99.0;
        assert!((0.945..0.96).contains(&average), "{average}");
    }
}
