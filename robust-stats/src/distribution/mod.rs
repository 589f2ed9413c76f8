//! Distributions over a finite domain: validated masses, distances, samplers, families, and readers of
//! count files.

mod family;
mod load;
mod sample;

pub use load::{Counts, MAX_LINE_LEN, read_column, read_counts};
pub use sample::{AliasSampler, MultinomialSampler};

use crate::error::RobustStatsError;

/// A probability mass function over the symbols `0..domain`.
///
/// Masses are finite and not negative, and sum to 1 within rounding.
///
/// ```
/// use septet_robust_stats::Pmf;
///
/// let fair = Pmf::uniform(4)?;
/// let biased = Pmf::from_weights(&[3.0, 1.0, 1.0, 1.0])?;
/// assert!((fair.total_variation(&biased)? - 0.25).abs() < 1e-15);
/// # Ok::<(), septet_robust_stats::RobustStatsError>(())
/// ```
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
                "finite nonnegative numbers",
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

    /// The relative frequencies of `counts`.
    ///
    /// # Errors
    ///
    /// When there is no count, or when all are zero.
    pub fn from_counts(counts: &[u64]) -> Result<Self, RobustStatsError> {
        let weights: Vec<f64> = counts.iter().map(|&count| count as f64).collect();
        Self::from_weights(&weights)
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

    /// Number of symbols of the domain.
    #[must_use]
    pub fn domain(&self) -> usize {
        self.0.len()
    }

    /// The total variation distance, half the sum of absolute differences: from 0 to 1.
    ///
    /// # Errors
    ///
    /// When the domains differ.
    pub fn total_variation(&self, other: &Self) -> Result<f64, RobustStatsError> {
        let differences = self.differences(other)?;
        Ok(differences.map(f64::abs).sum::<f64>() / 2.0)
    }

    /// The Euclidean distance of the masses.
    ///
    /// # Errors
    ///
    /// When the domains differ.
    pub fn euclidean(&self, other: &Self) -> Result<f64, RobustStatsError> {
        Ok(self.differences(other)?.map(|d| d * d).sum::<f64>().sqrt())
    }

    /// The largest absolute difference of a mass.
    ///
    /// # Errors
    ///
    /// When the domains differ.
    pub fn maximum_difference(&self, other: &Self) -> Result<f64, RobustStatsError> {
        Ok(self.differences(other)?.map(f64::abs).fold(0.0, f64::max))
    }

    /// The Kullback-Leibler divergence `sum p ln(p/q)` of `self` from `other`, in nats: infinite when
    /// `other` has no mass where `self` has some.
    ///
    /// # Errors
    ///
    /// When the domains differ.
    pub fn kullback_leibler(&self, other: &Self) -> Result<f64, RobustStatsError> {
        self.same_domain(other)?;
        let terms = self.0.iter().zip(&other.0).filter(|(p, _)| **p > 0.0);
        Ok(terms.map(|(p, q)| p * (p / q).ln()).sum())
    }

    fn differences<'a>(
        &'a self,
        other: &'a Self,
    ) -> Result<impl Iterator<Item = f64> + 'a, RobustStatsError> {
        self.same_domain(other)?;
        Ok(self.0.iter().zip(&other.0).map(|(p, q)| p - q))
    }

    fn same_domain(&self, other: &Self) -> Result<(), RobustStatsError> {
        if self.domain() == other.domain() {
            Ok(())
        } else {
            Err(RobustStatsError::mismatch(
                "domain",
                self.domain(),
                other.domain(),
            ))
        }
    }
}
