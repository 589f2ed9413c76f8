//! The tensor type of queries and outputs.

use crate::error::TensorError;

/// A dense tensor of 32-bit floats in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Tensor {
    /// A tensor of this shape.
    ///
    /// # Errors
    ///
    /// When the number of values is not the product of the dimensions.
    pub fn new(shape: Vec<usize>, values: Vec<f32>) -> Result<Self, TensorError> {
        // The product may overflow: shapes come from the network.
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

    /// A tensor from parts that are known to match.
    pub(crate) fn from_parts(shape: Vec<usize>, values: Vec<f32>) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        Self { shape, values }
    }

    /// The dimensions.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values in row-major order.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Whether all values are finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        // No early exit, so that the loop vectorizes. Infinities and NaNs have all exponent bits set.
        const EXPONENT: u32 = 0x7f80_0000;
        !self.values.iter().fold(false, |bad, value| {
            bad | (value.to_bits() & EXPONENT == EXPONENT)
        })
    }

    /// The largest minus the second-largest value; infinity for fewer than two values.
    #[must_use]
    pub fn margin(&self) -> f32 {
        let (mut first, mut second) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
        for &value in &self.values {
            if value > first {
                (first, second) = (value, first);
            } else if value > second {
                second = value;
            }
        }
        if self.values.len() < 2 {
            f32::INFINITY
        } else {
            first - second
        }
    }

    /// The index of the largest value, the first of equal ones; `None` for an empty tensor.
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
