//! Why a request gets no answer, and how HTTP and gRPC say so.

use std::time::Duration;

use axum::http::StatusCode;
use tonic::Code as GrpcCode;

use crate::engine::ServeError;
use crate::protocol::ProtocolError;

/// Why a request gets no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The message cannot be read.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The body is larger than the server reads.
    #[error("the body is larger than {most} bytes")]
    TooLarge {
        /// The most that is read.
        most: usize,
    },
    /// There is no such model, or not this version of it.
    #[error("there is no model `{name}`{}", version.as_ref().map(|v| format!(" of version {v}")).unwrap_or_default())]
    NoModel {
        /// The name that was asked for.
        name: String,
        /// The version that was asked for.
        version: Option<String>,
    },
    /// The request does not fit the model.
    #[error("{what}: expected {expected}, found {found}")]
    Unfit {
        /// What does not fit.
        what: String,
        /// What the model takes.
        expected: String,
        /// What the request has.
        found: String,
    },
    /// The body did not come in time.
    #[error("the body did not come within {0:?}")]
    TooSlow(Duration),
    /// What the workers answered cannot be told.
    #[error("{reason}")]
    Output {
        /// What is wrong.
        reason: String,
    },
    /// The engine has no answer.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl Refusal {
    pub(super) fn unfit(
        what: impl Into<String>,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> Self {
        Self::Unfit {
            what: what.into(),
            expected: expected.into(),
            // Names and texts of the client are not echoed at full length.
            found: found.to_string().chars().take(200).collect(),
        }
    }

    /// The status of HTTP.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Protocol(_)
            | Self::Unfit { .. }
            | Self::Serve(
                ServeError::InvalidInput(_)
                | ServeError::Refused(_)
                | ServeError::OnlyApproximate(_),
            ) => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoModel { .. } => StatusCode::NOT_FOUND,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Serve(ServeError::Overloaded { .. }) => StatusCode::TOO_MANY_REQUESTS,
            Self::Serve(ServeError::DeadlineExceeded(_)) => StatusCode::GATEWAY_TIMEOUT,
            Self::Output { .. } | Self::Serve(ServeError::Unrecoverable { .. }) => {
                StatusCode::BAD_GATEWAY
            }
            Self::Serve(ServeError::ShuttingDown) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The code of gRPC.
    #[must_use]
    pub fn grpc_code(&self) -> GrpcCode {
        match self {
            Self::Protocol(_)
            | Self::Unfit { .. }
            | Self::TooLarge { .. }
            | Self::Serve(
                ServeError::InvalidInput(_)
                | ServeError::Refused(_)
                | ServeError::OnlyApproximate(_),
            ) => GrpcCode::InvalidArgument,
            Self::NoModel { .. } => GrpcCode::NotFound,
            Self::Serve(ServeError::Overloaded { .. }) => GrpcCode::ResourceExhausted,
            Self::TooSlow(_) | Self::Serve(ServeError::DeadlineExceeded(_)) => {
                GrpcCode::DeadlineExceeded
            }
            Self::Output { .. }
            | Self::Serve(ServeError::Unrecoverable { .. } | ServeError::ShuttingDown) => {
                GrpcCode::Unavailable
            }
        }
    }

    /// When the client may ask again with some hope.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Serve(ServeError::Overloaded { .. } | ServeError::ShuttingDown) => {
                Some(Duration::from_secs(1))
            }
            _ => None,
        }
    }

    /// Its name among the outcomes that are counted.
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
