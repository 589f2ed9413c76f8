//! What answers tasks.

use std::future::Future;
use std::sync::Arc;

use crate::code::Model;
use crate::tensor::Tensor;

/// Why a worker gave no output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("worker {worker}: {reason}")]
pub struct BackendError {
    /// The worker, from 0.
    pub worker: usize,
    /// What happened.
    pub reason: String,
    /// Whether the worker is well and only refuses this query: it goes on getting tasks, and the query is
    /// not sent again.
    pub refused: bool,
}

/// What a worker is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Which model has to answer.
    pub model: Model,
    /// What it is asked.
    pub input: Tensor,
    /// The trace of the query, as in the header `traceparent` of W3C Trace Context; none for a task
    /// that mixes several queries.
    pub trace: Option<Arc<str>>,
}

/// A pool of workers, each of which answers one task at a time.
///
/// Clones share the pool. An implementation brings the network, or the model itself; the engine
/// decides what goes where.
pub trait Backend: Clone + Send + Sync + 'static {
    /// How many workers there are, dead ones included.
    fn workers(&self) -> usize;

    /// Whether a worker holds a model.
    fn serves(&self, worker: usize, model: &Model) -> bool;

    /// The output of a model, before any softmax.
    fn infer(
        &self,
        worker: usize,
        call: Call,
    ) -> impl Future<Output = Result<Tensor, BackendError>> + Send;
}
