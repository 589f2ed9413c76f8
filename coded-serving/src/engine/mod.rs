//! The serving engine: schedules the queries of clients, and the redundant tasks of a code, on a pool of
//! workers.
//!
//! The queries of a systematic code are dispatched at once; none waits for a group to fill. A group is
//! closed and encoded when it is full, or when its first query is as old as
//! [`max_batch_delay`](EngineBuilder::max_batch_delay). Redundant tasks wait behind all queries. They go
//! only to workers with no running task of the group, preferring workers that never had one. As soon as
//! enough outputs have arrived, missing answers are reconstructed, released as the
//! [`ReconstructionPolicy`] allows, and marked as reconstructed. A direct output that still arrives is
//! compared with the released answer: [`Statistics::agreed`].
//!
//! A client deadline drops tasks that have not started. It is not passed to workers: a running task may
//! still help its group.
//!
//! Time is tokio's: with a paused clock the same engine runs in virtual time.
//!
//! ```
//! use std::sync::Arc;
//! use septet_coded_serving::code::{Model, Replication};
//! use septet_coded_serving::engine::{Backend, BackendError, Call, Engine, Query};
//! use septet_coded_serving::Tensor;
//!
//! /// Three workers that double numbers; the first is dead.
//! #[derive(Clone)]
//! struct Doubling;
//!
//! impl Backend for Doubling {
//!     fn workers(&self) -> usize { 3 }
//!     fn serves(&self, _: usize, _: &Model) -> bool { true }
//!     async fn infer(&self, worker: usize, call: Call) -> Result<Tensor, BackendError> {
//!         if worker == 0 {
//!             return Err(BackendError { worker, reason: "dead".to_owned(), refused: false });
//!         }
//!         Ok(Tensor::vector(call.input.values().iter().map(|x| 2.0 * x).collect()))
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let code = Arc::new(Replication::new(1, 1)?);
//! let engine = Engine::builder(code, Doubling).build()?;
//! // The query goes to the dead worker, its copy to another one.
//! let answer = engine.predict(Query::new(Tensor::vector(vec![21.0]))).await?;
//! assert_eq!(answer.output.values(), [42.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backend;
mod budget;
mod group;
mod latencies;
mod prediction;
mod queue;
mod settings;
mod statistics;
mod tasks;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

pub use backend::{Backend, BackendError, Call};
pub use prediction::{Prediction, Provenance, Query, ReconstructionPolicy, ServeError};
pub use settings::BuildError;
pub use statistics::{CodingTime, Statistics};

use crate::code::policy::Hedging;
use crate::code::{Code, Model};
use crate::error::CodeError;

use budget::Budget;
use group::Group;
use latencies::Latencies;
use queue::{GroupId, Job, Queue};
use settings::Settings;

/// The maximum cooldown of a worker after consecutive failures.
const MAX_COOLDOWN: Duration = Duration::from_secs(10);

/// The largest absolute value in a query that a code may sum with others: `f32::MAX / 2^20` leaves room for
/// the weighted sums of a group.
const MAX_VALUE: f32 = f32::MAX / 1_048_576.0;

/// Indices of the two latency quantiles.
const POLICY: usize = 0;
const HEDGING: usize = 1;

/// Builder for [`Engine`].
#[derive(Debug)]
pub struct EngineBuilder<B> {
    code: Arc<dyn Code>,
    backend: B,
    settings: Settings,
}

impl<B: Backend> EngineBuilder<B> {
    /// When reconstructed answers are released [default: as soon as they can be reconstructed].
    #[must_use]
    pub fn policy(mut self, policy: ReconstructionPolicy) -> Self {
        self.settings.policy = policy;
        self
    }

    /// The maximum time that a group stays open after its first query [default: 2 ms]. With a systematic
    /// code it delays only the redundant tasks.
    #[must_use]
    pub fn max_batch_delay(mut self, delay: Duration) -> Self {
        self.settings.max_batch_delay = delay;
        self
    }

    /// The maximum number of queued queries; more are rejected [default: 16 per worker]. At least 1.
    #[must_use]
    pub fn max_queue_len(mut self, queries: usize) -> Self {
        self.settings.max_queue_len = queries;
        self
    }

    /// With more than this many queued queries, groups get no redundant tasks [default: half the number of
    /// workers].
    #[must_use]
    pub fn shed_above(mut self, queries: usize) -> Self {
        self.settings.shed_above = queries;
        self
    }

    /// How long a worker gets no task after a failure. Doubles with each consecutive failure, up to 10 s
    /// [default: 100 ms].
    #[must_use]
    pub fn failure_cooldown(mut self, cooldown: Duration) -> Self {
        self.settings.failure_cooldown = cooldown;
        self
    }

    /// Withholds reconstructed answers whose largest output exceeds the second largest by less than this
    /// [default: 0, none]. A finite number, at least 0.
    ///
    /// The query then waits for its worker, and is retried if that fails.
    #[must_use]
    pub fn min_margin(mut self, margin: f32) -> Self {
        self.settings.min_margin = margin;
        self
    }

    /// The maximum number of retries per query, on average [default: 0.1]. From 0 to 3.
    ///
    /// Only failed queries that the code cannot reconstruct are retried, each at most three times. The
    /// budget keeps a half-dead pool from being flooded.
    #[must_use]
    pub fn retry_budget(mut self, ratio: f64) -> Self {
        self.settings.retry_budget = ratio;
        self
    }

    /// Sends late queries a second time, within a budget [default: off].
    #[must_use]
    pub fn hedging(mut self, hedging: Hedging) -> Self {
        self.settings.hedging = Some(hedging);
        self
    }

    /// Builds the engine.
    ///
    /// # Errors
    ///
    /// When a setting is outside its range.
    pub fn build(self) -> Result<Engine<B>, BuildError> {
        self.settings.check()?;
        let workers = self.backend.workers();
        // Such workers run parities without taking time from queries, so load is no reason to shed them.
        let has_other_workers = (0..workers).any(|w| !self.backend.serves(w, &Model::Base));
        Ok(Engine(Arc::new(Inner {
            has_other_workers,
            name: self.code.name().into(),
            code: self.code,
            settings: self.settings,
            state: Mutex::new(State {
                queue: Queue::new(workers),
                failures: vec![0; workers],
                cooling_down: vec![false; workers],
                groups: HashMap::new(),
                open: HashMap::new(),
                next: 0,
                draining: false,
                flushing: false,
                statistics: Statistics::default(),
                coding: CodingTime::default(),
                latencies: Latencies::new(self.settings.quantiles()),
                retries: Budget::new(self.settings.retry_budget),
                hedges: Budget::new(self.settings.hedging.map_or(0.0, Hedging::budget)),
            }),
            backend: self.backend,
        })))
    }
}

/// Serves queries through a code. Clones share the engine. Needs a tokio runtime with timers.
#[derive(Clone, Debug)]
pub struct Engine<B>(Arc<Inner<B>>);

#[derive(Debug)]
struct Inner<B> {
    code: Arc<dyn Code>,
    name: Arc<str>,
    backend: B,
    settings: Settings,
    /// Whether some workers serve only redundant tasks.
    has_other_workers: bool,
    state: Mutex<State>,
}

/// Receives the result of a query.
type Answer = oneshot::Receiver<Result<Prediction, ServeError>>;

/// The answer to an admitted query. Cancels the query when dropped.
struct PendingAnswer<B: Backend> {
    answer: Option<Answer>,
    inner: Arc<Inner<B>>,
    group: GroupId,
    timeout: Option<Duration>,
    deadline: Option<Instant>,
}

impl<B: Backend> PendingAnswer<B> {
    /// Waits for the answer until the deadline.
    async fn answer(mut self) -> Result<Prediction, ServeError> {
        let Some(answer) = &mut self.answer else {
            return Err(ServeError::ShuttingDown);
        };
        let answer = match self.deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, answer).await,
            None => Ok(answer.await),
        };
        match answer {
            Ok(answer) => answer.unwrap_or(Err(ServeError::ShuttingDown)),
            // The timer has expired before the answer came.
            Err(_) => Err(ServeError::DeadlineExceeded(
                self.timeout.unwrap_or_default(),
            )),
        }
    }
}

impl<B: Backend> Drop for PendingAnswer<B> {
    fn drop(&mut self) {
        let Some(mut answer) = self.answer.take() else {
            return;
        };
        // Settling matters only if the group has not answered yet: it may have lost its last client.
        let is_answered = !matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        drop(answer);
        if !is_answered {
            let mut state = self.inner.lock();
            self.inner.settle(&mut state, self.group);
        }
    }
}

/// The mutable state. Its lock is held for microseconds, never across an await.
#[derive(Debug)]
struct State {
    queue: Queue,
    /// Consecutive failures, by worker.
    failures: Vec<u32>,
    /// Whether a worker is in cooldown, by worker.
    cooling_down: Vec<bool>,
    groups: HashMap<GroupId, Group>,
    /// The group that accepts queries of a shape: only tensors of one shape can be summed.
    open: HashMap<Vec<usize>, GroupId>,
    next: GroupId,
    draining: bool,
    flushing: bool,
    statistics: Statistics,
    coding: CodingTime,
    latencies: Latencies,
    retries: Budget,
    hedges: Budget,
}

impl<B: Backend> Engine<B> {
    /// A builder with default settings.
    #[must_use]
    pub fn builder(code: Arc<dyn Code>, backend: B) -> EngineBuilder<B> {
        let workers = backend.workers();
        EngineBuilder {
            code,
            backend,
            settings: Settings::new(workers),
        }
    }

    /// Answers a query.
    ///
    /// Dropping the future cancels the query; if a worker is already running it, its output still helps its
    /// group.
    ///
    /// # Errors
    ///
    /// When the input is not finite, the queue is full, the engine is draining, the timeout expires, or too
    /// many workers of the group fail.
    pub async fn predict(&self, query: Query) -> Result<Prediction, ServeError> {
        self.validate(&query)?;
        let waiting = {
            let mut state = self.0.lock();
            self.check_capacity(&mut state, 1)?;
            self.admit(&mut state, query)
        };
        waiting.answer().await
    }

    /// Answers several queries, in their order. Admits all queries or none; the first error fails the whole
    /// call.
    ///
    /// # Errors
    ///
    /// As [`predict`](Self::predict).
    pub async fn predict_all(&self, queries: Vec<Query>) -> Result<Vec<Prediction>, ServeError> {
        queries.iter().try_for_each(|query| self.validate(query))?;
        // Declared before the lock is taken: dropping a pending answer takes the lock.
        let mut waiting: Vec<PendingAnswer<B>> = Vec::with_capacity(queries.len());
        {
            let mut state = self.0.lock();
            self.check_capacity(&mut state, queries.len())?;
            for query in queries {
                waiting.push(self.admit(&mut state, query));
            }
        }
        let mut answers = Vec::with_capacity(waiting.len());
        for waiting in waiting {
            answers.push(waiting.answer().await?);
        }
        Ok(answers)
    }

    /// Rejects queries that no output could answer.
    fn validate(&self, query: &Query) -> Result<(), ServeError> {
        if !query.input.is_finite() {
            return Err(ServeError::InvalidInput(CodeError::NotFinite {
                what: "query",
                index: 0,
            }));
        }
        let (shape, is_exact) = (self.0.code.shape(), self.0.code.is_exact());
        // An overflowing sum would cost the other queries of the group their redundancy.
        let is_summed = shape.tasks > shape.queries && !is_exact;
        // No early exit, so that the loop vectorizes.
        let is_huge = |huge: bool, x: &f32| huge | (x.abs() > MAX_VALUE);
        if is_summed && query.input.values().iter().fold(false, is_huge) {
            return Err(ServeError::InvalidInput(CodeError::Overflow {
                what: "query",
            }));
        }
        if !(query.accepts_reconstruction || shape.systematic || is_exact) {
            return Err(ServeError::OnlyApproximate(Arc::clone(&self.0.name)));
        }
        Ok(())
    }

    /// Checks capacity for `queries` more.
    fn check_capacity(&self, state: &mut State, queries: usize) -> Result<(), ServeError> {
        let inner = &self.0;
        if state.draining {
            state.statistics.rejected += queries as u64;
            return Err(ServeError::ShuttingDown);
        }
        let max = inner.settings.max_queue_len;
        let has_room = |state: &State| {
            let waiting = state.queue.queries.len();
            // Of several queries, those that idle workers start at once need no place in the queue.
            let takes_queries = |worker: usize| inner.backend.serves(worker, &Model::Base);
            let idle = state.queue.idle.iter().filter(|&&w| takes_queries(w));
            let starting = if queries > 1 { idle.count() } else { 0 };
            waiting < max && queries <= (max - waiting).saturating_add(starting)
        };
        // Queries whose clients are gone may be blocking the queue.
        if !has_room(state) {
            inner.purge(state);
        }
        if has_room(state) {
            return Ok(());
        }
        state.statistics.rejected += queries as u64;
        let waiting = state.queue.queries.len();
        Err(ServeError::Overloaded { waiting })
    }

    /// Adds a query to the open group of its shape and dispatches it.
    fn admit(&self, state: &mut State, query: Query) -> PendingAnswer<B> {
        let inner = &self.0;
        let now = Instant::now();
        state.statistics.accepted += 1;
        state.retries.deposit();
        state.hedges.deposit();
        // Find the open group, or open one.
        let shape = query.input.shape().to_vec();
        let (id, is_new) = match state.open.get(&shape) {
            Some(&id) => (id, false),
            None => (state.next, true),
        };
        if is_new {
            state.next += 1;
            state.open.insert(shape.clone(), id);
        }
        let deadline = query.timeout.and_then(|timeout| now.checked_add(timeout));
        // A systematic code sends the query itself; others wait for the mixtures of the whole group.
        let systematic = inner.code.shape().systematic;
        let call = systematic.then(|| Call {
            model: Model::Base,
            input: query.input.clone(),
            trace: query.trace.clone(),
        });
        let (reply, answer) = oneshot::channel();
        let timeout = query.timeout;
        let group = state
            .groups
            .entry(id)
            .or_insert_with(|| Group::new(Arc::clone(&inner.code), Arc::clone(&inner.name)));
        let (slot, is_full) = group.join(query, now, reply);
        if let Some(call) = call {
            state.queue.queries.push_back(Job {
                group: id,
                slot,
                call,
                is_redundant: false,
                is_urgent: false,
                deadline,
            });
        }
        if is_full {
            state.open.remove(&shape);
        }
        inner.dispatch(state);
        // The query becomes late after the hedging delay, unless an earlier wake-up sees to the group.
        if systematic
            && let Some(hedge) = state.latencies.quantile(HEDGING)
            && let Some(group) = state.groups.get_mut(&id)
            && group.schedule_wake(now + hedge, now)
        {
            inner.settle_after(hedge, id);
        }
        let delay = if state.flushing {
            Duration::ZERO
        } else {
            inner.settings.max_batch_delay
        };
        if is_full || is_new {
            // In a task of its own: the client that fills the group must not wait for the encoder.
            let inner = Arc::clone(inner);
            tokio::spawn(async move {
                if !is_full {
                    sleep(delay).await;
                    inner.lock().open.retain(|_, open| *open != id);
                }
                inner.close(id);
            });
        }
        PendingAnswer {
            answer: Some(answer),
            inner: Arc::clone(inner),
            group: id,
            timeout,
            deadline,
        }
    }

    /// Closes open groups, and from now on every group after its first query, so that no group waits for
    /// more queries before a shutdown. Queries are still accepted.
    pub fn flush(&self) {
        let open: Vec<GroupId> = {
            let mut state = self.0.lock();
            state.flushing = true;
            state.open.drain().map(|(_, id)| id).collect()
        };
        for id in open {
            self.0.close(id);
        }
    }

    /// Stops accepting queries, closes open groups, and waits for the pending answers, at most for `grace`.
    /// Returns the number of clients that are still waiting.
    pub async fn drain(&self, grace: Duration) -> usize {
        self.0.lock().draining = true;
        self.flush();
        let end = Instant::now().checked_add(grace);
        loop {
            let waiting: usize = self.0.lock().groups.values().map(Group::waiting).sum();
            if waiting == 0 || end.is_some_and(|end| Instant::now() >= end) {
                return waiting;
            }
            sleep(Duration::from_millis(1).min(grace)).await;
        }
    }

    /// The counters.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.0.lock().statistics
    }

    /// The time spent encoding and decoding.
    #[must_use]
    pub fn coding_time(&self) -> CodingTime {
        self.0.lock().coding
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> &dyn Code {
        self.0.code.as_ref()
    }

    /// The pool of workers.
    #[must_use]
    pub fn backend(&self) -> &B {
        &self.0.backend
    }

    /// The number of groups with a waiting client or an outstanding task.
    #[must_use]
    pub fn active_groups(&self) -> usize {
        self.0.lock().groups.len()
    }

    /// The number of queued queries.
    #[must_use]
    pub fn queue_len(&self) -> usize {
        self.0.lock().queue.queries.len()
    }

    /// The number of workers that are running a task.
    #[must_use]
    pub fn busy_workers(&self) -> usize {
        let state = self.0.lock();
        let cooling_down = state.cooling_down.iter().filter(|cools| **cools).count();
        let free = state.queue.idle.len() + cooling_down;
        self.0.backend.workers().saturating_sub(free)
    }

    /// The number of workers that get no task because of recent failures.
    #[must_use]
    pub fn workers_in_cooldown(&self) -> usize {
        let state = self.0.lock();
        state.cooling_down.iter().filter(|cools| **cools).count()
    }

    /// The maximum number of queries that an idle engine accepts at once: those that workers start, and a
    /// full queue.
    #[must_use]
    pub fn capacity(&self) -> usize {
        let inner = &self.0;
        let takes_queries = |&worker: &usize| inner.backend.serves(worker, &Model::Base);
        let starting = (0..inner.backend.workers()).filter(takes_queries).count();
        inner.settings.max_queue_len.saturating_add(starting)
    }
}
