//! The interval of a mean that holds its level at any number of samples.

use rand_chacha::rand_core::RngCore;

use super::bootstrap::bca;
use super::intervals::{Interval, student_t};
use super::mean;

/// The largest number of samples for which the interval of a mean is Student's t: with so few the
/// bootstrap covers too little (at a nominal 95 %: 51 % of the time with 2 samples, 72 % with 3, 84 % with 5, 90 % with
/// 10, 93 % with 30).
pub const STUDENT_SAMPLES: usize = 30;

/// The number of bootstrap resamples beyond [`STUDENT_SAMPLES`].
const RESAMPLES: usize = 10_000;

/// The confidence interval of the mean of independent samples: [`student_t`] up to
/// [`STUDENT_SAMPLES`] of them, [`bca`] beyond. `None` for fewer than two samples, a sample that is
/// not finite, or a level outside `(0, 1)`.
///
/// Student's t assumes samples that are about normally distributed. Of skewed ones (log-normal with
/// `sigma = 1`) it covers 82 to 90 % instead of 95 % with 3 to 30 samples; no method does better
/// without knowing the distribution.
pub fn mean_interval(samples: &[f64], level: f64, rng: &mut impl RngCore) -> Option<Interval> {
    // Few samples do not show their distribution: a normal one is assumed.
    if samples.len() <= STUDENT_SAMPLES {
        student_t(samples, level)
    } else {
        bca(samples, mean, RESAMPLES, level, rng)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::seed::SeedTree;

    fn uniform(rng: &mut ChaCha8Rng) -> f64 {
        (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal: the sum of twelve uniform numbers.
    fn deviate(rng: &mut ChaCha8Rng) -> f64 {
        (0..12).map(|_| uniform(rng)).sum::<f64>() - 6.0
    }

    /// How often the interval holds the true mean, which is 0.
    fn coverage(
        samples: usize,
        experiments: u64,
        draw: impl Fn(&mut ChaCha8Rng) -> f64,
        interval: impl Fn(&[f64], &mut ChaCha8Rng) -> Option<Interval>,
    ) -> f64 {
        let held = (0..experiments).filter(|&experiment| {
            let mut rng = SeedTree::new(11).index(experiment).rng();
            let values: Vec<f64> = (0..samples).map(|_| draw(&mut rng)).collect();
            let interval = interval(&values, &mut rng).unwrap();
            interval.low <= 0.0 && 0.0 <= interval.high
        });
        held.count() as f64 / experiments as f64
    }

    // The seeds are fixed: these tests say the same forever. A coverage of 0.95 is measured with a
    // standard error of 0.0034 in 4000 experiments; 0.93 is six of them below.
    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says_at_the_numbers_of_seeds_in_use() {
        let ours = |values: &[f64], rng: &mut ChaCha8Rng| mean_interval(values, 0.95, rng);
        for n in [2, 3, 4, 5, 6, 8, 10, 20, STUDENT_SAMPLES] {
            let normal = coverage(n, 4_000, deviate, ours);
            assert!((0.93..0.97).contains(&normal), "{n} normal: {normal}");
        }
        // Beyond Student's t, with fewer experiments: each takes 10 000 resamples.
        let beyond = coverage(STUDENT_SAMPLES + 1, 400, deviate, ours);
        assert!((0.91..0.98).contains(&beyond), "{beyond}");
    }

    #[test]
    fn the_bootstrap_of_few_samples_would_not() {
        let bootstrap = |values: &[f64], rng: &mut ChaCha8Rng| bca(values, mean, 600, 0.95, rng);
        for (n, max) in [(2, 0.60), (3, 0.78), (5, 0.88)] {
            let covered = coverage(n, 1_000, deviate, bootstrap);
            assert!(covered < max, "{n}: {covered}");
        }
    }

    #[test]
    fn what_has_no_interval_is_refused() {
        let mut rng = SeedTree::new(1).rng();
        assert_eq!(mean_interval(&[], 0.95, &mut rng), None);
        assert_eq!(mean_interval(&[1.0], 0.95, &mut rng), None);
        assert_eq!(mean_interval(&[1.0, f64::NAN], 0.95, &mut rng), None);
        assert_eq!(mean_interval(&[1.0, 2.0], 1.0, &mut rng), None);
    }
}
