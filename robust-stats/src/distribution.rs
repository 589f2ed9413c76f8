//! Distributions over a finite domain.

use alloc::vec;
use alloc::vec::Vec;

use crate::error::RobustStatsError;

/// A probability mass function over the symbols `0..len`.
///
/// Masses are finite and not negative, and sum to 1 within `1e-12` of rounding.
#[derive(Clone, Debug, PartialEq)]
pub struct Pmf(Vec<f64>);

impl Pmf {
    /// The distribution with masses proportional to `weights`.
    ///
    /// # Errors
    ///
    /// When there is no weight, when one is negative or not finite, or when all are zero.
    pub fn from_weights(weights: &[f64]) -> Result<Self, RobustStatsError> {
        if let Some(wrong) = weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
            return Err(RobustStatsError::parameter(
                "weights",
                "finite numbers from 0",
                wrong,
            ));
        }
        let sum: f64 = weights.iter().sum();
        if !(sum > 0.0 && sum.is_finite()) {
            return Err(RobustStatsError::parameter(
                "weights",
                "a positive finite sum",
                sum,
            ));
        }
        Ok(Self(weights.iter().map(|w| w / sum).collect()))
    }

    /// The uniform distribution over `symbols` symbols.
    ///
    /// # Errors
    ///
    /// When there is no symbol.
    pub fn uniform(symbols: usize) -> Result<Self, RobustStatsError> {
        Self::from_weights(&vec![1.0; symbols])
    }

    /// The masses, one for each symbol.
    #[must_use]
    pub fn masses(&self) -> &[f64] {
        &self.0
    }

    /// How many symbols the domain has.
    #[must_use]
    pub fn domain(&self) -> usize {
        self.0.len()
    }

    /// The total variation distance, from 0 to 1.
    ///
    /// # Errors
    ///
    /// When the domains differ.
    pub fn total_variation(&self, other: &Self) -> Result<f64, RobustStatsError> {
        if self.domain() != other.domain() {
            return Err(RobustStatsError::Mismatch {
                field: "domain",
                left: alloc::format!("{}", self.domain()),
                right: alloc::format!("{}", other.domain()),
            });
        }
        let sum: f64 = self
            .0
            .iter()
            .zip(&other.0)
            .map(|(p, q)| (p - q).abs())
            .sum();
        Ok(sum / 2.0)
    }
}
