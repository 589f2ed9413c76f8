//! A fully connected layer under training.

use candle_core::{DType, Device, Module as _, Result, Tensor};
use septet_core::nn::{self, DenseInit, Parameters};

use super::TrainError;
use super::spectral::{IN_A_STEP, TO_FOLD, bounded};
use crate::network::{Array, Dense};

/// `W x + b` with the newest parameters, with or without a bound on the largest singular value of `W`.
#[derive(Debug)]
pub(super) struct Layer {
    parameters: Parameters,
    /// The prefix of the names of weight and bias.
    name: String,
    outputs: usize,
    inputs: usize,
    init: DenseInit,
    bound: Option<f64>,
}

impl Layer {
    /// Draws the parameters unless they are there.
    pub(super) fn new(
        parameters: &Parameters,
        name: impl Into<String>,
        outputs: usize,
        inputs: usize,
        init: DenseInit,
        bound: Option<f64>,
    ) -> Result<Self> {
        let layer = Self {
            parameters: parameters.clone(),
            name: name.into(),
            outputs,
            inputs,
            init,
            bound,
        };
        layer.unbounded()?;
        Ok(layer)
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (layer, left) = self.bounded(IN_A_STEP)?;
        if let Some(left) = left {
            let left = Tensor::from_vec(left, self.outputs, &Device::Cpu)?;
            self.parameters.set_buffer(&self.buffer_name(), left);
        }
        layer.forward(x)
    }

    /// The layer for inference.
    pub(super) fn fold(&self, name: &str) -> std::result::Result<Dense, TrainError> {
        // The state of the training stays as it is: its next step is the same, folded or not.
        let (layer, _) = self.bounded(TO_FOLD)?;
        Ok(Dense::new(
            name,
            &array(layer.weight())?,
            &array(layer.bias())?,
        )?)
    }

    /// The newest weight and bias.
    fn unbounded(&self) -> Result<nn::Dense> {
        let builder = self.parameters.builder(DType::F32, &Device::Cpu);
        nn::Dense::new(
            self.inputs,
            self.outputs,
            self.init,
            &builder.pp(&self.name),
        )
    }

    /// The singular vector found so far is part of the training's state.
    fn buffer_name(&self) -> String {
        format!("{}.left", self.name)
    }

    /// The newest weight within its bound, after further iterations towards its singular value, and
    /// the singular vector that they found.
    fn bounded(&self, iterations: usize) -> Result<(nn::Dense, Option<Vec<f64>>)> {
        let layer = self.unbounded()?;
        let Some(bound) = self.bound else {
            return Ok((layer, None));
        };
        let left = match self.parameters.buffer(&self.buffer_name()) {
            Some(left) => left.to_vec1()?,
            None => Vec::new(),
        };
        let (weight, left) = bounded(layer.weight(), bound, left, iterations)?;
        Ok((layer.with_weight(weight), Some(left)))
    }
}

fn array(tensor: &Tensor) -> Result<Array> {
    Ok(Array {
        shape: tensor.dims().to_vec(),
        values: tensor.detach().flatten_all()?.to_vec1()?,
    })
}
