//! Closed forms of errors and of undetectable attacks.
//!
//! Every function is a deterministic formula with its constant. The statements were rederived from the
//! model of Acharya, Sun and Zhang (ICML 2021); the tests of each module compare them with independent
//! computations.
//!
//! - [`kantorovich`]: the cost of turning one hypothesis into the other in a central test.
//! - [`coupling`]: undetectable shifts of a distribution when every message is the cell of a random
//!   balanced partition, with or without local privacy.
//! - [`learning`]: errors of the estimators, statistical and by manipulation.

pub mod coupling;
pub mod kantorovich;
pub mod learning;

use statrs::distribution::{ContinuousCDF, Normal};

/// The density of the standard normal distribution.
#[must_use]
pub(crate) fn normal_density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// The distribution function of the standard normal distribution.
#[must_use]
pub(crate) fn normal_cdf(z: f64) -> f64 {
    Normal::standard().cdf(z)
}

/// The quantile of the standard normal distribution at `p` strictly between 0 and 1.
#[must_use]
pub(crate) fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

/// The mean of `|mean + deviation N|` for a standard normal `N`.
#[must_use]
pub(crate) fn folded_normal_mean(mean: f64, deviation: f64) -> f64 {
    if deviation <= 0.0 {
        return mean.abs();
    }
    let z = mean / deviation;
    2.0 * deviation * normal_density(z) + mean * (2.0 * normal_cdf(z) - 1.0)
}

/// The minimum argument in `[low, high]` at which a non-decreasing function reaches `level`, by
/// bisection; `high` if it does not.
pub(crate) fn first_reaching(
    mut low: f64,
    mut high: f64,
    level: f64,
    function: impl Fn(f64) -> f64,
) -> f64 {
    // 60 halvings: to 1e-18 of the interval.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if function(middle) < level {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_normal_means() {
        // Without a mean it is sqrt(2 / pi), with a large one the mean itself.
        assert!((folded_normal_mean(0.0, 2.0) - 2.0 * 0.797_884_560_802_865_4).abs() < 1e-12);
        assert!((folded_normal_mean(-50.0, 1.0) - 50.0).abs() < 1e-12);
        assert_eq!(folded_normal_mean(-3.0, 0.0), 3.0);
    }

    #[test]
    fn bisection_finds_the_root() {
        let root = first_reaching(0.0, 4.0, 2.0, |x| x * x);
        assert!((root - 2.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!(first_reaching(0.0, 1.0, 2.0, |x| x), 1.0);
    }
}
