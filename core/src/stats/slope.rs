//! Growth rates: a straight line through points on logarithmic axes.

use super::intervals::{Interval, is_level, student_quantile};

/// A power law `y = factor · x^exponent`, fitted by least squares on logarithmic axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// The slope of the line: the exponent of the power law.
    pub exponent: f64,
    /// The value of the power law at `x = 1`.
    pub factor: f64,
    /// The interval of the exponent, from Student's t with `n - 2` degrees of freedom.
    pub interval: Interval,
}

/// Fits `ln y = ln factor + exponent · ln x`. `None` for fewer than three points, coordinates that
/// are not finite and positive, all `x` equal, or a level outside `(0, 1)`.
#[must_use]
pub fn log_log_slope(points: &[(f64, f64)], level: f64) -> Option<Slope> {
    let usable = |value: f64| value.is_finite() && value > 0.0;
    let all_usable = points.iter().all(|&(x, y)| usable(x) && usable(y));
    if points.len() < 3 || !all_usable || !is_level(level) {
        return None;
    }
    let n = points.len() as f64;
    let logarithms: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let mean_x = logarithms.iter().map(|(x, _)| x).sum::<f64>() / n;
    let mean_y = logarithms.iter().map(|(_, y)| y).sum::<f64>() / n;
    // Least squares: the covariance over the variance of ln x.
    let spread: f64 = logarithms.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if spread == 0.0 {
        return None;
    }
    let joint: f64 = logarithms
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    let exponent = joint / spread;
    let intercept = mean_y - exponent * mean_x;
    let residual: f64 = logarithms
        .iter()
        .map(|(x, y)| (y - intercept - exponent * x).powi(2))
        .sum();
    // The residuals have n - 2 degrees of freedom, since two parameters are fitted.
    let standard_error = (residual / (n - 2.0) / spread).sqrt();
    let half_width = student_quantile(0.5 + level / 2.0, points.len() - 2)? * standard_error;
    Some(Slope {
        exponent,
        factor: intercept.exp(),
        interval: Interval {
            low: exponent - half_width,
            high: exponent + half_width,
        },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_line_of_anscombe() {
        // F. J. Anscombe, The American Statistician 27 (1973), first data set: slope 0.500 with
        // standard error 0.118, intercept 3.00; with 9 degrees of freedom t is 2.262.
        let x = [
            10.0, 8.0, 13.0, 9.0, 11.0, 14.0, 6.0, 4.0, 12.0, 7.0, 5.0_f64,
        ];
        let y = [
            8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68_f64,
        ];
        let points: Vec<(f64, f64)> = x.iter().zip(&y).map(|(x, y)| (x.exp(), y.exp())).collect();
        let slope = log_log_slope(&points, 0.95).unwrap();
        assert!((slope.exponent - 0.500).abs() < 5e-4);
        assert!((slope.factor.ln() - 3.00).abs() < 5e-3);
        let half_width = (slope.interval.high - slope.interval.low) / 2.0;
        assert!((half_width / 2.262 - 0.118).abs() < 5e-4);
    }

    #[test]
    fn what_has_no_slope_is_refused() {
        let line = [(1.0, 1.0), (2.0, 2.0), (4.0, 4.0)];
        assert_eq!(log_log_slope(&line[..2], 0.95), None);
        assert_eq!(log_log_slope(&line, 1.0), None);
        assert_eq!(log_log_slope(&[(1.0, 1.0); 3], 0.95), None);
        assert_eq!(
            log_log_slope(&[(1.0, 1.0), (2.0, 0.0), (3.0, 1.0)], 0.95),
            None
        );
        assert_eq!(
            log_log_slope(&[(1.0, 1.0), (2.0, f64::NAN), (3.0, 1.0)], 0.95),
            None
        );
    }

    proptest! {
        #[test]
        fn a_power_law_is_found(exponent in -3.0_f64..3.0, factor in 0.01_f64..100.0) {
            let points: Vec<(f64, f64)> = [1.0_f64, 3.0, 10.0, 200.0]
                .iter()
                .map(|&x| (x, factor * x.powf(exponent)))
                .collect();
            let slope = log_log_slope(&points, 0.95).unwrap();
            prop_assert!((slope.exponent - exponent).abs() < 1e-9);
            prop_assert!((slope.factor / factor - 1.0).abs() < 1e-9);
            prop_assert!(slope.interval.high - slope.interval.low < 1e-9);
        }
    }
}
