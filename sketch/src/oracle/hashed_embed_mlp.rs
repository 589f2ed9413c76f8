//! Hashed embeddings with a small network.

use std::collections::BTreeMap;
use std::path::Path;

use super::dense::{Dense, LANES, Lanes, forward};
use super::features::row_of;
use super::file::{self, Array, ModelFile};
use super::fingerprint::Fingerprint;
use super::{Features, Oracle};
use crate::error::SketchError;

/// Each feature's hash selects a short vector (an embedding); the vectors, side by side, are the
/// input of fully connected layers with rectifiers between them, whose last has one output.
///
/// Takes 4 bytes a weight: `features.count() * rows * width` in the table, and the layers.
#[derive(Clone, Debug)]
pub struct HashedEmbedMlp<F> {
    features: F,
    /// Rows of one feature.
    rows: usize,
    /// Length of a vector.
    width: usize,
    /// Vectors: feature after feature, row after row.
    table: Vec<f32>,
    layers: Vec<Dense>,
}

const KIND: &str = "hashed embeddings";

impl<F> HashedEmbedMlp<F> {
    /// An oracle with these weights. `table` has the shape `[features.count() * rows, width]`; each
    /// layer is its weights `[outputs, inputs]`, row after row, and one bias an output.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when the sizes do not fit each other.
    pub fn new<K: ?Sized>(
        features: F,
        width: usize,
        table: Vec<f32>,
        layers: Vec<(Vec<f32>, Vec<f32>)>,
    ) -> Result<Self, SketchError>
    where
        F: Features<K>,
    {
        let stride = features.count() * width;
        if stride == 0 || table.is_empty() || !table.len().is_multiple_of(stride) {
            return Err(SketchError::parameter(
                "table",
                format!(
                    "a multiple of {} features of width {width}",
                    features.count()
                ),
                table.len(),
            ));
        }
        // Each layer's inputs are the outputs of the one before; the last has one output.
        let mut inputs = stride;
        let mut checked = Vec::with_capacity(layers.len());
        for (weights, bias) in layers {
            if bias.is_empty() || Some(weights.len()) != inputs.checked_mul(bias.len()) {
                return Err(SketchError::parameter(
                    "layers",
                    format!("{} x {inputs} weights", bias.len()),
                    weights.len(),
                ));
            }
            let outputs = bias.len();
            checked.push(Dense {
                inputs,
                weights,
                bias,
            });
            inputs = outputs;
        }
        if checked.is_empty() || inputs != 1 {
            return Err(SketchError::parameter(
                "layers",
                "a last layer with one output",
                inputs,
            ));
        }
        Ok(Self {
            rows: table.len() / stride,
            features,
            width,
            table,
            layers: checked,
        })
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
        let shape = [self.features.count(), self.rows, self.width];
        let table = Array::new(&shape, self.table.clone());
        let mut arrays = BTreeMap::from([("embedding".to_owned(), table)]);
        for (index, layer) in self.layers.iter().enumerate() {
            let shape = [layer.outputs(), layer.inputs];
            arrays.insert(
                weight_name(index),
                Array::new(&shape, layer.weights.clone()),
            );
            arrays.insert(
                bias_name(index),
                Array::new(&shape[..1], layer.bias.clone()),
            );
        }
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
        let ([count, rows, width], table) = file.take("embedding")?;
        if count != features.count() {
            let expected = format!("{} features", features.count());
            return Err(file.error("embedding", &expected, &count));
        }
        // Layers are numbered; a gap ends the network, and what is left over is an error below.
        let mut inputs = count * width;
        let mut layers = Vec::new();
        while file.contains(&weight_name(layers.len())) {
            let index = layers.len();
            let ([outputs], bias) = file.take(&bias_name(index))?;
            let weights = file.take_shape(&weight_name(index), [outputs, inputs])?;
            layers.push(Dense {
                inputs,
                weights,
                bias,
            });
            inputs = outputs;
        }
        if layers.is_empty() || inputs != 1 {
            let found = format!("{} layers, {inputs} outputs", layers.len());
            return Err(file.error("the last layer", "one output", &found));
        }
        file.finish()?;
        Ok(Self {
            features,
            rows,
            width,
            table,
            layers,
        })
    }
}

fn weight_name(layer: usize) -> String {
    format!("layer.{layer}.weight")
}

fn bias_name(layer: usize) -> String {
    format!("layer.{layer}.bias")
}

fn kind<K: ?Sized>(features: &impl Features<K>) -> String {
    format!("{KIND}; {}", features.describe())
}

impl<K: ?Sized, F: Features<K>> Oracle<K> for HashedEmbedMlp<F> {
    fn score(&self, keys: &[&K], scores: &mut [f32]) {
        let count = self.features.count();
        let mut hashes = vec![0; count];
        let (mut input, mut spare): (Vec<Lanes>, Vec<Lanes>) = (Vec::new(), Vec::new());
        for (keys, scores) in keys.chunks(LANES).zip(scores.chunks_mut(LANES)) {
            input.clear();
            input.resize(count * self.width, [0.0; LANES]);
            // Gather the embeddings of sixteen keys side by side, one lane for each key.
            for (lane, key) in keys.iter().enumerate() {
                self.features.hash(key, &mut hashes);
                let targets = input.chunks_exact_mut(self.width);
                for ((feature, &hash), target) in hashes.iter().enumerate().zip(targets) {
                    let row = feature * self.rows + row_of(hash, self.rows);
                    let vector = &self.table[row * self.width..][..self.width];
                    for (lanes, &value) in target.iter_mut().zip(vector) {
                        lanes[lane] = value;
                    }
                }
            }
            let found = forward(&self.layers, &mut input, &mut spare);
            scores.copy_from_slice(&found[..scores.len()]);
        }
    }

    fn model_bytes(&self) -> usize {
        let layers = self.layers.iter().map(|layer| {
            size_of::<Dense>()
                + size_of_val(layer.weights.as_slice())
                + size_of_val(layer.bias.as_slice())
        });
        size_of::<Self>() + size_of_val(self.table.as_slice()) + layers.sum::<usize>()
    }

    fn fingerprint(&self) -> [u8; 16] {
        let mut hash = Fingerprint::new(&kind(&self.features)).numbers(&self.table);
        for layer in &self.layers {
            hash = hash.numbers(&layer.weights).numbers(&layer.bias);
        }
        hash.finish()
    }
}
