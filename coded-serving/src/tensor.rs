//! Real numbers with a shape.

use crate::error::TensorError;

/// Real numbers with a shape, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Tensor {
    /// # Errors
    ///
    /// When the number of values is not the product of the dimensions.
    pub fn new(shape: Vec<usize>, values: Vec<f32>) -> Result<Self, TensorError> {
        let product = shape
            .iter()
            .try_fold(1_usize, |product, &n| product.checked_mul(n));
        match product {
            None => Err(TensorError::TooLarge { shape }),
            Some(expected) if expected != values.len() => Err(TensorError::Length {
                shape,
                expected,
                found: values.len(),
            }),
            Some(_) => Ok(Self { shape, values }),
        }
    }

    /// A vector.
    #[must_use]
    pub fn vector(values: Vec<f32>) -> Self {
        Self {
            shape: vec![values.len()],
            values,
        }
    }

    /// The dimensions.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers, row by row.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Whether all numbers are finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.values.iter().all(|value| value.is_finite())
    }

    /// The index of the largest number, the first of equals; `None` for a tensor without numbers.
    #[must_use]
    pub fn argmax(&self) -> Option<usize> {
        let mut best: Option<(usize, f32)> = None;
        for (index, &value) in self.values.iter().enumerate() {
            if best.is_none_or(|(_, largest)| value > largest) {
                best = Some((index, value));
            }
        }
        best.map(|(index, _)| index)
    }
}
