//! Workers that straggle and fail on purpose.

use std::sync::{Arc, Mutex, PoisonError};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;
use tokio::time::sleep;

use crate::code::Model;
use crate::engine::{Backend, BackendError, Call};
use crate::load::Delay;
use crate::tensor::Tensor;

/// A pool whose workers are delayed, and fail, at random. A worker that is delayed is busy.
#[derive(Clone, Debug)]
pub struct Chaos<B> {
    backend: B,
    delay: Delay,
    failures: f64,
    rng: Arc<Mutex<ChaCha8Rng>>,
}

impl<B> Chaos<B> {
    /// Delays every answer by `delay`, and fails a share of them instead.
    #[must_use]
    pub fn new(backend: B, delay: Delay, failures: f64, seed: &SeedTree) -> Self {
        Self {
            backend,
            delay,
            failures,
            rng: Arc::new(Mutex::new(seed.rng())),
        }
    }
}

impl<B: Backend> Backend for Chaos<B> {
    fn workers(&self) -> usize {
        self.backend.workers()
    }

    fn serves(&self, worker: usize, model: &Model) -> bool {
        self.backend.serves(worker, model)
    }

    async fn infer(&self, worker: usize, call: Call) -> Result<Tensor, BackendError> {
        let (delay, fails) = {
            let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
            let delay = self.delay.sample(&mut *rng);
            (delay, rng.random_bool(self.failures.clamp(0.0, 1.0)))
        };
        if !delay.is_zero() {
            sleep(delay).await;
        }
        if fails {
            return Err(BackendError {
                worker,
                reason: "failed on purpose".to_owned(),
                refused: false,
            });
        }
        self.backend.infer(worker, call).await
    }
}
