//! The engine in virtual time: workers that straggle, fail and lie idle.

#![expect(clippy::unwrap_used, reason = "what fails in a test is its message")]

mod bugs;
mod clients;
mod reconstruction;
mod retries;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngCore;
use septet_coded_serving::CodeError;
use septet_coded_serving::Tensor;
use septet_coded_serving::code::policy::Hedging;
use septet_coded_serving::code::{
    Code, Cost, Decoded, Inference, Interpolation, InvNet, MixedQueries, Model, Replication, Slots,
    Smoother, Task,
};
use septet_coded_serving::engine::{
    Backend, BackendError, Call, Engine, Provenance, Query, ReconstructionPolicy, ServeError,
};
use septet_core::seed::SeedTree;
use tokio::time::{Instant, sleep};

const SERVICE: Duration = Duration::from_millis(20);

/// What a worker does with a task.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Answers(Duration),
    Fails,
    FailsAfter(Duration),
}

/// A pool with a linear model, for which the mean of the queries is an exact parity.
#[derive(Clone)]
struct Pool {
    workers: usize,
    fate: Arc<dyn Fn(usize, u64) -> Fate + Send + Sync>,
    /// Tasks so far, by worker, and who was given what.
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    tasks: HashMap<usize, u64>,
    given: Vec<(Vec<f32>, usize)>,
    running: HashMap<usize, usize>,
}

impl Pool {
    fn new(workers: usize, fate: impl Fn(usize, u64) -> Fate + Send + Sync + 'static) -> Self {
        Self {
            workers,
            fate: Arc::new(fate),
            log: Arc::default(),
        }
    }
}

fn model(input: &Tensor) -> Tensor {
    let sum: f32 = input.values().iter().sum();
    Tensor::vector(vec![sum, -sum])
}

impl Backend for Pool {
    fn workers(&self) -> usize {
        self.workers
    }

    fn serves(&self, _: usize, _: &Model) -> bool {
        true
    }

    async fn infer(&self, worker: usize, call: Call) -> Result<Tensor, BackendError> {
        let input = call.input;
        assert_eq!(call.model, Model::Base);
        let fate = {
            let mut log = self.log.lock().unwrap();
            log.given.push((input.values().to_vec(), worker));
            let running = log.running.entry(worker).or_default();
            *running += 1;
            assert_eq!(*running, 1, "worker {worker} has two tasks");
            let count = log.tasks.entry(worker).or_default();
            *count += 1;
            (self.fate)(worker, *count - 1)
        };
        let result = match fate {
            Fate::Answers(time) => {
                sleep(time).await;
                Ok(model(&input))
            }
            Fate::Fails | Fate::FailsAfter(_) => {
                let time = match fate {
                    Fate::FailsAfter(time) => time,
                    _ => Duration::from_millis(1),
                };
                sleep(time).await;
                Err(BackendError {
                    worker,
                    reason: "dead".to_owned(),
                    refused: false,
                })
            }
        };
        *self.log.lock().unwrap().running.get_mut(&worker).unwrap() -= 1;
        result
    }
}

fn parity(queries: usize) -> Arc<dyn Code> {
    Arc::new(InvNet::new(queries, 1, MixedQueries).unwrap())
}

fn query(number: f32) -> Query {
    Query::new(Tensor::vector(vec![number, 1.0]))
}

/// Sends one query for each number at once.
async fn all(
    engine: &Engine<Pool>,
    queries: Vec<Query>,
) -> Vec<Result<septet_coded_serving::engine::Prediction, ServeError>> {
    let tasks: Vec<_> = queries
        .into_iter()
        .map(|query| {
            let engine = engine.clone();
            tokio::spawn(async move { engine.predict(query).await })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

/// Lets late outputs come in.
async fn settle() {
    sleep(Duration::from_secs(60)).await;
}
