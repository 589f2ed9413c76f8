//! The bias-corrected and accelerated bootstrap.

use rand_chacha::rand_core::RngCore;

use super::describe::quantile_of_sorted;
use super::intervals::{Interval, is_level, normal_cdf, normal_quantile};

/// The BCa bootstrap interval of any statistic of independent samples: Efron (JASA 82, 1987),
/// as in Efron and Tibshirani, *An Introduction to the Bootstrap* (1993), section 14.3, with the
/// acceleration from the jackknife.
///
/// A sample is whatever the statistic takes: a number, or a pair for paired comparisons. The time
/// is `O((resamples + n) · cost of the statistic on n samples)`. With fewer than about ten samples
/// the interval is somewhat too short; see [`student_t`](super::student_t) for means.
///
/// When the statistic is the same for all samples, the interval is that one point. `None` for
/// fewer than two samples, fewer than 100 resamples, a level outside `(0, 1)`, or a statistic that
/// is not finite on a resample.
pub fn bca<T: Clone>(
    samples: &[T],
    statistic: impl Fn(&[T]) -> f64,
    resamples: usize,
    level: f64,
    rng: &mut impl RngCore,
) -> Option<Interval> {
    if samples.len() < 2 || resamples < 100 || !is_level(level) {
        return None;
    }
    let observed = statistic(samples);
    let acceleration = acceleration(samples, &statistic)?;

    // The distribution of the statistic over resamples of equal size.
    let mut drawn = samples.to_vec();
    let mut replicates = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        for place in &mut drawn {
            place.clone_from(&samples[below(samples.len(), rng)]);
        }
        replicates.push(statistic(&drawn));
    }
    if !observed.is_finite() || !replicates.iter().all(|value| value.is_finite()) {
        return None;
    }
    replicates.sort_unstable_by(f64::total_cmp);

    // Replicates equal to the observed value count half: a discrete statistic is not biased by it.
    let smaller = replicates.partition_point(|&value| value < observed);
    let equal = replicates[smaller..].partition_point(|&value| value <= observed);
    let share = (smaller as f64 + equal as f64 / 2.0) / resamples as f64;
    // A share of 0 or 1 would give an infinite bias.
    let smallest_share = 0.5 / resamples as f64;
    let bias = normal_quantile(share.clamp(smallest_share, 1.0 - smallest_share));

    // The percentiles of the replicates, moved by bias and acceleration.
    let end = |probability: f64| {
        let z = bias + normal_quantile(probability);
        let adjusted = normal_cdf(bias + z / (1.0 - acceleration * z));
        quantile_of_sorted(&replicates, adjusted)
    };
    let tail = (1.0 - level) / 2.0;
    Some(Interval {
        low: end(tail),
        high: end(1.0 - tail),
    })
}

/// The acceleration constant: a sixth of the skewness of the jackknife values.
fn acceleration<T: Clone>(samples: &[T], statistic: &impl Fn(&[T]) -> f64) -> Option<f64> {
    // The jackknife: the statistic without one sample at a time. Between two of these, one place of
    // `rest` changes.
    let mut rest = samples[1..].to_vec();
    let mut values = Vec::with_capacity(samples.len());
    values.push(statistic(&rest));
    for left_out in 1..samples.len() {
        rest[left_out - 1].clone_from(&samples[left_out - 1]);
        values.push(statistic(&rest));
    }
    // sum d^3 / (6 (sum d^2)^(3/2)) with d the distances from the mean of the jackknife values.
    let center = super::mean(&values);
    let (mut squares, mut cubes) = (0.0, 0.0);
    for value in values {
        let distance = center - value;
        squares += distance * distance;
        cubes += distance * distance * distance;
    }
    if !squares.is_finite() {
        return None;
    }
    let spread = 6.0 * squares.powf(1.5);
    Some(if spread > 0.0 { cubes / spread } else { 0.0 })
}

/// A uniform index below `bound`. The probabilities of two indices differ by less than
/// `2^-64`.
fn below(bound: usize, rng: &mut impl RngCore) -> usize {
    // The draw as a fraction of 2^64, times the bound, rounded down.
    ((u128::from(rng.next_u64()) * bound as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;

    use super::super::{mean, standard_deviation};
    use super::*;
    use crate::seed::SeedTree;

    /// Efron and Tibshirani (1993), table 14.1: the spatial test A of 26 children.
    const SPATIAL: [f64; 26] = [
        48.0, 36.0, 20.0, 29.0, 42.0, 42.0, 20.0, 42.0, 22.0, 41.0, 45.0, 14.0, 6.0, 0.0, 33.0,
        28.0, 34.0, 4.0, 32.0, 24.0, 47.0, 41.0, 24.0, 26.0, 30.0, 41.0,
    ];

    /// The variance with denominator `n`.
    fn plug_in_variance(values: &[f64]) -> f64 {
        let center = mean(values);
        values
            .iter()
            .map(|value| (value - center).powi(2))
            .sum::<f64>()
            / values.len() as f64
    }

    #[test]
    fn the_textbook_example() {
        // Efron and Tibshirani (1993), section 14.3 and table 14.2: variance 171.5, acceleration
        // 0.061, BCa interval at 90 % (115.8, 259.6) from 2 000 resamples.
        assert!((plug_in_variance(&SPATIAL) - 171.5).abs() < 0.05);
        let acceleration = acceleration(&SPATIAL, &plug_in_variance).unwrap();
        assert!((acceleration - 0.061).abs() < 0.0005, "{acceleration}");
        let mut rng = SeedTree::new(1).rng();
        let interval = bca(&SPATIAL, plug_in_variance, 50_000, 0.9, &mut rng).unwrap();
        assert!((interval.low - 115.8).abs() < 4.0, "{interval:?}");
        assert!((interval.high - 259.6).abs() < 4.0, "{interval:?}");
    }

    #[test]
    fn one_seed_gives_one_interval() {
        let interval = |seed| bca(&SPATIAL, mean, 500, 0.95, &mut SeedTree::new(seed).rng());
        assert_eq!(interval(3), interval(3));
        assert_ne!(interval(3), interval(4));
    }

    #[test]
    fn equal_samples_give_a_point() {
        let mut rng = SeedTree::new(1).rng();
        let interval = bca(&[2.5; 5], mean, 200, 0.95, &mut rng).unwrap();
        assert_eq!((interval.low, interval.high), (2.5, 2.5));
    }

    #[test]
    fn what_has_no_interval_is_refused() {
        let mut rng = SeedTree::new(1).rng();
        let mut refused = |samples: &[f64], resamples, level| {
            assert_eq!(bca(samples, mean, resamples, level, &mut rng), None);
        };
        refused(&[], 1_000, 0.95);
        refused(&[1.0], 1_000, 0.95);
        refused(&[1.0, 2.0], 99, 0.95);
        refused(&[1.0, 2.0], 1_000, 0.0);
        refused(&[1.0, 2.0], 1_000, f64::NAN);
        refused(&[1.0, f64::NAN], 1_000, 0.95);
        refused(&[1.0, f64::INFINITY], 1_000, 0.95);
    }

    #[test]
    fn the_index_is_uniform() {
        // The share of each of 7 indices in 70 000 draws: standard deviation 93.
        let mut rng = SeedTree::new(5).rng();
        let mut counts = [0_i32; 7];
        for _ in 0..70_000 {
            counts[below(7, &mut rng)] += 1;
        }
        assert!(
            counts.iter().all(|count| (count - 10_000).abs() < 500),
            "{counts:?}"
        );
    }

    fn uniform(rng: &mut ChaCha8Rng) -> f64 {
        (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// How often the interval of a statistic holds its true value, in 1 000 experiments.
    fn coverage(
        samples: usize,
        draw: impl Fn(&mut ChaCha8Rng) -> f64,
        statistic: fn(&[f64]) -> f64,
        truth: f64,
    ) -> f64 {
        let held = (0..1_000).filter(|&experiment| {
            let mut rng = SeedTree::new(11).index(experiment).rng();
            let values: Vec<f64> = (0..samples).map(|_| draw(&mut rng)).collect();
            let interval = bca(&values, statistic, 600, 0.95, &mut rng).unwrap();
            interval.low <= truth && truth <= interval.high
        });
        held.count() as f64 / 1_000.0
    }

    // The seeds are fixed, so these tests say the same for ever. The nominal level is 0.95, of
    // which the bootstrap of a few dozen skewed values loses some points.
    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        let of_uniform = coverage(30, uniform, mean, 0.5);
        assert!((0.925..0.97).contains(&of_uniform), "{of_uniform}");
        let exponential = |rng: &mut ChaCha8Rng| -(1.0 - uniform(rng)).ln();
        let of_exponential = coverage(40, exponential, mean, 1.0);
        assert!((0.91..0.97).contains(&of_exponential), "{of_exponential}");
        let spread = coverage(50, uniform, standard_deviation, (1.0_f64 / 12.0).sqrt());
        assert!((0.92..0.97).contains(&spread), "{spread}");
    }
}
