//! The pool of workers behind an engine.

use std::future::Future;
use std::sync::Arc;

use crate::code::Model;
use crate::tensor::Tensor;

/// A failed task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("worker {worker}: {reason}")]
pub struct BackendError {
    /// The worker, from 0.
    pub worker: usize,
    /// The cause, for logs and clients.
    pub reason: String,
    /// Whether the worker is healthy and only rejects this query. The worker keeps getting tasks, and the
    /// query is not retried.
    pub refused: bool,
}

/// One inference request to a worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The model to run.
    pub model: Model,
    /// Its input.
    pub input: Tensor,
    /// The trace context of the query, as in the W3C header `traceparent`; `None` for a task that mixes
    /// several queries.
    pub trace: Option<Arc<str>>,
}

/// A pool of workers, each of which runs one task at a time.
///
/// Clones share the pool. An implementation supplies the transport or the model; the engine does the
/// scheduling.
pub trait Backend: Clone + Send + Sync + 'static {
    /// The number of workers, failed ones included.
    fn workers(&self) -> usize;

    /// Whether a worker serves a model.
    fn serves(&self, worker: usize, model: &Model) -> bool;

    /// Runs a model on a worker. The output is that before any softmax.
    fn infer(
        &self,
        worker: usize,
        call: Call,
    ) -> impl Future<Output = Result<Tensor, BackendError>> + Send;
}
