//! Reference distributions in exact arithmetic.

use crate::distribution::Pmf;
use crate::error::RobustStatsError;

/// The total weight of rounded masses, which keep 52 bits.
const ROUNDED_TOTAL: u64 = 1 << 52;

/// A distribution with integer weights, so that distances of counts from it are integers and ties are
/// exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExactPmf {
    weights: Vec<u64>,
    total: u64,
}

impl ExactPmf {
    /// The distribution whose masses are the weights over their sum.
    ///
    /// # Errors
    ///
    /// When there is no weight, all are zero, or the sum exceeds `2^62`.
    pub fn from_weights(weights: Vec<u64>) -> Result<Self, RobustStatsError> {
        let total = weights
            .iter()
            .try_fold(0_u64, |sum, &weight| sum.checked_add(weight))
            .filter(|&total| (1..=1 << 62).contains(&total));
        match total {
            Some(total) => Ok(Self { weights, total }),
            None => Err(RobustStatsError::parameter(
                "weights",
                "integers with a sum from 1 to 2^62",
                format!("{} weights", weights.len()),
            )),
        }
    }

    /// The uniform distribution.
    ///
    /// # Errors
    ///
    /// When there is no symbol.
    pub fn uniform(symbols: usize) -> Result<Self, RobustStatsError> {
        Self::from_weights(vec![1; symbols])
    }

    /// The distribution with masses rounded to multiples of `2^-52`, by the largest remainder method.
    #[must_use]
    pub fn rounded(pmf: &Pmf) -> Self {
        let scale = ROUNDED_TOTAL as f64;
        // Round down, then distribute the deficit by descending remainder.
        let mut weights: Vec<u64> = pmf
            .masses()
            .iter()
            .map(|mass| (mass * scale) as u64)
            .collect();
        let mut order: Vec<usize> = (0..weights.len()).collect();
        let lost = |x: usize| (pmf.masses()[x] * scale).fract();
        order.sort_by(|&a, &b| lost(b).total_cmp(&lost(a)).then(a.cmp(&b)));
        let sum: u64 = weights.iter().sum();
        // Each mass may be off by 1e-16, so the deficit may exceed the number of symbols, or there may
        // be an excess.
        if let Some(missing) = ROUNDED_TOTAL.checked_sub(sum) {
            let (each, rest) = (
                missing / weights.len() as u64,
                missing % weights.len() as u64,
            );
            for (rank, &symbol) in order.iter().enumerate() {
                weights[symbol] += each + u64::from((rank as u64) < rest);
            }
        } else {
            let mut excess = sum - ROUNDED_TOTAL;
            for &symbol in order.iter().rev() {
                let taken = weights[symbol].min(excess);
                weights[symbol] -= taken;
                excess -= taken;
            }
        }
        Self {
            weights,
            total: ROUNDED_TOTAL,
        }
    }

    /// The weights, one for each symbol.
    #[must_use]
    pub fn weights(&self) -> &[u64] {
        &self.weights
    }

    /// The sum of the weights.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The masses as real numbers.
    #[must_use]
    pub fn to_pmf(&self) -> Pmf {
        let weights: Vec<f64> = self.weights.iter().map(|&weight| weight as f64).collect();
        Pmf::from_weights(&weights).expect("the weights have a positive sum")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_keeps_the_masses_and_the_sum() {
        for pmf in [
            Pmf::uniform(7).unwrap(),
            Pmf::zipf(1000, 1.5).unwrap(),
            Pmf::geometric(3000, 0.9).unwrap(),
        ] {
            let exact = ExactPmf::rounded(&pmf);
            assert_eq!(exact.weights().iter().sum::<u64>(), exact.total());
            assert!(exact.to_pmf().maximum_difference(&pmf).unwrap() < 1e-15);
        }
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        assert!(ExactPmf::from_weights(vec![]).is_err());
        assert!(ExactPmf::from_weights(vec![0, 0]).is_err());
        assert!(ExactPmf::from_weights(vec![u64::MAX, 1]).is_err());
    }
}
