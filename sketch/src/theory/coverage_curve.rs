//! The coverage of an oracle as a function of the number of slots.

use super::histogram::Histogram;
use crate::error::SketchError;
use crate::metrics::ranking;

/// The coverage of an oracle's highest-ranked keys, and the residual histogram.
#[derive(Clone, Debug)]
pub struct CoverageCurve {
    kind: Kind,
    total: u64,
}

#[derive(Clone, Debug)]
enum Kind {
    /// The counts in the order of the oracle's ranking.
    Ranked(Vec<u64>),
    /// Points of the curve in ascending order, and the counts without a ranking.
    Modeled {
        histogram: Histogram,
        points: Vec<(f64, f64)>,
    },
}

/// A saturating sum.
fn saturating_sum(counts: &[u64]) -> u64 {
    counts
        .iter()
        .fold(0, |sum, &count| sum.saturating_add(count))
}

impl CoverageCurve {
    /// The exact curve of keys with these counts and scores, for instance of a validation window.
    ///
    /// # Panics
    ///
    /// When the slices differ in length.
    #[must_use]
    pub fn ranked(counts: &[u64], scores: &[f64]) -> Self {
        assert_eq!(counts.len(), scores.len(), "one score for each key");
        let order = ranking(scores);
        Self::in_order(order.iter().map(|&index| counts[index as usize]).collect())
    }

    /// The curve of a perfect oracle.
    #[must_use]
    pub fn ideal(counts: &[u64]) -> Self {
        let mut counts = counts.to_vec();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        Self::in_order(counts)
    }

    /// The curve of counts in the order of an oracle's ranking, the highest first.
    #[must_use]
    pub fn in_order(counts: Vec<u64>) -> Self {
        Self {
            total: saturating_sum(&counts),
            kind: Kind::Ranked(counts),
        }
    }

    /// A curve of which only a few points are known: the coverage at some fractions of the keys, both
    /// from 0 to 1. It is interpolated linearly, from (0, 0) to (1, 1).
    ///
    /// The ranking of the keys is unknown, so the selected keys are modeled as random: a key is selected
    /// with odds proportional to a power of its count, which is the distribution of maximum entropy with
    /// the given number of keys and coverage.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] for a point outside the unit square, and for points that do not
    /// ascend in both.
    pub fn modeled(histogram: Histogram, points: &[(f64, f64)]) -> Result<Self, SketchError> {
        let mut curve = vec![(0.0, 0.0)];
        for &(share, coverage) in points {
            let last = curve[curve.len() - 1];
            let inside = |value: f64| (0.0..=1.0).contains(&value);
            if !inside(share) || !inside(coverage) || share < last.0 || coverage < last.1 {
                return Err(SketchError::parameter(
                    "points",
                    "pairs of share and coverage from 0 to 1, both ascending",
                    format!("({share}, {coverage}) after ({}, {})", last.0, last.1),
                ));
            }
            curve.push((share, coverage));
        }
        curve.push((1.0, 1.0));
        Ok(Self {
            total: histogram.total().round() as u64,
            kind: Kind::Modeled {
                histogram,
                points: curve,
            },
        })
    }

    /// The total count of all keys.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The number of keys.
    #[must_use]
    pub fn keys(&self) -> usize {
        match &self.kind {
            Kind::Ranked(counts) => counts.len(),
            Kind::Modeled { histogram, .. } => histogram.keys().round() as usize,
        }
    }

    /// The fraction of the stream that the `slots` highest-ranked keys cover. Zero for an empty stream.
    #[must_use]
    pub fn coverage(&self, slots: usize) -> f64 {
        if self.total == 0 {
            return 0.0;
        }
        match &self.kind {
            Kind::Ranked(counts) => {
                let covered = saturating_sum(&counts[..slots.min(counts.len())]);
                covered as f64 / self.total as f64
            }
            Kind::Modeled { points, .. } => interpolate(points, slots as f64 / self.keys() as f64),
        }
    }

    /// The histogram of the keys that are left to the sketch.
    #[must_use]
    pub fn residual(&self, slots: usize) -> Histogram {
        match &self.kind {
            Kind::Ranked(counts) => {
                Histogram::from_counts(counts[slots.min(counts.len())..].iter().copied())
            }
            Kind::Modeled { histogram, .. } => {
                thinned(histogram, slots as f64, self.coverage(slots))
            }
        }
    }
}

fn interpolate(points: &[(f64, f64)], share: f64) -> f64 {
    let next = points.partition_point(|point| point.0 < share);
    match (
        next.checked_sub(1).map(|before| points[before]),
        points.get(next),
    ) {
        (_, None) => 1.0,
        (None, Some(first)) => first.1,
        (Some(before), Some(after)) => {
            let part = (share - before.0) / (after.0 - before.0);
            before.1 + part * (after.1 - before.1)
        }
    }
}

/// The histogram without `slots` keys with total coverage `coverage`, selected with odds
/// `e^(a + b ln count)`. A coverage that cannot be reached is replaced by the nearest one that can.
fn thinned(histogram: &Histogram, slots: f64, coverage: f64) -> Histogram {
    if slots <= 0.0 {
        return histogram.clone();
    }
    if slots >= histogram.keys() {
        return Histogram::default();
    }
    let chosen = |intercept: f64, slope: f64| {
        histogram.entries().iter().map(move |&(count, keys)| {
            let odds = (intercept + slope * (count as f64).ln()).exp();
            // In this form the quotient is finite for infinite odds.
            (count, keys, keys / (1.0 + 1.0 / odds))
        })
    };
    // Nested bisections: for each slope the intercept with the right number of keys, and among these
    // the slope with the right coverage. Both are monotonic.
    let intercept_for = |slope: f64| {
        bisect(-2000.0, 2000.0, |intercept| {
            chosen(intercept, slope)
                .map(|(_, _, taken)| taken)
                .sum::<f64>()
                < slots
        })
    };
    let covered = coverage * histogram.total();
    let slope = bisect(-40.0, 40.0, |slope| {
        let terms = chosen(intercept_for(slope), slope);
        terms
            .map(|(count, _, taken)| count as f64 * taken)
            .sum::<f64>()
            < covered
    });
    let left = chosen(intercept_for(slope), slope);
    Histogram::from_keys(left.map(|(count, keys, taken)| (count, keys - taken)))
}

/// The point at which `is_below` changes from true to false.
fn bisect(mut low: f64, mut high: f64, is_below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if is_below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ranked_curve_counts() {
        let curve = CoverageCurve::ranked(&[5, 1, 4], &[0.1, 0.9, 0.5]);
        assert_eq!(curve.coverage(0), 0.0);
        assert_eq!(curve.coverage(1), 0.1);
        assert_eq!(curve.coverage(2), 0.5);
        assert_eq!(curve.coverage(9), 1.0);
        assert_eq!(curve.residual(2), Histogram::from_counts([5]));
        assert_eq!(CoverageCurve::ideal(&[5, 1, 4]).coverage(1), 0.5);
    }

    #[test]
    fn a_modeled_curve_keeps_what_is_known() {
        let histogram = Histogram::from_keys([(1, 900.0), (10, 90.0), (100, 10.0)]);
        let curve = CoverageCurve::modeled(histogram.clone(), &[(0.02, 0.3), (0.1, 0.5)]).unwrap();
        assert_eq!(curve.keys(), 1000);
        assert_eq!(curve.coverage(20), 0.3);
        assert!((curve.coverage(60) - 0.4).abs() < 1e-12);
        let residual = curve.residual(20);
        assert!((residual.keys() - 980.0).abs() < 1e-6);
        assert!((residual.total() - 0.7 * histogram.total()).abs() < 1e-3);
        assert_eq!(curve.residual(0), histogram);
        assert_eq!(curve.residual(1000), Histogram::default());
    }

    #[test]
    fn an_impossible_coverage_becomes_the_best() {
        let histogram = Histogram::from_keys([(1, 900.0), (100, 10.0)]);
        let curve = CoverageCurve::modeled(histogram, &[(0.001, 0.9)]).unwrap();
        let residual = curve.residual(1);
        assert!(
            (residual.total() - 1800.0).abs() < 1.0,
            "{}",
            residual.total()
        );
    }

    #[test]
    fn points_are_checked() {
        let histogram = Histogram::from_keys([(1, 9.0)]);
        for points in [[(0.5, 0.4), (0.4, 0.5)], [(0.1, 0.2), (0.2, 1.2)]] {
            assert!(CoverageCurve::modeled(histogram.clone(), &points).is_err());
        }
    }
}
