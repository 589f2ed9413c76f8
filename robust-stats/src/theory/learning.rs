//! Errors of the estimators: statistical, and by manipulation.

use crate::parameter::{Epsilon, Gamma};

use super::coupling::{coupling_shift, response_contraction, searched_gain, searched_sign_gain};
use super::{folded_normal_mean, normal_density, normal_quantile};

/// The standard deviation of one empirical frequency of the uniform distribution.
#[must_use]
pub fn central_deviation(samples: f64, symbols: usize) -> f64 {
    let mass = 1.0 / symbols as f64;
    (mass * (1.0 - mass) / samples).sqrt()
}

/// The parameters of a public-coin design in the error formulas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HashedSetting {
    /// Symbols of the domain, `k`.
    pub symbols: usize,
    /// Cells of each partition, `L`.
    pub cells: usize,
    /// Partitions, `N`.
    pub groups: usize,
    /// The privacy parameter of each message, if any.
    pub epsilon: Option<Epsilon>,
}

impl HashedSetting {
    /// Unknowns per independent observation: `(k - 1) / (N (L - 1))`. Identification requires a
    /// value of at most 1.
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
        // The fixed point of the M-estimator for the absolute value: the dual variable is a normal clipped
        // at `threshold`, which is determined by the ratio of unknowns to observations.
        let threshold = normal_quantile(f64::midpoint(1.0, ratio));
        let clipped = ratio - 2.0 * threshold * normal_density(threshold)
            + threshold * threshold * (1.0 - ratio);
        let share = clipped / ratio;
        // The variance of an estimate in units of that of an error; for least squares it is
        // `ratio / (1 - ratio)`.
        let variance = share / (1.0 - share);
        self.ideal_deviation(users) * (variance / ratio).sqrt()
    }

    /// The deviation for a design with orthogonal columns.
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

/// The shift at which general directions hit the boundary of the simplex, near the uniform
/// distribution.
const MAX_UNCONSTRAINED_SHIFT: f64 = 0.13;

/// The undetectable shift in total variation by corrupted clients that know the partitions, near the
/// uniform distribution: the coupling shift along the least-identified direction found by search. If
/// every symbol is its own cell it is `gamma`, divided by the attenuation of randomized response.
/// Infinite if the design does not identify the distribution.
#[must_use]
pub fn manipulation_floor(
    gamma: Gamma,
    symbols: usize,
    cells: usize,
    groups: usize,
    epsilon: Option<Epsilon>,
) -> f64 {
    shift(gamma, symbols, cells, groups, epsilon, |random, ratio| {
        if ratio >= 1.0 {
            return f64::INFINITY;
        }
        let free = (random * searched_gain(ratio)).min(MAX_UNCONSTRAINED_SHIFT);
        (random * searched_sign_gain(ratio)).max(free)
    })
}

/// The shift `along(random, aspect_ratio)`, given that along a random sign vector and the aspect ratio
/// of the design.
fn shift(
    gamma: Gamma,
    symbols: usize,
    cells: usize,
    groups: usize,
    epsilon: Option<Epsilon>,
    along: impl Fn(f64, f64) -> f64,
) -> f64 {
    if symbols < 2 || gamma.get() == 0.0 {
        return 0.0;
    }
    // Without collisions the shift is the budget itself, amplified by randomized response.
    if cells >= symbols {
        let private = epsilon.map_or(1.0, |epsilon| response_contraction(epsilon, cells));
        return gamma.get() * private;
    }
    let setting = HashedSetting {
        symbols,
        cells,
        groups,
        epsilon,
    };
    let random = coupling_shift(gamma.get(), symbols, cells, epsilon);
    along(random, setting.aspect_ratio())
}

/// The mean total variation error of the min-L1 estimate near the uniform distribution under a planted
/// shift. In the central protocol the shift adds to the noise; under coupling it is along a fixed
/// direction.
///
/// Asymptotic in the number of symbols: within 12 % of simulations for random plans of 64 to 256
/// symbols, and up to 45 % too large for very few symbols, where designs also vary.
#[must_use]
pub fn expected_error(
    symbols: usize,
    cells: usize,
    groups: usize,
    epsilon: Option<Epsilon>,
    users: f64,
    shift: f64,
) -> f64 {
    if symbols < 2 {
        return 0.0;
    }
    if cells >= symbols {
        let private = epsilon.map_or(1.0, |epsilon| response_contraction(epsilon, cells));
        let deviation = private * central_deviation(users, symbols);
        return total_variation_error(symbols, 0.0, deviation) + shift;
    }
    let setting = HashedSetting {
        symbols,
        cells,
        groups,
        epsilon,
    };
    total_variation_error(symbols, shift, setting.min_l1_deviation(users))
}

/// The standard deviation of the total variation error of an estimate with independent normal errors,
/// given its mean.
#[must_use]
pub fn error_deviation(symbols: usize, mean: f64) -> f64 {
    mean * (std::f64::consts::FRAC_PI_2 - 1.0).sqrt() / (symbols as f64).sqrt()
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
