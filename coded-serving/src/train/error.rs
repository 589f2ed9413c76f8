//! What can go wrong in training.

use septet_core::nn::NnError;

use crate::network::NetworkError;

/// Why a training stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A parameter is outside its range.
    #[error("{argument}: expected {expected}, found {found}")]
    Parameter {
        /// The parameter.
        argument: &'static str,
        /// What is allowed.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The trained network cannot be made into one for inference.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The training diverged, a tensor operation failed, a parameter gets no gradient, or a checkpoint
    /// cannot be read or written.
    #[error(transparent)]
    Tensor(#[from] NnError),
}

impl From<candle_core::Error> for TrainError {
    fn from(error: candle_core::Error) -> Self {
        Self::Tensor(error.into())
    }
}

impl TrainError {
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
