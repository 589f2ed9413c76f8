//! Embeddings and a small network over them, under training.

use candle_core::{DType, Device, Module as _, Result, Tensor};
use candle_nn::Init;
use septet_core::nn::{Dense, DenseInit, NnError, Parameters, embedding, relu};
use septet_core::seed::SeedTree;

use super::Network;
use super::linear::check_rows;
use super::network::encode_features;
use crate::error::SketchError;
use crate::oracle::{Features, HashedEmbedMlp};

/// The size of an [`EmbedMlpNetwork`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbedMlpSize {
    /// Rows of the table, for each feature.
    pub rows: usize,
    /// Length of the vector in a row.
    pub width: usize,
    /// Outputs of each layer before the last.
    pub hidden: Vec<usize>,
}

impl Default for EmbedMlpSize {
    /// 1 024 rows of 4 numbers, layers of 64 and 32: 184 kB with ten features.
    fn default() -> Self {
        Self {
            rows: 1024,
            width: 4,
            hidden: vec![64, 32],
        }
    }
}

/// A vector for each value of each feature, and fully connected layers over them; becomes a
/// [`HashedEmbedMlp`].
#[derive(Debug)]
pub struct EmbedMlpNetwork<F> {
    features: F,
    size: EmbedMlpSize,
    /// The number of features.
    count: usize,
    parameters: Parameters,
}

/// The initial values of the table.
const TABLE: Init = Init::Randn {
    mean: 0.0,
    stdev: 0.1,
};

impl<F> EmbedMlpNetwork<F> {
    /// A network of this size, drawn from the seed.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] for an empty table or layer.
    pub fn new<K>(
        features: F,
        size: EmbedMlpSize,
        seed: &SeedTree,
    ) -> std::result::Result<Self, SketchError>
    where
        F: Features<K>,
    {
        let count = features.count();
        check_rows(count, size.rows)?;
        if size.width == 0 || size.hidden.contains(&0) {
            let found = format!("width {}, hidden {:?}", size.width, size.hidden);
            return Err(SketchError::parameter("size", "no empty layer", found));
        }
        let network = Self {
            features,
            size,
            count,
            parameters: Parameters::new(seed.child("embed mlp network")),
        };
        // Draws the parameters.
        network.layers().map_err(NnError::from)?;
        Ok(network)
    }

    /// The newest table and layers.
    fn layers(&self) -> Result<(Tensor, Vec<Dense>)> {
        let builder = self.parameters.builder(DType::F32, &Device::Cpu);
        let size = &self.size;
        let table = (self.count * size.rows, size.width);
        let table = builder.get_with_hints(table, "embedding", TABLE)?;
        let mut inputs = self.count * size.width;
        let mut layers = Vec::new();
        for &outputs in size.hidden.iter().chain([&1]) {
            let builder = builder.pp(format!("layer.{}", layers.len()));
            layers.push(Dense::new(inputs, outputs, DenseInit::He, &builder)?);
            inputs = outputs;
        }
        Ok((table, layers))
    }

    /// The oracle with the present weights.
    ///
    /// # Errors
    ///
    /// [`SketchError::Tensor`], when candle fails.
    pub fn oracle<K>(&self) -> std::result::Result<HashedEmbedMlp<F>, SketchError>
    where
        F: Features<K> + Clone,
    {
        let values = |tensor: &Tensor| -> std::result::Result<Vec<f32>, NnError> {
            Ok(tensor.flatten_all()?.to_vec1()?)
        };
        let (table, layers) = self.layers().map_err(NnError::from)?;
        let layers = layers
            .iter()
            .map(|layer| Ok((values(layer.weight())?, values(layer.bias())?)))
            .collect::<std::result::Result<_, NnError>>()?;
        HashedEmbedMlp::new(
            self.features.clone(),
            self.size.width,
            values(&table)?,
            layers,
        )
    }
}

impl<K, F: Features<K>> Network<K> for EmbedMlpNetwork<F> {
    fn encode(&self, keys: &[&K]) -> Result<Tensor> {
        encode_features(&self.features, self.size.rows, keys)
    }

    fn forward(&self, encoded: &Tensor) -> Result<Tensor> {
        let (keys, features) = encoded.dims2()?;
        let (table, layers) = self.layers()?;
        let mut values = embedding(encoded, &table)?.reshape((keys, features * self.size.width))?;
        for (index, layer) in layers.iter().enumerate() {
            values = layer.forward(&values)?;
            if index + 1 < layers.len() {
                values = relu(&values)?;
            }
        }
        values.squeeze(1)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
