//! Workers that only take time.

use std::sync::{Arc, Mutex, PoisonError};

use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;
use tokio::time::sleep;

use crate::code::Model;
use crate::engine::{Backend, BackendError, Call};
use crate::tensor::Tensor;

use super::{Delay, Shuffle};

/// A pool of workers that give their input back after some time: a linear model, for which any sum is
/// an exact parity. Each has every model.
#[derive(Clone, Debug)]
pub struct Synthetic {
    workers: usize,
    service: Delay,
    shuffle: Option<Arc<Mutex<Shuffle>>>,
    rng: Arc<Mutex<ChaCha8Rng>>,
}

impl Synthetic {
    /// Workers that take this time for a task.
    #[must_use]
    pub fn new(workers: usize, service: Delay, seed: &SeedTree) -> Self {
        Self {
            workers,
            service,
            shuffle: None,
            rng: Arc::new(Mutex::new(seed.child("service").rng())),
        }
    }

    /// Slows the workers in pairs besides.
    #[must_use]
    pub fn shuffled(mut self, shuffle: Shuffle) -> Self {
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
        let slowdown = self.shuffle.as_ref().map_or(1.0, |shuffle| {
            let mut shuffle = shuffle.lock().unwrap_or_else(PoisonError::into_inner);
            shuffle.slowdown(worker)
        });
        let time = {
            let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
            self.service.sample(&mut *rng)
        };
        sleep(time.mul_f64(slowdown)).await;
        Ok(call.input)
    }
}
