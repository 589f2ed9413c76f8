//! Error measures of estimates and quality measures of oracles.
//!
//! Sums are computed in `f64`: products of counts and errors exceed 32 bits, and one of the published
//! figures of the paper's synthetic experiment is the result of an overflow.

use std::cmp::Ordering;

use crate::key::hash_integer;

/// The average absolute frequency error, the measure of the paper: the mean of `|f - estimate|` over
/// the occurrences of the stream, `sum f |f - estimate| / sum f`. Keys that were counted exactly are
/// included with an error of zero. Zero for an empty stream.
///
/// # Panics
///
/// When the slices differ in length, as all functions of this module.
#[must_use]
pub fn average_absolute_frequency_error(counts: &[u64], estimates: &[f64]) -> f64 {
    over_total(counts, weighted_error(counts, estimates))
}

/// The paper's second measure: `sqrt(sum (f - estimate)^2 / sum f)`. Note that the denominator is the
/// length of the stream, not the number of keys.
#[must_use]
pub fn root_square_error_per_occurrence(counts: &[u64], estimates: &[f64]) -> f64 {
    let squares = pairs(counts, estimates).map(|(count, estimate)| (count - estimate).powi(2));
    over_total(counts, squares.sum()).sqrt()
}

/// The mean over keys of `|f - estimate| / f`; keys with count 0 are left out. Zero when there are no
/// others.
#[must_use]
pub fn average_relative_error(counts: &[u64], estimates: &[f64]) -> f64 {
    let (sum, keys) = pairs(counts, estimates)
        .filter(|&(count, _)| count > 0.0)
        .fold((0.0, 0_u64), |(sum, keys), (count, estimate)| {
            (sum + (count - estimate).abs() / count, keys + 1)
        });
    if keys == 0 { 0.0 } else { sum / keys as f64 }
}

/// The average absolute frequency error over the keys outside the explicit table ("e resid" in the
/// paper's notebook). `explicit[i]` says whether key `i` was counted exactly. Zero when all were.
#[must_use]
pub fn residual_error(counts: &[u64], estimates: &[f64], explicit: &[bool]) -> f64 {
    assert_eq!(counts.len(), explicit.len(), "one flag for each key");
    let residual: f64 = counts
        .iter()
        .zip(explicit)
        .map(|(count, explicit)| if *explicit { 0.0 } else { *count as f64 })
        .sum();
    if residual == 0.0 {
        0.0
    } else {
        weighted_error(counts, estimates) / residual
    }
}

/// The fraction of the stream that belongs to explicit keys. Zero for an empty stream.
#[must_use]
pub fn coverage(counts: &[u64], explicit: &[bool]) -> f64 {
    assert_eq!(counts.len(), explicit.len(), "one flag for each key");
    let covered = counts
        .iter()
        .zip(explicit)
        .filter(|(_, explicit)| **explicit);
    over_total(counts, covered.map(|(count, _)| *count as f64).sum())
}

/// The indices of the keys in descending order of their scores. NaN is the lowest score. Ties are
/// broken by a hash of the index, the same in every run: keys are often listed by count, and that
/// order must not improve a ranking.
#[must_use]
pub fn ranking(scores: &[f64]) -> Vec<u32> {
    let mut order: Vec<u32> =
        (0..u32::try_from(scores.len()).expect("fewer than 2^32 keys")).collect();
    // NaN compares equal to nothing; a total order needs it replaced.
    let lowest_if_nan = |score: f64| {
        if score.is_nan() {
            f64::NEG_INFINITY
        } else {
            score
        }
    };
    order.sort_unstable_by(|&a, &b| {
        let [left, right] = [a, b].map(|index| lowest_if_nan(scores[index as usize]));
        right
            .partial_cmp(&left)
            .unwrap_or(Ordering::Equal)
            .then_with(|| tie(a).cmp(&tie(b)))
    });
    order
}

/// The rank of an index among ties.
fn tie(index: u32) -> u64 {
    hash_integer(u64::from(index), 0x7469_6573)
}

/// The coverage of the keys with the highest scores, for each fraction of the keys in `shares`
/// (rounded down to whole keys). Zero for an empty stream.
#[must_use]
pub fn coverage_at(counts: &[u64], scores: &[f64], shares: &[f64]) -> Vec<f64> {
    assert_eq!(counts.len(), scores.len(), "one score for each key");
    // covered[n]: occurrences of the n best keys.
    let covered: Vec<u64> = std::iter::once(0)
        .chain(ranking(scores).iter().scan(0, |sum, &index| {
            *sum += counts[index as usize];
            Some(*sum)
        }))
        .collect();
    shares
        .iter()
        .map(|share| {
            let slots = (share * counts.len() as f64) as usize;
            over_total(counts, covered[slots.min(counts.len())] as f64)
        })
        .collect()
}

/// [`coverage_at`] restricted to the keys for which `unseen` is true: fractions of *these* keys, and
/// of *their* occurrences. It measures generalization; a lookup table of the training keys has none.
#[must_use]
pub fn unseen_coverage_at(
    counts: &[u64],
    scores: &[f64],
    unseen: &[bool],
    shares: &[f64],
) -> Vec<f64> {
    assert_eq!(counts.len(), unseen.len(), "one flag for each key");
    assert_eq!(counts.len(), scores.len(), "one score for each key");
    // Restrict counts and scores; ties are then broken by the index among the unseen keys.
    let chosen: Vec<usize> = (0..counts.len()).filter(|&index| unseen[index]).collect();
    let counts: Vec<u64> = chosen.iter().map(|&index| counts[index]).collect();
    let scores: Vec<f64> = chosen.iter().map(|&index| scores[index]).collect();
    coverage_at(&counts, &scores, shares)
}

fn pairs<'a>(counts: &'a [u64], estimates: &'a [f64]) -> impl Iterator<Item = (f64, f64)> + 'a {
    assert_eq!(counts.len(), estimates.len(), "one estimate for each key");
    counts
        .iter()
        .map(|&count| count as f64)
        .zip(estimates.iter().copied())
}

fn weighted_error(counts: &[u64], estimates: &[f64]) -> f64 {
    pairs(counts, estimates)
        .map(|(count, estimate)| count * (count - estimate).abs())
        .sum()
}

fn over_total(counts: &[u64], sum: f64) -> f64 {
    let total: f64 = counts.iter().map(|&count| count as f64).sum();
    if total == 0.0 { 0.0 } else { sum / total }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn errors_of_a_small_case() {
        let counts = [10, 1, 0];
        let estimates = [10.0, 4.0, 2.0];
        assert_eq!(
            average_absolute_frequency_error(&counts, &estimates),
            3.0 / 11.0
        );
        assert_eq!(
            root_square_error_per_occurrence(&counts, &estimates),
            (13.0_f64 / 11.0).sqrt()
        );
        assert_eq!(average_relative_error(&counts, &estimates), 1.5);
        assert_eq!(
            residual_error(&counts, &estimates, &[true, false, false]),
            3.0
        );
        assert_eq!(coverage(&counts, &[true, false, false]), 10.0 / 11.0);
    }

    #[test]
    fn large_products_do_not_overflow() {
        let error = average_absolute_frequency_error(&[1 << 40], &[(1_u64 << 41) as f64]);
        assert_eq!(error, (1_u64 << 40) as f64);
    }

    #[test]
    fn nothing_is_no_error() {
        assert_eq!(average_absolute_frequency_error(&[], &[]), 0.0);
        assert_eq!(average_relative_error(&[0], &[3.0]), 0.0);
        assert_eq!(coverage_at(&[], &[], &[0.5]), [0.0]);
    }

    #[test]
    fn faulty_scores_come_last() {
        let order = ranking(&[f64::NAN, -5.0, f64::INFINITY, 1.0]);
        assert_eq!(order, [2, 3, 1, 0]);
    }

    #[test]
    fn the_order_of_the_list_does_not_help() {
        // The heavy half of the keys is listed first, and the oracle knows nothing.
        let counts: Vec<u64> = (0..10_000)
            .map(|index| if index < 5000 { 9 } else { 1 })
            .collect();
        let found = coverage_at(&counts, &vec![0.0; 10_000], &[0.1])[0];
        assert!((found - 0.1).abs() < 0.01, "{found}");
    }

    #[test]
    fn unseen_keys_are_judged_among_themselves() {
        let counts = [100, 8, 2];
        let scores = [3.0, 2.0, 1.0];
        let found = unseen_coverage_at(&counts, &scores, &[false, true, true], &[0.5]);
        assert_eq!(found, [0.8]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn no_oracle_covers_more_than_the_ideal_one(
            keys in prop::collection::vec((0_u64..1000, -1.0_f64..1.0), 1..60),
            share in 0.0_f64..1.0,
        ) {
            let (counts, scores): (Vec<u64>, Vec<f64>) = keys.into_iter().unzip();
            let ideal: Vec<f64> = counts.iter().map(|&count| count as f64).collect();
            let found = coverage_at(&counts, &scores, &[share])[0];
            let best = coverage_at(&counts, &ideal, &[share])[0];
            prop_assert!((0.0..=best).contains(&found));
        }
    }
}
