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
    let smallest_share = 0.5 / resamples as f64;
    let bias = normal_quantile(share.clamp(smallest_share, 1.0 - smallest_share));

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
    let mut rest = samples[1..].to_vec();
    let mut values = Vec::with_capacity(samples.len());
    values.push(statistic(&rest));
    for left_out in 1..samples.len() {
        rest[left_out - 1].clone_from(&samples[left_out - 1]);
        values.push(statistic(&rest));
    }
    let centre = super::mean(&values);
    let (mut squares, mut cubes) = (0.0, 0.0);
    for value in values {
        let distance = centre - value;
        squares += distance * distance;
        cubes += distance * distance * distance;
    }
    if !squares.is_finite() {
        return None;
    }
    let spread = 6.0 * squares.powf(1.5);
    Some(if spread > 0.0 { cubes / spread } else { 0.0 })
}

/// A uniform index below `bound`. The excess of the most probable index over the least is below
/// `bound / 2^64`.
fn below(bound: usize, rng: &mut impl RngCore) -> usize {
    ((u128::from(rng.next_u64()) * bound as u128) >> 64) as usize
}
