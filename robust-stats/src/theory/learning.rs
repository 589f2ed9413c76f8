//! The statistical error of the estimators, without manipulation and under a planted shift.

use crate::parameter::Epsilon;

use super::coupling::response_contraction;
use super::{folded_normal_mean, normal_density, normal_quantile};

/// The bound on the mean error of empirical frequencies: `1/2 sqrt((k - 1) / n)`, for any
/// distribution. Manipulation adds exactly `gamma`.
#[must_use]
pub fn central_bound(samples: f64, symbols: usize) -> f64 {
    0.5 * (symbols.saturating_sub(1) as f64 / samples).sqrt()
}

/// The standard deviation of one empirical frequency of the uniform distribution.
#[must_use]
pub fn central_deviation(samples: f64, symbols: usize) -> f64 {
    let mass = 1.0 / symbols as f64;
    (mass * (1.0 - mass) / samples).sqrt()
}

/// A public-coin design as the error formulas see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HashedSetting {
    /// Symbols of the domain, `k`.
    pub symbols: usize,
    /// Cells of each partition, `L`.
    pub cells: usize,
    /// Partitions, `N`.
    pub groups: usize,
    /// The privacy of each message, if any.
    pub epsilon: Option<Epsilon>,
}

impl HashedSetting {
    /// Unknowns over independent observations: `(k - 1) / (N (L - 1))`. A design identifies every
    /// distribution only when it is at most 1.
    #[must_use]
    pub fn aspect_ratio(&self) -> f64 {
        let observations = self.groups as f64 * (self.cells as f64 - 1.0);
        (self.symbols.saturating_sub(1)) as f64 / observations
    }

    /// The standard deviation of one estimated mass by least squares near the uniform distribution
    /// with `users` messages: the noise of the cells through the mean inverse eigenvalue of the
    /// design (Marchenko and Pastur). Infinite when the design does not identify the distribution.
    #[must_use]
    pub fn least_squares_deviation(&self, users: f64) -> f64 {
        let ratio = self.aspect_ratio();
        if self.symbols < 2 {
            return 0.0;
        }
        if ratio.is_nan() || ratio >= 1.0 {
            return f64::INFINITY;
        }
        self.ideal_deviation(users) / (1.0 - ratio).sqrt()
    }

    /// The same for least absolute deviations: the fixed point of the high-dimensional
    /// M-estimator (El Karoui, Bean, Bickel, Lim, Yu, PNAS 2013) with normal errors, which has a
    /// closed form for the absolute value.
    #[must_use]
    pub fn min_l1_deviation(&self, users: f64) -> f64 {
        let ratio = self.aspect_ratio();
        if self.symbols < 2 {
            return 0.0;
        }
        if ratio.is_nan() || ratio >= 1.0 {
            return f64::INFINITY;
        }
        let threshold = normal_quantile(f64::midpoint(1.0, ratio));
        let clipped = ratio - 2.0 * threshold * normal_density(threshold)
            + threshold * threshold * (1.0 - ratio);
        let share = clipped / ratio;
        // The variance of an estimate, in units of the error's; least squares has `ratio / (1 -
        // ratio)` in its place.
        let variance = share / (1.0 - share);
        self.ideal_deviation(users) * (variance / ratio).sqrt()
    }

    /// The deviation when the columns of the design are orthogonal.
    pub(crate) fn ideal_deviation(&self, users: f64) -> f64 {
        let (k, l) = (self.symbols as f64, self.cells as f64);
        // A pair of symbols shares a cell with probability `(c - 1) / (k - 1)`.
        let apart = ((k - k / l) / (k - 1.0)).clamp(0.0, 1.0);
        let private = self
            .epsilon
            .map_or(1.0, |epsilon| response_contraction(epsilon, self.cells));
        private / (users * l * apart).sqrt()
    }
}

/// The mean total variation of an estimate whose masses have independent normal errors of this
/// deviation, after the true distribution was moved by `shift` along a sign vector.
#[must_use]
pub fn total_variation_error(symbols: usize, shift: f64, deviation: f64) -> f64 {
    let k = symbols as f64;
    0.5 * k * folded_normal_mean(2.0 * shift / k, deviation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(symbols: usize, cells: usize) -> HashedSetting {
        HashedSetting {
            symbols,
            cells,
            groups: (4 * symbols).div_ceil(cells),
            epsilon: None,
        }
    }

    #[test]
    fn coefficients_are_those_of_the_simulation() {
        // Measured when the statement was derived: TV = c sqrt(k^2 / (n L)) with these c.
        for (cells, coefficient) in [(2, 0.95), (4, 0.65), (8, 0.6), (16, 0.55)] {
            let users = 1e8;
            let error =
                total_variation_error(256, 0.0, setting(256, cells).min_l1_deviation(users));
            let measured = error / (256.0_f64.powi(2) / (users * cells as f64)).sqrt();
            assert!(
                (measured / coefficient - 1.0).abs() < 0.12,
                "{cells} cells: {measured}"
            );
        }
    }

    #[test]
    fn absolute_deviations_cost_at_most_a_factor() {
        // With many groups per unknown the ratio of the variances is the classical pi / 2.
        let many = HashedSetting {
            groups: 1_000_000,
            ..setting(64, 2)
        };
        let ratio = many.min_l1_deviation(1e6) / many.least_squares_deviation(1e6);
        assert!(
            (ratio * ratio / std::f64::consts::FRAC_PI_2 - 1.0).abs() < 0.01,
            "{ratio}"
        );
        let few = setting(64, 2);
        assert!(few.min_l1_deviation(1e6) < 1.26 * few.least_squares_deviation(1e6));
    }

    #[test]
    fn what_is_not_identified_has_no_finite_error() {
        let one_cell = HashedSetting {
            symbols: 8,
            cells: 1,
            groups: 4,
            epsilon: None,
        };
        assert!(one_cell.min_l1_deviation(1e6).is_infinite());
        assert_eq!(setting(1, 2).min_l1_deviation(10.0), 0.0);
    }

    #[test]
    fn a_planted_shift_dominates_small_noise() {
        assert!((total_variation_error(64, 0.1, 1e-9) - 0.1).abs() < 1e-12);
        let noise = total_variation_error(64, 0.0, 0.001);
        assert!((noise - 32.0 * 0.001 * 0.797_884_560_8).abs() < 1e-9);
    }
}
