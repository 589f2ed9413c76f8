//! Queries, predictions and the reasons for having none.

use std::sync::Arc;
use std::time::Duration;

use crate::error::CodeError;
use crate::tensor::Tensor;

/// A query of a client.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The input of the model.
    pub input: Tensor,
    /// How long the client waits from now; `None` for without limit.
    pub timeout: Option<Duration>,
    /// Whether the client accepts a reconstructed answer.
    pub accepts_reconstruction: bool,
    /// The trace context, as in the W3C header `traceparent`. It is passed on to the worker.
    pub trace: Option<Arc<str>>,
}

impl Query {
    /// A query without timeout or trace context that accepts reconstructed answers.
    #[must_use]
    pub fn new(input: Tensor) -> Self {
        Self {
            input,
            timeout: None,
            accepts_reconstruction: true,
            trace: None,
        }
    }
}

/// Where an answer comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Provenance {
    /// From a worker that ran the model on this query.
    Direct {
        /// The worker.
        worker: usize,
    },
    /// Reconstructed from the outputs of other tasks of the group. Exact or approximate, depending on the
    /// code.
    Reconstructed {
        /// The name of the code.
        code: Arc<str>,
        /// The number of queries in the group.
        group: usize,
        /// The difference between the largest and the second-largest output: the smaller, the likelier
        /// that the model's own answer has another argmax.
        margin: f32,
    },
}

/// The answer to a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The model's output, before any softmax.
    pub output: Tensor,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The query cannot be coded.
    #[error("the query is not valid: {0}")]
    InvalidInput(CodeError),
    /// The queue is full.
    #[error("queue is full: {waiting} queries are waiting")]
    Overloaded {
        /// The length of the queue.
        waiting: usize,
    },
    /// The timeout of the query expired.
    #[error("no answer within {0:?}")]
    DeadlineExceeded(Duration),
    /// Workers failed, and the outputs that arrived do not determine the answer.
    #[error("{missing} answers of the group are lost: only {received} outputs arrived")]
    Unrecoverable {
        /// Lost answers of the group.
        missing: usize,
        /// Outputs that arrived.
        received: usize,
    },
    /// A worker rejected the query, or the model's output is not finite.
    #[error("the query is refused: {0}")]
    Refused(String),
    /// The client accepts no approximate answers, and the code gives no others.
    #[error("every answer of the code {0} is approximate, and the client accepts only exact ones")]
    OnlyApproximate(Arc<str>),
    /// The engine accepts no more queries.
    #[error("the engine is shutting down")]
    ShuttingDown,
}

/// When a reconstructed answer is released to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ReconstructionPolicy {
    /// As soon as it can be reconstructed.
    #[default]
    FirstWins,
    /// When the query has waited for this long, or its worker has failed. Fewer answers are approximate.
    AfterDelay(Duration),
    /// As [`AfterDelay`](Self::AfterDelay), with a delay that follows the load: this quantile, between
    /// 0 and 1, of the last few hundred latencies. Until 64 are known, as
    /// [`FirstWins`](Self::FirstWins).
    AfterQuantile(f64),
    /// Never: reconstruction is off.
    Never,
}
