//! Multilayer perceptrons.

use super::{Batch, Dense, NetworkError, Tensors};
use crate::tensor::Tensor;

/// A multilayer perceptron: fully connected layers with rectifiers `max(0, x)` between them. Used for parity
/// models, students and base models without an inverse.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    layers: Vec<Dense>,
}

impl Mlp {
    /// A network from its layers, in order.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Width`] when a layer has another number of inputs than the previous one has outputs,
    /// [`NetworkError::Missing`] when there is none.
    pub fn new(layers: Vec<Dense>) -> Result<Self, NetworkError> {
        if layers.is_empty() {
            return Err(NetworkError::Missing {
                name: "0.weight".to_owned(),
            });
        }
        for (index, pair) in layers.windows(2).enumerate() {
            if pair[0].outputs() != pair[1].inputs() {
                return Err(NetworkError::Width {
                    layer: format!("layer {}", index + 1),
                    expected: pair[1].inputs(),
                    found: pair[0].outputs(),
                });
            }
        }
        Ok(Self { layers })
    }

    /// Reads the tensors `<prefix><n>.weight` and `<prefix><n>.bias`, with `n` from 0 in steps of `step`: 1 for
    /// files of this crate, 2 for those of `PyTorch`'s `Sequential`, which numbers the rectifiers too.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and when a tensor has the wrong shape.
    pub fn from_tensors(
        tensors: &Tensors,
        prefix: &str,
        step: usize,
    ) -> Result<Self, NetworkError> {
        let layers = tensors
            .numbered(prefix, step, ".weight")?
            .iter()
            .map(|name| Dense::from_tensors(tensors, name))
            .collect::<Result<_, _>>()?;
        Self::new(layers)
    }

    /// Adds the tensors that [`from_tensors`](Self::from_tensors) reads in steps of 1.
    pub fn insert_into(&self, tensors: &mut Tensors, prefix: &str) {
        for (n, layer) in self.layers.iter().enumerate() {
            layer.insert_into(tensors, &format!("{prefix}{n}"));
        }
    }

    /// The layers.
    #[must_use]
    pub fn layers(&self) -> &[Dense] {
        &self.layers
    }

    /// The number of inputs.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.layers[0].inputs()
    }

    /// The number of outputs.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1].outputs()
    }

    /// Multiply-adds for one example.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.layers.iter().map(Dense::operations).sum()
    }

    /// The network with `factor` times the output.
    #[must_use]
    pub fn scaled(mut self, factor: f32) -> Self {
        if let Some(last) = self.layers.last_mut() {
            *last = last.scaled(factor);
        }
        self
    }

    /// The outputs for a batch.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Width`].
    pub fn forward(&self, x: &Batch) -> Result<Batch, NetworkError> {
        let mut values = self.layers[0].forward("layer 0", x)?;
        for (index, layer) in self.layers.iter().enumerate().skip(1) {
            values.apply(rectify);
            values = layer.forward(&format!("layer {index}"), &values)?;
        }
        Ok(values)
    }

    /// The output for one query. Its shape is ignored.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Width`].
    pub fn answer(&self, query: &Tensor) -> Result<Tensor, NetworkError> {
        let x = super::batch(query.values(), self.inputs())?;
        Ok(Tensor::vector(self.forward(&x)?.as_slice().to_vec()))
    }

    /// The gradient with respect to the input, from that with respect to the output.
    #[cfg(feature = "train")]
    pub(super) fn pull_back(&self, x: &Batch, gradient: &Batch) -> Result<Batch, NetworkError> {
        // Forward pass, keeping the rectified input of each layer.
        let mut inputs = Vec::with_capacity(self.layers.len() - 1);
        let mut values = x.clone();
        for layer in &self.layers[..self.layers.len() - 1] {
            values = layer.forward("layer", &values)?;
            values.apply(rectify);
            inputs.push(values.clone());
        }
        // Backward pass: a rectifier blocks the gradient where its output is 0.
        let mut gradient = self.layers[self.layers.len() - 1].pull_back(gradient);
        for (layer, values) in self.layers.iter().zip(&inputs).rev() {
            gradient.zip_apply(values, |grad, value| {
                if value <= 0.0 {
                    *grad = 0.0;
                }
            });
            gradient = layer.pull_back(&gradient);
        }
        Ok(gradient)
    }
}

/// The rectifier `max(0, x)`.
pub(super) fn rectify(value: &mut f32) {
    *value = value.max(0.0);
}
