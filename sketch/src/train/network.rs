//! A model under training.

use candle_core::{Device, Result, Tensor};
use candle_nn::{Init, VarBuilder};
use septet_core::nn::{Parameters, linear};
use xxhash_rust::xxh3::xxh3_128;

use crate::oracle::Features;
use crate::oracle::features::row_of;

/// A model that gives a score to each key and has gradients.
pub trait Network<K> {
    /// What the model sees of the keys: a tensor with one row a key, of an integer type.
    ///
    /// # Errors
    ///
    /// Candle's error, for lack of memory.
    fn encode(&self, keys: &[&K]) -> Result<Tensor>;

    /// The scores, of shape `[n]`, of `n` encoded keys.
    ///
    /// # Errors
    ///
    /// Candle's error for a tensor that [`Network::encode`] did not make.
    fn forward(&self, encoded: &Tensor) -> Result<Tensor>;

    /// The trained variables.
    fn parameters(&self) -> &Parameters;
}

/// The rows that the features of each key select in one table for all features, `rows` each:
/// `[n, features]`, u32.
pub(super) fn encode_features<K>(
    features: &impl Features<K>,
    rows: usize,
    keys: &[&K],
) -> Result<Tensor> {
    let count = features.count();
    let mut hashes = vec![0; count * keys.len()];
    for (hashes, key) in hashes.chunks_exact_mut(count).zip(keys) {
        features.hash(key, hashes);
        for (feature, hash) in hashes.iter_mut().enumerate() {
            *hash = (feature * rows + row_of(*hash, rows)) as u32;
        }
    }
    Tensor::from_vec(hashes, (keys.len(), count), &Device::Cpu)
}

/// A fully connected layer with PyTorch's initial values.
#[derive(Clone, Debug)]
pub(super) struct FullyConnected {
    weight: Tensor,
    bias: Tensor,
}

impl FullyConnected {
    pub(super) fn new(inputs: usize, outputs: usize, builder: &VarBuilder<'_>) -> Result<Self> {
        let bound = 1.0 / (inputs as f64).sqrt();
        let init = Init::Uniform {
            lo: -bound,
            up: bound,
        };
        Ok(Self {
            weight: builder.get_with_hints((outputs, inputs), "weight", init)?,
            bias: builder.get_with_hints(outputs, "bias", init)?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        linear(x, &self.weight, Some(&self.bias))
    }
}

/// How many keys a recurrent network scores at once: enough for fast products, and few enough that
/// the activations stay in the cache.
const SCORED_TOGETHER: usize = 256;

/// Scores keys by the network's forward pass. Keys whose scores candle cannot compute get NaN, which
/// counts as the lowest score.
pub(super) fn score_in_batches<K, N: Network<K>>(network: &N, keys: &[&K], scores: &mut [f32]) {
    for (keys, scores) in keys
        .chunks(SCORED_TOGETHER)
        .zip(scores.chunks_mut(SCORED_TOGETHER))
    {
        let found = network
            .encode(keys)
            .and_then(|encoded| network.forward(&encoded)?.to_vec1::<f32>());
        match found {
            Ok(found) => scores.copy_from_slice(&found),
            Err(_) => scores.fill(f32::NAN),
        }
    }
}

/// The first half of the hash of a kind and its parameters.
pub(super) fn short_fingerprint(kind: &str, parameters: &Parameters) -> [u8; 16] {
    let values = parameters.fingerprint().unwrap_or_default();
    xxh3_128(&[kind.as_bytes(), &values].concat()).to_le_bytes()
}
