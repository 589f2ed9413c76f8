//! Real numbers with a shape.

use crate::error::TensorError;

/// Real numbers with a shape, in row-major order.
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

    /// Values whose number is known to be right.
    pub(crate) fn from_parts(shape: Vec<usize>, values: Vec<f32>) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        Self { shape, values }
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
        // Without a branch, so that the loop is vectorised: all bits of the exponent are set.
        const EXPONENT: u32 = 0x7f80_0000;
        !self.values.iter().fold(false, |bad, value| {
            bad | (value.to_bits() & EXPONENT == EXPONENT)
        })
    }

    /// By how much the largest value exceeds the second largest; infinite for fewer than two.
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
