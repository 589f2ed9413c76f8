//! Fully connected layers.

use nalgebra::{DMatrix, DVector};

use super::{Array, Batch, NetworkError, Tensors};

/// The affine map `W x + b` of a fully connected layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// One row per output, one column per input.
    weight: DMatrix<f32>,
    bias: DVector<f32>,
}

impl Dense {
    /// A layer from a weight of shape `[outputs, inputs]` in row-major order and a bias of shape `[outputs]`.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Tensor`] when the weight is not a matrix, has no values, or has another number of rows
    /// than the bias has values.
    pub fn new(name: &str, weight: &Array, bias: &Array) -> Result<Self, NetworkError> {
        let &[outputs, inputs] = weight.shape.as_slice() else {
            return Err(wrong(name, "weight", "two dimensions", weight));
        };
        let count = outputs.checked_mul(inputs);
        if count != Some(weight.values.len()) || outputs == 0 || inputs == 0 {
            return Err(wrong(name, "weight", "values that fill the shape", weight));
        }
        if bias.shape != [outputs] || bias.values.len() != outputs {
            return Err(wrong(name, "bias", &format!("{outputs} values"), bias));
        }
        Ok(Self {
            weight: DMatrix::from_row_slice(outputs, inputs, &weight.values),
            bias: DVector::from_column_slice(&bias.values),
        })
    }

    pub(super) fn from_tensors(tensors: &Tensors, name: &str) -> Result<Self, NetworkError> {
        let weight = tensors.get(&format!("{name}.weight"))?;
        let bias = tensors.get(&format!("{name}.bias"))?;
        Self::new(name, weight, bias)
    }

    pub(super) fn insert_into(&self, tensors: &mut Tensors, name: &str) {
        let weight = Array {
            shape: vec![self.outputs(), self.inputs()],
            // nalgebra stores columns; the file has rows.
            values: self.weight.transpose().as_slice().to_vec(),
        };
        let bias = Array {
            shape: vec![self.outputs()],
            values: self.bias.as_slice().to_vec(),
        };
        tensors.insert(format!("{name}.weight"), weight);
        tensors.insert(format!("{name}.bias"), bias);
    }

    /// The number of inputs.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.weight.ncols()
    }

    /// The number of outputs.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.weight.nrows()
    }

    /// The weight, one row per output.
    #[must_use]
    pub fn weight(&self) -> &DMatrix<f32> {
        &self.weight
    }

    /// The bias.
    #[must_use]
    pub fn bias(&self) -> &[f32] {
        self.bias.as_slice()
    }

    /// Multiply-adds for one example.
    #[must_use]
    pub fn operations(&self) -> u64 {
        (self.inputs() * self.outputs()) as u64
    }

    /// The layer with `factor` times the output.
    #[must_use]
    pub fn scaled(&self, factor: f32) -> Self {
        Self {
            weight: &self.weight * factor,
            bias: &self.bias * factor,
        }
    }

    pub(super) fn forward(&self, layer: &str, x: &Batch) -> Result<Batch, NetworkError> {
        if x.nrows() != self.inputs() {
            return Err(NetworkError::Width {
                layer: layer.to_owned(),
                expected: self.inputs(),
                found: x.nrows(),
            });
        }
        #[cfg(test)]
        counting::add(self.operations() * x.ncols() as u64);
        // Start from the bias, so that one GEMM computes `W x + b`.
        let mut result = Batch::from_fn(self.outputs(), x.ncols(), |row, _| self.bias[row]);
        result.gemm(1.0, &self.weight, x, 1.0);
        Ok(result)
    }

    /// The gradient with respect to the input, from that with respect to the output: `W^T g`.
    #[cfg(feature = "train")]
    pub(super) fn pull_back(&self, gradient: &Batch) -> Batch {
        self.weight.transpose() * gradient
    }
}

fn wrong(name: &str, part: &str, expected: &str, found: &Array) -> NetworkError {
    NetworkError::Tensor {
        name: format!("{name}.{part}"),
        expected: expected.to_owned(),
        found: found.shape.clone(),
    }
}

/// Counts multiply-adds, to compare with the stated costs.
#[cfg(test)]
pub(super) mod counting {
    use std::cell::Cell;

    thread_local! {
        static OPERATIONS: Cell<u64> = const { Cell::new(0) };
    }

    pub(crate) fn add(operations: u64) {
        OPERATIONS.set(OPERATIONS.get() + operations);
    }

    /// The multiply-adds of `work`.
    pub(crate) fn count(work: impl FnOnce()) -> u64 {
        OPERATIONS.set(0);
        work();
        OPERATIONS.get()
    }
}
