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
