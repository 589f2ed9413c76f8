//! What can go wrong with a network and its file.

use std::path::PathBuf;

/// A network that cannot be made, read or inverted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// An example, or the output of the layer before, has another width than the layer takes.
    #[error("{layer}: expected a width of {expected}, found {found}")]
    Width {
        /// The layer.
        layer: String,
        /// The width that it takes.
        expected: usize,
        /// The width that it got.
        found: usize,
    },
    /// A tensor has another shape than its network needs.
    #[error("the tensor `{name}`: expected {expected}, found the shape {found:?}")]
    Tensor {
        /// Its name.
        name: String,
        /// What the network needs.
        expected: String,
        /// Its dimensions.
        found: Vec<usize>,
    },
    /// A tensor is not there.
    #[error("the tensor `{name}` is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// The iteration for the inverse of a residual block did not settle.
    #[error(
        "block {block} is not inverted after {iterations} iterations: its last step was {step:.1e} of the value"
    )]
    NotConverged {
        /// The block, from 0.
        block: usize,
        /// Iterations made.
        iterations: usize,
        /// The length of the last step, relative to the value.
        step: f32,
    },
    /// A file could not be read or written.
    #[error("{} cannot be read or written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// An ONNX model cannot be read, or is of no use here.
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
