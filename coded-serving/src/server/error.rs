//! Request errors and their HTTP and gRPC status codes.

use std::time::Duration;

use axum::http::StatusCode;
use tonic::Code as GrpcCode;

use crate::engine::ServeError;
use crate::protocol::ProtocolError;

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The message is malformed.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The body is too large.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The maximum size in bytes.
        limit: usize,
    },
    /// There is no such model, or not this version of it.
    #[error("there is no model `{name}`{}", version.as_ref().map(|v| format!(" of version {v}")).unwrap_or_default())]
    ModelNotFound {
        /// The requested name.
        name: String,
        /// The requested version.
        version: Option<String>,
    },
    /// The request does not match the model.
    #[error("{what}: expected {expected}, found {found}")]
    Mismatch {
        /// The mismatching part of the request.
        what: String,
        /// What the model accepts.
        expected: String,
        /// What the request has.
        found: String,
    },
    /// The body was not received in time.
    #[error("the body was not received within {0:?}")]
    BodyTimeout(Duration),
    /// The outputs of the workers are invalid.
    #[error("{reason}")]
    Output {
        /// What is wrong.
        reason: String,
    },
    /// The engine has no answer.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl ServerError {
    pub(super) fn mismatch(
        what: impl Into<String>,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> Self {
        Self::Mismatch {
            what: what.into(),
            expected: expected.into(),
            // Text from the client is not echoed at full length.
            found: found.to_string().chars().take(200).collect(),
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Protocol(_)
            | Self::Mismatch { .. }
            | Self::Serve(
                ServeError::InvalidInput(_)
                | ServeError::Refused(_)
                | ServeError::OnlyApproximate(_),
            ) => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ModelNotFound { .. } => StatusCode::NOT_FOUND,
            Self::BodyTimeout(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Serve(ServeError::Overloaded { .. }) => StatusCode::TOO_MANY_REQUESTS,
            Self::Serve(ServeError::DeadlineExceeded(_)) => StatusCode::GATEWAY_TIMEOUT,
            Self::Output { .. } | Self::Serve(ServeError::Unrecoverable { .. }) => {
                StatusCode::BAD_GATEWAY
            }
            Self::Serve(ServeError::ShuttingDown) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The gRPC status code.
    #[must_use]
    pub fn grpc_code(&self) -> GrpcCode {
        match self {
            Self::Protocol(_)
            | Self::Mismatch { .. }
            | Self::TooLarge { .. }
            | Self::Serve(
                ServeError::InvalidInput(_)
                | ServeError::Refused(_)
                | ServeError::OnlyApproximate(_),
            ) => GrpcCode::InvalidArgument,
            Self::ModelNotFound { .. } => GrpcCode::NotFound,
            Self::Serve(ServeError::Overloaded { .. }) => GrpcCode::ResourceExhausted,
            Self::BodyTimeout(_) | Self::Serve(ServeError::DeadlineExceeded(_)) => {
                GrpcCode::DeadlineExceeded
            }
            Self::Output { .. }
            | Self::Serve(ServeError::Unrecoverable { .. } | ServeError::ShuttingDown) => {
                GrpcCode::Unavailable
            }
        }
    }

    /// When the client should retry, if that may help.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Serve(ServeError::Overloaded { .. } | ServeError::ShuttingDown) => {
                Some(Duration::from_secs(1))
            }
            _ => None,
        }
    }

    /// The value of the label `outcome` of the request metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Serve(ServeError::Overloaded { .. }) => "overloaded",
            Self::Serve(ServeError::DeadlineExceeded(_)) => "deadline_exceeded",
            Self::Output { .. } | Self::Serve(ServeError::Unrecoverable { .. }) => "unrecoverable",
            Self::Serve(ServeError::ShuttingDown) => "shutting_down",
            _ => "invalid",
        }
    }
}
