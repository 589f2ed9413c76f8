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
    /// The loss is no longer a finite number.
    #[error("the loss is {loss} in step {step}")]
    Diverged {
        /// The step, from 0.
        step: u64,
        /// The loss.
        loss: f32,
    },
    /// The trained network cannot be made into one for inference.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A tensor operation failed, or a parameter gets no gradient.
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
