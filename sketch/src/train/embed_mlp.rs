//! Embeddings and a small network over them, under training.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::Init;
use candle_nn::init::{FanInOut, NonLinearity, NormalOrUniform};
use septet_core::nn::{NnError, Parameters, linear};
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
    parameters: Parameters,
    table: Tensor,
    /// Weight and bias of each layer.
    layers: Vec<(Tensor, Tensor)>,
}

/// Rectified layers begin with the variance 2 / inputs (He et al. 2015), the table with the variance
/// of normal deviates a tenth as large.
const RECTIFIED: Init = Init::Kaiming {
    dist: NormalOrUniform::Normal,
    fan: FanInOut::FanIn,
    non_linearity: NonLinearity::ReLU,
};
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
        let total = check_rows(features.count(), size.rows)?;
        if size.width == 0 || size.hidden.contains(&0) {
            let found = format!("width {}, hidden {:?}", size.width, size.hidden);
            return Err(SketchError::parameter("size", "no empty layer", found));
        }
        let parameters = Parameters::new(seed.child("embed mlp network"));
        let (table, layers) =
            draw(&parameters, &size, features.count(), total).map_err(NnError::from)?;
        Ok(Self {
            features,
            size,
            parameters,
            table,
            layers,
        })
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
        let layers = self
            .layers
            .iter()
            .map(|(weight, bias)| Ok((values(weight)?, values(bias)?)))
            .collect::<std::result::Result<_, NnError>>()?;
        HashedEmbedMlp::new(
            self.features.clone(),
            self.size.width,
            values(&self.table)?,
            layers,
        )
    }
}

fn draw(
    parameters: &Parameters,
    size: &EmbedMlpSize,
    features: usize,
    total: usize,
) -> Result<(Tensor, Vec<(Tensor, Tensor)>)> {
    let builder = parameters.builder(DType::F32, &Device::Cpu);
    let table = builder.get_with_hints((total, size.width), "embedding", TABLE)?;
    let mut inputs = features * size.width;
    let mut layers = Vec::new();
    for &outputs in size.hidden.iter().chain([&1]) {
        let builder = builder.pp(format!("layer.{}", layers.len()));
        let weight = builder.get_with_hints((outputs, inputs), "weight", RECTIFIED)?;
        let bias = builder.get_with_hints(outputs, "bias", Init::Const(0.0))?;
        layers.push((weight, bias));
        inputs = outputs;
    }
    Ok((table, layers))
}

impl<K, F: Features<K>> Network<K> for EmbedMlpNetwork<F> {
    fn encode(&self, keys: &[&K]) -> Result<Tensor> {
        encode_features(&self.features, self.size.rows, keys)
    }

    fn forward(&self, encoded: &Tensor) -> Result<Tensor> {
        let (keys, features) = encoded.dims2()?;
        let mut values = self
            .table
            .index_select(&encoded.flatten_all()?, 0)?
            .reshape((keys, features * self.size.width))?;
        for (index, (weight, bias)) in self.layers.iter().enumerate() {
            values = linear(&values, weight, Some(bias))?;
            if index + 1 < self.layers.len() {
                values = values.relu()?;
            }
        }
        values.squeeze(1)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
