//! Fault injection.

use std::sync::{Arc, Mutex, PoisonError};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;
use tokio::time::sleep;

use crate::code::Model;
use crate::engine::{Backend, BackendError, Call};
use crate::load::{Delay, LoadError, check_probability};
use crate::tensor::Tensor;

/// Injects random delays and failures into a pool. A delayed worker is busy.
#[derive(Clone, Debug)]
pub struct Chaos<B> {
    backend: B,
    delay: Delay,
    failure_probability: f64,
    rng: Arc<Mutex<ChaCha8Rng>>,
}

impl<B> Chaos<B> {
    /// Delays every task by `delay`, and fails it with this probability.
    ///
    /// # Errors
    ///
    /// When the probability is not between 0 and 1.
    pub fn new(
        backend: B,
        delay: Delay,
        failure_probability: f64,
        seed: &SeedTree,
    ) -> Result<Self, LoadError> {
        check_probability("failure_probability", failure_probability)?;
        Ok(Self {
            backend,
            delay,
            failure_probability,
            rng: Arc::new(Mutex::new(seed.rng())),
        })
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
        // Both draws are made for every task, so that the failures do not depend on the delays.
        let (delay, fails) = {
            let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
            let delay = self.delay.sample(&mut *rng);
            (delay, rng.random_bool(self.failure_probability))
        };
        if !delay.is_zero() {
            sleep(delay).await;
        }
        if fails {
            return Err(BackendError {
                worker,
                reason: "injected failure".to_owned(),
                refused: false,
            });
        }
        self.backend.infer(worker, call).await
    }
}
