//! What answers tasks.

use std::future::Future;

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
        model: Model,
        input: Tensor,
    ) -> impl Future<Output = Result<Tensor, BackendError>> + Send;
}
