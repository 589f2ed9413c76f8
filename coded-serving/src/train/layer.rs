//! A fully connected layer under training.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::Init;
use candle_nn::init::{FanInOut, NonLinearity, NormalOrUniform};
use candle_nn::var_builder::VarBuilder;
use septet_core::nn::{Parameters, linear};

use super::TrainError;
use super::spectral::SpectralBound;
use crate::network::{Array, Dense};

/// The variance 2 / inputs, for layers before a rectifier (He et al. 2015).
pub(super) const RECTIFIED: Init = Init::Kaiming {
    dist: NormalOrUniform::Normal,
    fan: FanInOut::FanIn,
    non_linearity: NonLinearity::ReLU,
};

/// The variance 1 / inputs, for other layers.
pub(super) const LINEAR: Init = Init::Kaiming {
    dist: NormalOrUniform::Normal,
    fan: FanInOut::FanIn,
    non_linearity: NonLinearity::Linear,
};

/// `W x + b`, with or without a bound on the largest singular value of `W`.
#[derive(Debug)]
pub(super) struct Layer {
    weight: Tensor,
    bias: Tensor,
    spectral: Option<SpectralBound>,
}

impl Layer {
    pub(super) fn new(
        builder: &VarBuilder<'_>,
        outputs: usize,
        inputs: usize,
        init: Init,
        bound: Option<f64>,
    ) -> Result<Self> {
        Ok(Self {
            weight: builder.get_with_hints((outputs, inputs), "weight", init)?,
            bias: builder.get_with_hints(outputs, "bias", Init::Const(0.0))?,
            spectral: bound.map(SpectralBound::new),
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match &self.spectral {
            None => linear(x, &self.weight, Some(&self.bias)),
            Some(spectral) => linear(x, &spectral.apply(&self.weight)?, Some(&self.bias)),
        }
    }

    /// The layer for inference.
    pub(super) fn fold(&self, name: &str) -> std::result::Result<Dense, TrainError> {
        let weight = match &self.spectral {
            None => self.weight.clone(),
            Some(spectral) => spectral.fold(&self.weight)?,
        };
        Ok(Dense::new(name, &array(&weight)?, &array(&self.bias)?)?)
    }
}

fn array(tensor: &Tensor) -> Result<Array> {
    Ok(Array {
        shape: tensor.dims().to_vec(),
        values: tensor.detach().flatten_all()?.to_vec1()?,
    })
}

/// Where layers get their parameters.
pub(super) fn builder(parameters: &Parameters) -> VarBuilder<'static> {
    parameters.builder(DType::F32, &Device::Cpu)
}
