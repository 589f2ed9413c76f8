//! Calibration: from scores to expected counts.

/// An increasing function from an oracle's scores to counts, fitted to examples: isotonic regression
/// (pool adjacent violators) over quantiles of the score, with linear interpolation.
///
/// The scores of a model are comparable only with each other; counts are comparable with those of a
/// [`LookupTable`](super::LookupTable), and with the cost of a slot.
///
/// ```
/// use septet_sketch::oracle::Calibration;
///
/// let scores: Vec<f32> = (0..1000).map(|i| i as f32 / 100.0).collect();
/// let counts: Vec<u64> = scores.iter().map(|s| (3.0 * s) as u64).collect();
/// let calibration = Calibration::fit(&scores, &counts);
/// assert!((calibration.count(5.0) - 15.0).abs() < 1.0);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Mean score and mean count of each group; both grow strictly.
    knots: Vec<(f32, f32)>,
}

/// The number of quantile groups before pooling.
const GROUPS: usize = 128;

impl Calibration {
    /// Fits the function to the scores and counts of examples. Scores that are not finite are ignored;
    /// without examples every count is 0.
    ///
    /// # Panics
    ///
    /// When there are not as many counts as scores.
    #[must_use]
    pub fn fit(scores: &[f32], counts: &[u64]) -> Self {
        assert_eq!(scores.len(), counts.len(), "one count for each score");
        let mut pairs: Vec<(f32, u64)> = scores
            .iter()
            .copied()
            .zip(counts.iter().copied())
            .filter(|(score, _)| score.is_finite())
            .collect();
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        // Groups as (examples, sum of scores, sum of counts). A group whose means do not increase is
        // pooled with the one before, repeatedly.
        let mut groups: Vec<(f64, f64, f64)> = Vec::new();
        for chunk in pairs.chunks(pairs.len().div_ceil(GROUPS).max(1)) {
            let mut group = (
                chunk.len() as f64,
                chunk.iter().map(|pair| f64::from(pair.0)).sum::<f64>(),
                chunk.iter().map(|pair| pair.1 as f64).sum::<f64>(),
            );
            while let Some(last) = groups.pop_if(|last| {
                last.2 / last.0 >= group.2 / group.0 || last.1 / last.0 >= group.1 / group.0
            }) {
                group = (group.0 + last.0, group.1 + last.1, group.2 + last.2);
            }
            groups.push(group);
        }
        Self {
            knots: groups
                .iter()
                .map(|group| ((group.1 / group.0) as f32, (group.2 / group.0) as f32))
                .collect(),
        }
    }

    /// The expected count of a key with this score, at least 0. Beyond the examples the outermost line
    /// is extrapolated, so that the function keeps increasing.
    #[must_use]
    pub fn count(&self, score: f32) -> f32 {
        if score.is_nan() {
            return 0.0;
        }
        let line = match self.knots.as_slice() {
            [] => return 0.0,
            [only] => return only.1,
            knots => {
                let after = knots.partition_point(|knot| knot.0 <= score);
                let after = after.clamp(1, knots.len() - 1);
                (knots[after - 1], knots[after])
            }
        };
        let ((x0, y0), (x1, y1)) = line;
        // Two means can round to the same value.
        let slope = if x1 > x0 { (y1 - y0) / (x1 - x0) } else { 0.0 };
        (y0 + slope * (score - x0)).max(0.0)
    }

    /// The scores and counts between which the function is interpolated.
    pub(super) fn knots(&self) -> &[(f32, f32)] {
        &self.knots
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn the_function_grows(
            examples in prop::collection::vec((-50f32..50.0, 1u64..1000), 0..600),
            mut asked in prop::collection::vec(-100f32..100.0, 2..50),
        ) {
            let (scores, counts): (Vec<f32>, Vec<u64>) = examples.into_iter().unzip();
            let calibration = Calibration::fit(&scores, &counts);
            asked.sort_by(f32::total_cmp);
            let found: Vec<f32> = asked.iter().map(|&score| calibration.count(score)).collect();
            // Equal up to the rounding of the line through two knots.
            prop_assert!(found.windows(2).all(|pair| pair[0] <= pair[1] * 1.000_01 + 1e-3));
        }
    }

    #[test]
    fn the_mean_is_kept() {
        let scores: Vec<f32> = (0..5000).map(|i| ((i * 37) % 5000) as f32).collect();
        let counts: Vec<u64> = scores
            .iter()
            .map(|&s| 1 + (s as u64 * s as u64) / 5000)
            .collect();
        let calibration = Calibration::fit(&scores, &counts);
        let found: f32 = scores.iter().map(|&s| calibration.count(s)).sum();
        let expected = counts.iter().sum::<u64>() as f32;
        assert!((found / expected - 1.0).abs() < 0.01, "{found} {expected}");
    }

    #[test]
    fn odd_examples_do_no_harm() {
        assert_eq!(Calibration::fit(&[], &[]).count(1.0), 0.0);
        assert_eq!(Calibration::fit(&[2.0], &[7]).count(-5.0), 7.0);
        let scores = [f32::NAN, f32::INFINITY, 1.0, 1.0];
        let calibration = Calibration::fit(&scores, &[9, 9, 3, 5]);
        assert_eq!(calibration.count(1.0), 4.0);
        assert_eq!(calibration.count(f32::NAN), 0.0);
    }
}
