//! Families of distributions for experiments.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, StandardNormal};

use super::Pmf;
use crate::error::RobustStatsError;

/// Families of distributions. Masses are exact up to rounding.
impl Pmf {
    /// Paninski's hard alternative to uniformity: mass `(1 + 2 alpha z) / k` with `z` a random choice
    /// of `+1` for one half of the symbols and `-1` for the other, at total variation distance exactly
    /// `alpha` from uniform (for an odd domain one symbol keeps its mass, and the distance is
    /// `alpha (k-1)/k`).
    ///
    /// # Errors
    ///
    /// When the domain has fewer than 2 symbols, or `alpha` is outside `[0, 1/2]`.
    pub fn paninski<R: Rng + ?Sized>(
        domain: usize,
        alpha: f64,
        rng: &mut R,
    ) -> Result<Self, RobustStatsError> {
        at_least(domain, 2)?;
        if !(0.0..=0.5).contains(&alpha) {
            return Err(RobustStatsError::parameter("alpha", "from 0 to 0.5", alpha));
        }
        let half = domain / 2;
        let mut weights = vec![1.0; domain];
        weights[..half].fill(1.0 + 2.0 * alpha);
        weights[half..2 * half].fill(1.0 - 2.0 * alpha);
        weights.shuffle(rng);
        Self::from_weights(&weights)
    }

    /// Zipf's law: mass proportional to `1 / (x + 1)^exponent`.
    ///
    /// # Errors
    ///
    /// When the domain is empty, or the exponent is not finite.
    pub fn zipf(domain: usize, exponent: f64) -> Result<Self, RobustStatsError> {
        at_least(domain, 1)?;
        let weights: Vec<f64> = (0..domain)
            .map(|symbol| ((symbol + 1) as f64).powf(-exponent))
            .collect();
        Self::from_weights(&weights)
    }

    /// The truncated geometric distribution: mass proportional to `ratio^x`.
    ///
    /// # Errors
    ///
    /// When the domain is empty, or the ratio is not in `(0, 1]`.
    pub fn geometric(domain: usize, ratio: f64) -> Result<Self, RobustStatsError> {
        at_least(domain, 1)?;
        if !(ratio > 0.0 && ratio <= 1.0) {
            return Err(RobustStatsError::parameter(
                "ratio",
                "above 0 and at most 1",
                ratio,
            ));
        }
        let mut weight = 1.0;
        let mut weights = vec![0.0; domain];
        for place in &mut weights {
            *place = weight;
            weight *= ratio;
        }
        Self::from_weights(&weights)
    }

    /// Log-normal masses in descending order: weights `exp(sigma Z)` of independent normal `Z`, with
    /// the maximum mass limited to `largest`. With 102 symbols, `sigma = 1.3` and `largest = 0.2` it
    /// substitutes the city column of the census data on which poisoning attacks are usually shown.
    ///
    /// # Errors
    ///
    /// When the domain is empty, `sigma` is negative or not finite, or `largest` is not above
    /// `1 / domain` and at most 1.
    pub fn log_normal<R: Rng + ?Sized>(
        domain: usize,
        sigma: f64,
        largest: f64,
        rng: &mut R,
    ) -> Result<Self, RobustStatsError> {
        at_least(domain, 1)?;
        if !(sigma >= 0.0 && sigma.is_finite()) {
            return Err(RobustStatsError::parameter(
                "sigma",
                "a finite number from 0",
                sigma,
            ));
        }
        let normals = |_| {
            let normal: f64 = StandardNormal.sample(rng);
            (sigma * normal).exp()
        };
        let mut weights: Vec<f64> = (0..domain).map(normals).collect();
        weights.sort_by(|a, b| b.total_cmp(a));
        // The maximum mass m satisfies m / (m + rest) = largest.
        let rest: f64 = weights[1..].iter().sum();
        let even = 1.0 / domain as f64;
        if !(largest <= 1.0 && (largest > even || domain == 1)) {
            return Err(RobustStatsError::parameter(
                "largest",
                format!("above {even} and at most 1"),
                largest,
            ));
        }
        if largest < 1.0 {
            weights[0] = weights[0].min(rest * largest / (1.0 - largest));
        }
        Self::from_weights(&weights)
    }

    /// Two steps: `heavy_mass` spread evenly over the first `heavy` symbols, the rest evenly over the
    /// others.
    ///
    /// # Errors
    ///
    /// When `heavy` is not at least 1 and below `domain`, or `heavy_mass` is outside `[0, 1]`.
    pub fn two_step(
        domain: usize,
        heavy: usize,
        heavy_mass: f64,
    ) -> Result<Self, RobustStatsError> {
        if heavy == 0 || heavy >= domain {
            return Err(RobustStatsError::parameter(
                "heavy",
                format!("at least 1 and below the domain {domain}"),
                heavy,
            ));
        }
        if !(0.0..=1.0).contains(&heavy_mass) {
            return Err(RobustStatsError::parameter(
                "heavy_mass",
                "from 0 to 1",
                heavy_mass,
            ));
        }
        let mut weights = vec![(1.0 - heavy_mass) / (domain - heavy) as f64; domain];
        weights[..heavy].fill(heavy_mass / heavy as f64);
        Self::from_weights(&weights)
    }
}

fn at_least(domain: usize, minimum: usize) -> Result<(), RobustStatsError> {
    if domain < minimum {
        return Err(RobustStatsError::parameter(
            "domain",
            format!("at least {minimum}"),
            domain,
        ));
    }
    Ok(())
}
