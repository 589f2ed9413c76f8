//! The hashed linear oracle.

use std::collections::BTreeMap;
use std::path::Path;

use super::features::row_of;
use super::file::{self, Array, ModelFile};
use super::fingerprint::Fingerprint;
use super::{Features, Oracle};
use crate::error::SketchError;

/// The sum of one weight per feature: the fastest oracle that generalizes to unseen keys.
///
/// Takes 4 bytes a weight, `features.count() * rows` weights.
#[derive(Clone, Debug)]
pub struct HashedLinear<F> {
    features: F,
    /// Rows of one feature.
    rows: usize,
    /// Weights, feature after feature.
    weights: Vec<f32>,
    bias: f32,
}

const KIND: &str = "hashed linear";

impl<F> HashedLinear<F> {
    /// An oracle with these weights, `rows` for the first feature, then `rows` for the second, and so on.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when there are no weights or their number is not a multiple of the
    /// number of features.
    pub fn new<K: ?Sized>(features: F, weights: Vec<f32>, bias: f32) -> Result<Self, SketchError>
    where
        F: Features<K>,
    {
        let count = features.count();
        if count == 0 || weights.is_empty() || !weights.len().is_multiple_of(count) {
            return Err(SketchError::parameter(
                "weights",
                format!("a multiple of {count} features"),
                weights.len(),
            ));
        }
        Ok(Self {
            rows: weights.len() / count,
            features,
            weights,
            bias,
        })
    }

    /// The features, the rows of one, the weights and the bias.
    pub(super) fn parts(&self) -> (&F, usize, &[f32], f32) {
        (&self.features, self.rows, &self.weights, self.bias)
    }

    /// Writes the model to a safetensors file.
    ///
    /// # Errors
    ///
    /// [`SketchError::File`].
    pub fn save<K: ?Sized>(&self, path: impl AsRef<Path>) -> Result<(), SketchError>
    where
        F: Features<K>,
    {
        let shape = [self.features.count(), self.rows];
        let arrays = BTreeMap::from([
            (
                "weight".to_owned(),
                Array::new(&shape, self.weights.clone()),
            ),
            ("bias".to_owned(), Array::new(&[1], vec![self.bias])),
        ]);
        file::save(path.as_ref(), &kind(&self.features), &arrays)
    }

    /// Reads a model that was saved with the same features.
    ///
    /// # Errors
    ///
    /// [`SketchError::File`], and [`SketchError::Model`] when the file is not such a model.
    pub fn load<K: ?Sized>(path: impl AsRef<Path>, features: F) -> Result<Self, SketchError>
    where
        F: Features<K>,
    {
        let mut file = ModelFile::load(path.as_ref(), &kind(&features))?;
        // The number of features must match, or hashes would index past the weights.
        let ([count, rows], weights) = file.take("weight")?;
        let bias = file.take_shape("bias", [1])?[0];
        if count != features.count() {
            let expected = format!("{} features", features.count());
            return Err(file.error("weight", &expected, &count));
        }
        file.finish()?;
        Ok(Self {
            features,
            rows,
            weights,
            bias,
        })
    }
}

fn kind<K: ?Sized>(features: &impl Features<K>) -> String {
    format!("{KIND}; {}", features.describe())
}

impl<K: ?Sized, F: Features<K>> Oracle<K> for HashedLinear<F> {
    fn score(&self, keys: &[&K], scores: &mut [f32]) {
        let mut hashes = vec![0; self.features.count()];
        for (key, score) in keys.iter().zip(scores) {
            self.features.hash(key, &mut hashes);
            // One table of weights per feature; the sum is in the order of the features.
            let weights = self.weights.chunks_exact(self.rows);
            *score = hashes
                .iter()
                .zip(weights)
                .map(|(&hash, weights)| weights[row_of(hash, self.rows)])
                .sum::<f32>()
                + self.bias;
        }
    }

    fn model_bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(self.weights.as_slice())
    }

    fn fingerprint(&self) -> [u8; 16] {
        Fingerprint::new(&kind(&self.features))
            .numbers(&self.weights)
            .numbers(&[self.bias])
            .finish()
    }
}
