//! Errors of networks and their files.

use std::path::PathBuf;

/// Why a network cannot be built, read, written or inverted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// An example, or the output of the previous layer, has another width than the layer.
    #[error("{layer}: expected a width of {expected}, found {found}")]
    Width {
        /// The layer.
        layer: String,
        /// The width of its input.
        expected: usize,
        /// The width found.
        found: usize,
    },
    /// A tensor has the wrong shape.
    #[error("the tensor `{name}`: expected {expected}, found the shape {found:?}")]
    Tensor {
        /// Its name.
        name: String,
        /// The required shape.
        expected: String,
        /// Its dimensions.
        found: Vec<usize>,
    },
    /// A tensor is missing.
    #[error("the tensor `{name}` is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// The fixed-point iteration for the inverse of a residual block did not converge.
    #[error(
        "inverse of block {block}: no convergence after {iterations} iterations, relative step {step:.1e}"
    )]
    NotConverged {
        /// The block, from 0.
        block: usize,
        /// The number of iterations.
        iterations: usize,
        /// The length of the last step, relative to the value.
        step: f32,
    },
    /// A file could not be read or written.
    #[error("{} cannot be read or written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// An ONNX model cannot be read or is not supported.
    #[error("{}: the ONNX model cannot be used: {reason}", path.display())]
    Onnx {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The bytes of a file are not those of a safetensors file with 32-bit numbers.
    #[error("{}: expected a safetensors file of 32-bit numbers: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}
