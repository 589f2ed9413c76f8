//! What can go wrong with stored tensors and their gradients.

use std::path::PathBuf;

/// The errors of this module. Operations on tensors return candle's own error, so that they can
/// stand inside candle models; it is contained here as [`NnError::Candle`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NnError {
    /// A file could not be read or written.
    #[error("{} cannot be read or written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The bytes of a file are not those of a safetensors file.
    #[error("{} is not a safetensors file", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the reader found.
        source: safetensors::SafeTensorError,
    },
    /// A file lacks a tensor.
    #[error("{}: the tensor `{name}` {expected} is missing", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The name of the tensor.
        name: String,
        /// Its expected type and shape, such as `f32 [64, 10]`.
        expected: String,
    },
    /// A file holds a tensor that nothing was to be read from.
    #[error("{}: the tensor `{name}` belongs to no parameter", path.display())]
    Unexpected {
        /// The file.
        path: PathBuf,
        /// The name of the tensor.
        name: String,
    },
    /// A tensor of a file has another type or shape.
    #[error("{}: the tensor `{name}` is {found}, expected {expected}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The name of the tensor.
        name: String,
        /// The expected type and shape, such as `f32 [64, 10]`.
        expected: String,
        /// The type and shape in the file.
        found: String,
    },
    /// A checkpoint was written by a training on other data, or with other options or another seed.
    #[error(
        "{} is the checkpoint of a training on other data, or with other options or another seed",
        path.display()
    )]
    OtherTraining {
        /// The file.
        path: PathBuf,
    },
    /// An argument is outside its range.
    #[error("{argument}: expected {expected}, found {found}")]
    Parameter {
        /// The argument.
        argument: &'static str,
        /// The allowed values.
        expected: String,
        /// The value that was given.
        found: String,
    },
    /// A training diverged: a quantity is no longer a finite number, or a weight is so large that
    /// single precision no longer resolves a step.
    #[error(
        "training diverged in step {step}: the {quantity} is {value}; try a smaller learning rate than {learning_rate}"
    )]
    Diverged {
        /// The step, from 0.
        step: u64,
        /// Which quantity: the loss, the norm of the gradient, or the largest weight.
        quantity: &'static str,
        /// Its value.
        value: f64,
        /// The learning rate of the step.
        learning_rate: f64,
    },
    /// The loss does not depend on a parameter, or an operation on the way has no gradient.
    #[error("no gradient reaches the parameter `{name}`")]
    NoGradient {
        /// The name of the parameter.
        name: String,
    },
    /// A parameter was drawn while the training ran.
    #[error(
        "the parameter `{name}` was drawn in the first step; build the model before the training"
    )]
    NotBuilt {
        /// The name of the parameter.
        name: String,
    },
    /// A set of named tensors lacks one.
    #[error("the {set} have no tensor named `{name}`")]
    Absent {
        /// Which set: `parameters`, `gradients` or the moments of an optimizer.
        set: &'static str,
        /// The name of the tensor.
        name: String,
    },
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl NnError {
    pub(super) fn parameter(
        argument: &'static str,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> Self {
        Self::Parameter {
            argument,
            expected: expected.into(),
            found: found.to_string(),
        }
    }
}
