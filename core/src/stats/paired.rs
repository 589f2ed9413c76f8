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
        // Swapping the methods changes only the sign of each logarithm.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seed::SeedTree;

    #[test]
    fn the_soporifics_of_student() {
        // Student (1908): extra hours of sleep of ten patients under two drugs; the mean
        // difference is 1.58 hours, and R's t interval (0.70, 2.46).
        let first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        let second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        let mut rng = SeedTree::new(1).rng();
        let comparison = paired_difference(&second, &first, &mut rng).unwrap();
        assert!((comparison.value - 1.58).abs() < 1e-12);
        assert_eq!(comparison.pairs, 10);
        let Interval { low, high } = comparison.interval;
        assert!(
            0.7 < low && low < 1.3 && 2.2 < high && high < 3.2,
            "{low} {high}"
        );
    }

    #[test]
    fn what_does_not_pair_is_refused() {
        let mut rng = SeedTree::new(1).rng();
        assert_eq!(paired_difference(&[1.0, 2.0], &[1.0], &mut rng), None);
        assert_eq!(paired_difference(&[1.0], &[1.0], &mut rng), None);
        assert_eq!(
            paired_difference(&[1.0, f64::NAN], &[1.0, 2.0], &mut rng),
            None
        );
        assert_eq!(paired_ratio(&[1.0, 0.0], &[1.0, 2.0], &mut rng), None);
        assert_eq!(paired_ratio(&[1.0, 2.0], &[1.0, f64::NAN], &mut rng), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn a_constant_factor_is_found_exactly(
            base in prop::collection::vec(0.1_f64..10.0, 3..12),
            factor in 0.1_f64..10.0,
        ) {
            let scaled: Vec<f64> = base.iter().map(|value| value * factor).collect();
            let mut rng = SeedTree::new(1).rng();
            let ratio = paired_ratio(&scaled, &base, &mut rng).unwrap();
            let Interval { low, high } = ratio.interval;
            for end in [ratio.value, low, high] {
                prop_assert!((end / factor - 1.0).abs() < 1e-9);
            }
        }

        #[test]
        fn swapping_the_methods_inverts_the_ratio(
            pairs in prop::collection::vec((0.1_f64..10.0, 0.1_f64..10.0), 3..12),
        ) {
            let (first, second): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let mut rng = SeedTree::new(1).rng();
            let there = paired_ratio(&first, &second, &mut rng).unwrap();
            let back = paired_ratio(&second, &first, &mut rng).unwrap();
            prop_assert!((there.value * back.value - 1.0).abs() < 1e-9);
        }
    }
}
