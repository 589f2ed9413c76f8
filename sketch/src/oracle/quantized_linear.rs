//! The linear oracle with 8-bit weights.

use super::features::row_of;
use super::fingerprint::Fingerprint;
use super::{Features, HashedLinear, Oracle};

/// A [`HashedLinear`] oracle with weights rounded to 8 bits: a quarter of the memory, which counts
/// towards the budget of a learned sketch, and almost the same ranking.
///
/// Each feature has its own scale, so that its largest weight is 127 steps. The rounding error of a
/// weight is at most half a step.
#[derive(Clone, Debug)]
pub struct QuantizedLinear<F> {
    features: F,
    /// Rows of one feature.
    rows: usize,
    /// Weights in steps, feature after feature.
    weights: Vec<i8>,
    /// The step of each feature.
    steps: Vec<f32>,
    bias: f32,
}

impl<F: Clone> QuantizedLinear<F> {
    /// Rounds the weights of an oracle.
    #[must_use]
    pub fn new(oracle: &HashedLinear<F>) -> Self {
        let (features, rows, all, bias) = oracle.parts();
        let mut weights = Vec::with_capacity(all.len());
        let mut steps = Vec::new();
        for of_feature in all.chunks_exact(rows) {
            let largest = of_feature.iter().fold(0f32, |max, w| max.max(w.abs()));
            let step = if largest > 0.0 { largest / 127.0 } else { 1.0 };
            steps.push(step);
            // The cast saturates, and maps NaN to 0.
            weights.extend(
                of_feature
                    .iter()
                    .map(|&weight| (weight / step).round() as i8),
            );
        }
        Self {
            features: features.clone(),
            rows,
            weights,
            steps,
            bias,
        }
    }
}

impl<K: ?Sized, F: Features<K>> Oracle<K> for QuantizedLinear<F> {
    fn score(&self, keys: &[&K], scores: &mut [f32]) {
        let mut hashes = vec![0; self.features.count()];
        for (key, score) in keys.iter().zip(scores) {
            self.features.hash(key, &mut hashes);
            let mut sum = self.bias;
            let weights = self.weights.chunks_exact(self.rows).zip(&self.steps);
            for (&hash, (weights, step)) in hashes.iter().zip(weights) {
                sum += f32::from(weights[row_of(hash, self.rows)]) * step;
            }
            *score = sum;
        }
    }

    fn model_bytes(&self) -> usize {
        size_of::<Self>() + self.weights.len() + size_of_val(self.steps.as_slice())
    }

    fn fingerprint(&self) -> [u8; 16] {
        let weights: Vec<u8> = self.weights.iter().map(|&w| w.cast_unsigned()).collect();
        let kind = format!("quantized linear; {}", self.features.describe());
        Fingerprint::new(&kind)
            .bytes(&weights)
            .numbers(&self.steps)
            .numbers(&[self.bias])
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::BlockFeatures;

    #[test]
    fn scores_are_off_by_half_a_step_a_feature_at_most() {
        let features = BlockFeatures::new(&[0, 4]).expect("in range");
        let weights: Vec<f32> = (0..4 * 64)
            .map(|i| ((i * 37 % 101) as f32 - 50.0) / 25.0)
            .collect();
        let linear = HashedLinear::new::<u64>(features, weights, 0.5).expect("four features");
        let quantized = QuantizedLinear::new(&linear);
        let keys: Vec<u64> = (0..500).collect();
        let keys: Vec<&u64> = keys.iter().collect();
        let (mut exact, mut rounded) = (vec![0.0; 500], vec![0.0; 500]);
        linear.score(&keys, &mut exact);
        quantized.score(&keys, &mut rounded);
        let step = 2.0 / 127.0;
        for (exact, rounded) in exact.iter().zip(&rounded) {
            assert!((exact - rounded).abs() <= 4.0 * step / 2.0 + 1e-5);
        }
        assert!(rounded.iter().any(|score| (score - rounded[0]).abs() > 1.0));
        let bytes = |oracle: &dyn Oracle<u64>| oracle.model_bytes();
        assert!(bytes(&quantized) < bytes(&linear) / 2);
        assert_ne!(
            Oracle::<u64>::fingerprint(&quantized),
            Oracle::<u64>::fingerprint(&linear)
        );
    }
}
