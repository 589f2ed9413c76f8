//! Workers of an engine, in one [`Pool`]: models in this process, and servers of the Open Inference Protocol
//! over HTTP or gRPC.
//!
//! ```
//! use std::sync::Arc;
//! use septet_coded_serving::backend::{LocalWorker, Pool};
//! use septet_coded_serving::code::{Model, Replication};
//! use septet_coded_serving::engine::{Engine, Query};
//! use septet_coded_serving::Tensor;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let double = |x: &Tensor| Ok(Tensor::vector(x.values().iter().map(|v| 2.0 * v).collect()));
//! let workers = (0..3).map(|_| LocalWorker::new([(Model::Base, double)]).map(Into::into));
//! let pool = Pool::new(workers.collect::<Result<_, _>>()?);
//! let engine = Engine::builder(Arc::new(Replication::new(1, 1)?), pool).build()?;
//! let answer = engine.predict(Query::new(Tensor::vector(vec![21.0]))).await?;
//! assert_eq!(answer.output.values(), [42.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chaos;
mod grpc;
mod http;
mod local;
mod network;
#[cfg(feature = "onnx")]
mod onnx;

use std::sync::Arc;
use std::time::Duration;

use crate::code::Model;
use crate::engine::{Backend, BackendError, Call};
use crate::protocol::{InferResponse, ProtocolError};
use crate::tensor::Tensor;

pub use chaos::Chaos;
pub use grpc::GrpcWorker;
pub use http::HttpWorker;
pub use local::{LocalModel, LocalWorker};
pub use network::LocalNetwork;

/// Why a server cannot be used as a worker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is invalid.
    #[error("`{url}` is not the address of a server: {reason}")]
    Address {
        /// The address.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The server does not answer, or with an error.
    #[error("{url}: {reason}")]
    Server {
        /// The address.
        url: String,
        /// The cause.
        reason: String,
    },
}

/// One worker.
#[derive(Debug)]
#[non_exhaustive]
pub enum Worker {
    /// A model in this process.
    Local(LocalWorker),
    /// A server over HTTP.
    Http(HttpWorker),
    /// A server over gRPC.
    Grpc(GrpcWorker),
}

impl From<LocalWorker> for Worker {
    fn from(worker: LocalWorker) -> Self {
        Self::Local(worker)
    }
}

impl From<HttpWorker> for Worker {
    fn from(worker: HttpWorker) -> Self {
        Self::Http(worker)
    }
}

impl From<GrpcWorker> for Worker {
    fn from(worker: GrpcWorker) -> Self {
        Self::Grpc(worker)
    }
}

impl Worker {
    fn serves(&self, model: &Model) -> bool {
        match self {
            Self::Local(worker) => worker.serves(model),
            Self::Http(worker) => worker.name_of(model).is_some(),
            Self::Grpc(worker) => worker.name_of(model).is_some(),
        }
    }

    async fn infer(&self, call: Call) -> Result<Tensor, Failure> {
        match self {
            Self::Local(worker) => worker.infer(call).await,
            Self::Http(worker) => worker.infer(call).await,
            Self::Grpc(worker) => worker.infer(call).await,
        }
    }
}

/// Why a task failed, and whether its query is to blame.
struct Failure {
    reason: String,
    refused: bool,
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self {
            reason,
            refused: false,
        }
    }
}

/// A pool of workers of any kind. Clones share them.
#[derive(Clone, Debug)]
pub struct Pool {
    workers: Arc<Vec<Worker>>,
    timeout: Duration,
}

impl Pool {
    /// A pool of these workers, with a timeout of 30 s per task.
    #[must_use]
    pub fn new(workers: Vec<Worker>) -> Self {
        Self {
            workers: Arc::new(workers),
            timeout: Duration::from_secs(30),
        }
    }

    /// The timeout of a task: a worker that takes longer has failed.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl Backend for Pool {
    fn workers(&self) -> usize {
        self.workers.len()
    }

    fn serves(&self, worker: usize, model: &Model) -> bool {
        self.workers
            .get(worker)
            .is_some_and(|worker| worker.serves(model))
    }

    async fn infer(&self, worker: usize, call: Call) -> Result<Tensor, BackendError> {
        let failed = |failure: Failure| BackendError {
            worker,
            reason: failure.reason,
            refused: failure.refused,
        };
        let Some(found) = self.workers.get(worker) else {
            return Err(failed("no such worker".to_owned().into()));
        };
        // On a timeout the request is dropped, which cancels it where the transport can.
        match tokio::time::timeout(self.timeout, found.infer(call)).await {
            Ok(result) => result.map_err(failed),
            Err(_) => Err(failed(
                format!("no answer within {:?}", self.timeout).into(),
            )),
        }
    }
}

/// The names of the models on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelNames {
    /// The base model; `None` if the server has only others.
    pub base: Option<String>,
    /// Models for redundant tasks: name in the code, and name on the server.
    pub redundant: Vec<(String, String)>,
}

impl ModelNames {
    /// A server with the base model only.
    #[must_use]
    pub fn base(name: impl Into<String>) -> Self {
        Self {
            base: Some(name.into()),
            redundant: Vec::new(),
        }
    }

    /// The names on the server, that of the base model first.
    fn all(&self) -> impl Iterator<Item = &str> {
        let redundant = self.redundant.iter().map(|(_, name)| name.as_str());
        self.base.as_deref().into_iter().chain(redundant)
    }

    /// The name of a model on the server.
    fn of(&self, model: &Model) -> Option<&str> {
        match model {
            Model::Base => self.base.as_deref(),
            Model::Redundant(wanted) => {
                let mut known = self.redundant.iter();
                let found = known.find(|(name, _)| **name == **wanted);
                found.map(|(_, name)| name.as_str())
            }
        }
    }
}

/// The only output of a response.
fn only_output(response: InferResponse) -> Result<Tensor, String> {
    let mut outputs = response.outputs.into_iter();
    // More than one output would be ambiguous.
    match (outputs.next(), outputs.next()) {
        (Some(only), None) => Ok(only.tensor),
        _ => Err("expected a response with exactly one output".to_owned()),
    }
}

/// Reshapes the input to one row of the shape that the server declares, if it declares a fixed one.
fn row(input: &Tensor, shape: &[i64]) -> Result<Tensor, ProtocolError> {
    let mut row = shape.to_vec();
    // The batch dimension of a task is 1. Variable dimensions are taken from the input.
    if let Some(first) = row.first_mut() {
        *first = 1;
    }
    let shape = if row.iter().all(|&n| n > 0) {
        row
    } else {
        input.shape().iter().map(|&n| n as i64).collect()
    };
    crate::protocol::tensor("input", &shape, input.values().to_vec())
}
