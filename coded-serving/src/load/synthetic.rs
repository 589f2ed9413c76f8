//! Simulated workers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;
use tokio::time::sleep;

use crate::code::Model;
use crate::engine::{Backend, BackendError, Call};
use crate::tensor::Tensor;

use super::{Delay, Shuffle};

/// A pool of workers that return their input after a service time: a linear model, for which any weighted sum
/// of queries is an exact parity. Every worker serves every model.
#[derive(Clone, Debug)]
pub struct Synthetic {
    workers: usize,
    service: Delay,
    shuffle: Option<Arc<Mutex<Shuffle>>>,
    rng: Arc<Mutex<ChaCha8Rng>>,
}

impl Synthetic {
    /// A pool of `workers` with this service time.
    #[must_use]
    pub fn new(workers: usize, service: Delay, seed: &SeedTree) -> Self {
        Self {
            workers,
            service,
            shuffle: None,
            rng: Arc::new(Mutex::new(seed.child("service").rng())),
        }
    }

    /// Adds background transfers.
    #[must_use]
    pub fn with_shuffle(mut self, shuffle: Shuffle) -> Self {
        self.shuffle = Some(Arc::new(Mutex::new(shuffle)));
        self
    }
}

impl Backend for Synthetic {
    fn workers(&self) -> usize {
        self.workers
    }

    fn serves(&self, _: usize, _: &Model) -> bool {
        true
    }

    async fn infer(&self, worker: usize, call: Call) -> Result<Tensor, BackendError> {
        // The slowdown at the start of a task holds for the whole task.
        let slowdown = self.shuffle.as_ref().map_or(1.0, |shuffle| {
            let mut shuffle = shuffle.lock().unwrap_or_else(PoisonError::into_inner);
            shuffle.slowdown(worker)
        });
        let time = {
            let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
            self.service.sample(&mut *rng)
        };
        let time = Duration::try_from_secs_f64(time.as_secs_f64() * slowdown);
        sleep(time.unwrap_or(Duration::MAX)).await;
        Ok(call.input)
    }
}
