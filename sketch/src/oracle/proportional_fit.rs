//! Iterative proportional fitting of the linear oracle.

use super::features::row_of;
use super::{Features, HashedLinear};
use crate::error::SketchError;

/// Pseudo-occurrences added to both sides of a row's ratio, so that the weights of rare rows stay close
/// to 0.
const PRIOR: f64 = 4.0;

impl<F> HashedLinear<F> {
    /// Fits an oracle whose scores are the natural logarithm of the expected count of a key, as far as a
    /// sum of weights can express it.
    ///
    /// Iterative proportional fitting: for one feature after the other, the weight of each row is
    /// adjusted so that the expected counts of the row's keys add up to their true counts. This is exact
    /// block coordinate ascent on the likelihood of Poisson counts (W. Deming, F. Stephan, 1940;
    /// J. Darroch, D. Ratcliff, 1972). There is no step size, and about ten `sweeps` over the features
    /// come close to the optimum. Takes `O(sweeps * features * keys)` time.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when there are no keys, not one count for each, no rows or no
    /// occurrences.
    pub fn fit<K>(
        features: F,
        rows: usize,
        keys: &[K],
        counts: &[u64],
        sweeps: usize,
    ) -> Result<Self, SketchError>
    where
        F: Features<K>,
    {
        let total = counts
            .iter()
            .fold(0_u64, |sum, &count| sum.saturating_add(count));
        if keys.is_empty() || keys.len() != counts.len() || total == 0 {
            return Err(SketchError::parameter(
                "counts",
                format!("one for each of {} keys, and some above 0", keys.len()),
                format!("{} with the sum {total}", counts.len()),
            ));
        }
        if rows == 0 || u32::try_from(rows).is_err() {
            return Err(SketchError::parameter("rows", "1 to 4294967295", rows));
        }
        let count = features.count();
        let mut hashes = vec![0; count];
        // The row of each key for each feature, hashed once.
        let mut rows_of_keys = vec![0u32; count * keys.len()];
        for (index, key) in keys.iter().enumerate() {
            features.hash(key, &mut hashes);
            for (feature, &hash) in hashes.iter().enumerate() {
                rows_of_keys[feature * keys.len() + index] = row_of(hash, rows) as u32;
            }
        }
        // Start with equal expected counts: all weights are 0, the bias is the logarithm of the mean.
        let bias = (total as f64 / keys.len() as f64).ln();
        let mut expected = vec![bias.exp(); keys.len()];
        let mut weights = vec![0f64; count * rows];
        let mut sums = vec![(0f64, 0f64); rows];
        for _ in 0..sweeps {
            for (feature, rows_of_keys) in rows_of_keys.chunks_exact(keys.len()).enumerate() {
                sums.fill((PRIOR, PRIOR));
                for ((&row, &count), &expected) in rows_of_keys.iter().zip(counts).zip(&expected) {
                    let (true_sum, expected_sum) = &mut sums[row as usize];
                    *true_sum += count as f64;
                    *expected_sum += expected;
                }
                let weights = &mut weights[feature * rows..][..rows];
                for (weight, (true_sum, expected_sum)) in weights.iter_mut().zip(&mut sums) {
                    // From here on the first of the pair is the factor of the row's expected counts.
                    *true_sum /= *expected_sum;
                    *weight += true_sum.ln();
                }
                for (&row, expected) in rows_of_keys.iter().zip(&mut expected) {
                    *expected *= sums[row as usize].0;
                }
            }
        }
        let weights = weights.into_iter().map(|weight| weight as f32).collect();
        Self::new(features, weights, bias as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{BlockFeatures, Oracle};

    #[test]
    fn expected_counts_of_a_product_are_found() {
        // Counts are the product of a factor of the last four bits and one of the bits above.
        let features = BlockFeatures::new(&[4]).expect("in range");
        let keys: Vec<u64> = (0..256).collect();
        let count = |key: u64| (1 + key % 16) * (1 + (key / 16) * (key / 16));
        let counts: Vec<u64> = keys.iter().map(|&key| 100 * count(key)).collect();
        let oracle = HashedLinear::fit(features, 1 << 16, &keys, &counts, 30).expect("in range");
        let mut scores = vec![0.0; keys.len()];
        Oracle::<u64>::score(&oracle, &keys.iter().collect::<Vec<_>>(), &mut scores);
        for (&count, &score) in counts.iter().zip(&scores) {
            let ratio = f64::from(score).exp() / count as f64;
            assert!((ratio - 1.0).abs() < 0.02, "{count}: {ratio}");
        }
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let fit = |rows, counts: &[u64]| {
            HashedLinear::fit(BlockFeatures::default(), rows, &[1u64, 2], counts, 1).is_err()
        };
        assert!(fit(8, &[1]) && fit(8, &[0, 0]) && fit(0, &[1, 2]));
        assert!(!fit(8, &[1, 2]));
    }
}
