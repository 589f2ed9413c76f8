//! Comparisons of two methods that ran on the same inputs.

use rand_chacha::rand_core::RngCore;

use super::bootstrap::bca;
use super::intervals::Interval;

/// The number of bootstrap resamples behind a comparison.
const RESAMPLES: usize = 10_000;

/// How one method compares with another on the same inputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The difference or the ratio.
    pub value: f64,
    /// Its BCa interval at 95 %, with whole pairs resampled.
    pub interval: Interval,
    /// The number of pairs.
    pub pairs: usize,
}

/// The mean of `first[i] - second[i]`. `None` for different lengths, fewer than two pairs, or
/// values that are not finite.
#[must_use]
pub fn paired_difference(
    first: &[f64],
    second: &[f64],
    rng: &mut impl RngCore,
) -> Option<Comparison> {
    compare(first, second, rng, |pairs| {
        pairs.iter().map(|(a, b)| a - b).sum::<f64>() / pairs.len() as f64
    })
}

/// The geometric mean of `first[i] / second[i]`: swapping the methods gives the inverse. `None`
/// for different lengths, fewer than two pairs, or values that are not finite and positive.
#[must_use]
pub fn paired_ratio(first: &[f64], second: &[f64], rng: &mut impl RngCore) -> Option<Comparison> {
    let all_positive = first.iter().chain(second).all(|&value| value > 0.0);
    if !all_positive {
        return None;
    }
    compare(first, second, rng, |pairs| {
        let logarithms: f64 = pairs.iter().map(|(a, b)| (a / b).ln()).sum();
        (logarithms / pairs.len() as f64).exp()
    })
}

fn compare(
    first: &[f64],
    second: &[f64],
    rng: &mut impl RngCore,
    statistic: impl Fn(&[(f64, f64)]) -> f64,
) -> Option<Comparison> {
    if first.len() != second.len() {
        return None;
    }
    let pairs: Vec<(f64, f64)> = first.iter().copied().zip(second.iter().copied()).collect();
    Some(Comparison {
        value: statistic(&pairs),
        interval: bca(&pairs, &statistic, RESAMPLES, 0.95, rng)?,
        pairs: pairs.len(),
    })
}
