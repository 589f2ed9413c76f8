//! What clients ask and get.

use std::sync::Arc;
use std::time::Duration;

use crate::error::CodeError;
use crate::tensor::Tensor;

/// A question of a client.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// What the model is asked.
    pub input: Tensor,
    /// How long the client waits, from now.
    pub patience: Option<Duration>,
    /// Whether a reconstructed answer will do.
    pub accepts_reconstruction: bool,
    /// Handed to the worker with the query: the trace that the query belongs to, as in the header
    /// `traceparent` of W3C Trace Context.
    pub trace: Option<Arc<str>>,
}

impl Query {
    /// A query without a trace that waits for ever and takes reconstructed answers.
    #[must_use]
    pub fn new(input: Tensor) -> Self {
        Self {
            input,
            patience: None,
            accepts_reconstruction: true,
            trace: None,
        }
    }
}

/// Where an answer comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Provenance {
    /// From a worker that was asked this query.
    Direct {
        /// The worker.
        worker: usize,
    },
    /// From the outputs of other tasks of the group. Exact or approximate, as the code is.
    Reconstructed {
        /// The name of the code.
        code: Arc<str>,
        /// How many queries the group had.
        group: usize,
        /// By how much the largest output exceeds the second largest: the smaller, the likelier the
        /// true answer is another one.
        margin: f32,
    },
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The model's output, before any softmax.
    pub output: Tensor,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The query cannot be coded.
    #[error("the query is not valid: {0}")]
    InvalidInput(CodeError),
    /// Too many queries wait already.
    #[error("{waiting} queries are waiting, the most that are let in")]
    Overloaded {
        /// How many wait.
        waiting: usize,
    },
    /// The client's patience ran out.
    #[error("no answer within {0:?}")]
    DeadlineExceeded(Duration),
    /// Workers failed, and what arrived does not tell the answer.
    #[error("{missing} answers of a group are lost, and {received} outputs arrived")]
    Unrecoverable {
        /// Lost answers of the group.
        missing: usize,
        /// Outputs that arrived.
        received: usize,
    },
    /// A worker refuses the query, or the model has no finite answer to it.
    #[error("the query is refused: {0}")]
    Refused(String),
    /// The client refuses reconstructed answers, and the code gives no others.
    #[error("every answer of the code {0} is approximate, and the client refuses such")]
    OnlyApproximate(Arc<str>),
    /// The engine takes no more queries.
    #[error("the engine is shutting down")]
    ShuttingDown,
}

/// When a reconstructed answer is given out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ReconstructionPolicy {
    /// As soon as it can be made.
    #[default]
    FirstWins,
    /// Once a query has waited so long, or its worker has failed. Fewer answers are approximate.
    AfterDelay(Duration),
    /// As [`AfterDelay`](Self::AfterDelay), with a delay that follows the load: this quantile, between
    /// 0 and 1, of the times that the last few hundred direct answers took. Until 64 are known, as
    /// [`FirstWins`](Self::FirstWins).
    AfterQuantile(f64),
    /// Not at all.
    Never,
}
