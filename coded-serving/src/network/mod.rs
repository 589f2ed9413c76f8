//! Inference of trained networks without a tensor library, for workers and front ends.
//!
//! - [`InvertibleClassifier`] is a base model: a [`Bijection`] and an affine head.
//!   [`Coupling`] is inverted exactly, [`Residual`] by iteration.
//! - [`Mlp`] is any other model: a parity model, a student, a base model without an inverse.
//! - [`SetEncoder`] and [`ExactInverse`] compute parity queries.
//!
//! Each reports its multiply-adds. [`Tensors`] reads and writes them as safetensors files.

mod bijection;
mod classifier;
mod coupling;
mod dense;
mod encoder;
mod error;
mod file;
mod mlp;
mod residual;

pub use bijection::Bijection;
pub use classifier::InvertibleClassifier;
pub use coupling::{Coupling, checkerboard};
pub use dense::Dense;
pub use encoder::{ExactInverse, SetEncoder};
pub use error::NetworkError;
pub use file::{Array, Tensors};
pub use mlp::Mlp;
pub use residual::Residual;

/// A batch of examples: one column per example.
pub type Batch = nalgebra::DMatrix<f32>;

/// A batch from consecutive examples of `width` values.
///
/// # Errors
///
/// [`NetworkError::Width`] when the number of values is not a multiple of the width.
pub fn batch(values: &[f32], width: usize) -> Result<Batch, NetworkError> {
    if width == 0 || !values.len().is_multiple_of(width) {
        return Err(NetworkError::Width {
            layer: "batch".to_owned(),
            expected: width,
            found: values.len(),
        });
    }
    Ok(Batch::from_column_slice(
        width,
        values.len() / width,
        values,
    ))
}
