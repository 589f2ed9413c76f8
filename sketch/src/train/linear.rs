//! The linear oracle under training.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::Init;
use septet_core::nn::{NnError, Parameters};
use septet_core::seed::SeedTree;

use super::Network;
use super::network::encode_features;
use crate::error::SketchError;
use crate::oracle::{Features, HashedLinear};

/// A weight for each value of each feature; becomes a [`HashedLinear`].
#[derive(Debug)]
pub struct LinearNetwork<F> {
    features: F,
    rows: usize,
    total: usize,
    parameters: Parameters,
}

impl<F> LinearNetwork<F> {
    /// A network with `rows` weights a feature. All weights begin at zero: the seed only keeps the
    /// interface the same as that of other networks.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] without rows or with 2^32 of them in all.
    pub fn new<K>(
        features: F,
        rows: usize,
        seed: &SeedTree,
    ) -> std::result::Result<Self, SketchError>
    where
        F: Features<K>,
    {
        let total = check_rows(features.count(), rows)?;
        let network = Self {
            features,
            rows,
            total,
            parameters: Parameters::new(seed.child("linear network")),
        };
        // Draws the parameters.
        network.tensors().map_err(NnError::from)?;
        Ok(network)
    }

    /// The newest weight and bias.
    fn tensors(&self) -> Result<[Tensor; 2]> {
        let builder = self.parameters.builder(DType::F32, &Device::Cpu);
        let zeros = Init::Const(0.0);
        Ok([
            builder.get_with_hints(self.total, "weight", zeros)?,
            builder.get_with_hints(1, "bias", zeros)?,
        ])
    }

    /// The oracle with the present weights.
    ///
    /// # Errors
    ///
    /// [`SketchError::Tensor`], when candle fails.
    pub fn oracle<K>(&self) -> std::result::Result<HashedLinear<F>, SketchError>
    where
        F: Features<K> + Clone,
    {
        let values = |tensor: &Tensor| tensor.to_vec1::<f32>().map_err(NnError::from);
        let [weight, bias] = self.tensors().map_err(NnError::from)?;
        HashedLinear::new(self.features.clone(), values(&weight)?, values(&bias)?[0])
    }
}

/// Rows are numbered in 32 bits.
pub(super) fn check_rows(features: usize, rows: usize) -> std::result::Result<usize, SketchError> {
    match features.checked_mul(rows) {
        Some(total) if total > 0 && u32::try_from(total).is_ok() => Ok(total),
        _ => Err(SketchError::parameter(
            "rows",
            format!("1 to 2^32 rows in all for {features} features"),
            rows,
        )),
    }
}

impl<K, F: Features<K>> Network<K> for LinearNetwork<F> {
    fn encode(&self, keys: &[&K]) -> Result<Tensor> {
        encode_features(&self.features, self.rows, keys)
    }

    fn forward(&self, encoded: &Tensor) -> Result<Tensor> {
        let [weight, bias] = self.tensors()?;
        weight
            .index_select(&encoded.flatten_all()?, 0)?
            .reshape(encoded.shape())?
            .sum(1)?
            .broadcast_add(&bias)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
