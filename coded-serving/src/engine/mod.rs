//! The engine: queries in, answers out, with a code between them and workers that fail.
//!
//! Queries of a systematic code go to a worker at once; nothing waits for a group to fill. A full
//! group, or one whose first query has waited for the fill deadline, is encoded, and its redundant
//! tasks are queued behind all queries, for workers that have no open task of the group, those
//! without any before others. When enough
//! outputs are here, missing answers are reconstructed as the [`ReconstructionPolicy`] allows, and
//! flagged. True answers that come later are compared with them: [`Statistics::agreed`].
//!
//! A deadline of a client keeps a task that has not begun from beginning, and is not handed to
//! workers: what one has begun to answer helps its group even when the client is gone.
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
//! let engine = Engine::builder(code, Doubling).build();
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
mod statistics;
mod tasks;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

pub use backend::{Backend, BackendError, Call};
pub use prediction::{Prediction, Provenance, Query, ReconstructionPolicy, ServeError};
pub use statistics::{CodingTime, Statistics};

use crate::code::policy::Hedging;
use crate::code::{Code, Model};
use crate::error::CodeError;

use budget::Budget;
use group::Group;
use latencies::Latencies;
use queue::{GroupId, Job, Queue};

/// In place of a worker, for tasks that none was given.
const NOBODY: usize = usize::MAX;

/// The longest that a worker rests after failures.
const LONGEST_REST: Duration = Duration::from_secs(10);

/// The largest value of a query that codes mix with others: a millionth of the largest number.
const LARGEST: f32 = f32::MAX / 1_048_576.0;

/// The places of the two quantiles of latency.
const POLICY: usize = 0;
const HEDGING: usize = 1;

/// Settings of an [`Engine`].
#[derive(Debug)]
pub struct EngineBuilder<B> {
    code: Arc<dyn Code>,
    backend: B,
    settings: Settings,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    policy: ReconstructionPolicy,
    fill: Duration,
    most_waiting: usize,
    shed_above: usize,
    rest: Duration,
    least_margin: f32,
    retries: f64,
    hedging: Option<Hedging>,
}

impl<B: Backend> EngineBuilder<B> {
    /// When reconstructed answers are given out [default: as soon as they can be made].
    #[must_use]
    pub fn policy(mut self, policy: ReconstructionPolicy) -> Self {
        self.settings.policy = policy;
        self
    }

    /// How long a group stays open after its first query [default: 2 ms].
    #[must_use]
    pub fn fill_deadline(mut self, deadline: Duration) -> Self {
        self.settings.fill = deadline;
        self
    }

    /// How many queries may wait for a worker before more are turned away [default: 16 for each
    /// worker].
    #[must_use]
    pub fn most_waiting(mut self, queries: usize) -> Self {
        self.settings.most_waiting = queries;
        self
    }

    /// With more waiting queries than this no redundant tasks are made [default: half of the number
    /// of workers].
    #[must_use]
    pub fn shed_above(mut self, queries: usize) -> Self {
        self.settings.shed_above = queries;
        self
    }

    /// How long a worker gets no task after it failed one; twice as long after each further failure
    /// in a row, up to 10 s [default: 100 ms].
    #[must_use]
    pub fn rest_after_failure(mut self, rest: Duration) -> Self {
        self.settings.rest = rest;
        self
    }

    /// Holds back reconstructed answers of which the largest output exceeds the second largest by less
    /// than this [default: 0, none is held back].
    ///
    /// A query whose reconstruction is held back waits for its worker, and is sent again when that
    /// fails.
    #[must_use]
    pub fn least_margin(mut self, margin: f32) -> Self {
        self.settings.least_margin = margin;
        self
    }

    /// How many failed queries are sent again, as a share of all queries [default: a tenth].
    ///
    /// Only what the code cannot make up for is sent again, each query three times at most. The
    /// share is what keeps a pool that is half dead from being flooded.
    #[must_use]
    pub fn retries(mut self, share: f64) -> Self {
        self.settings.retries = share;
        self
    }

    /// Sends late queries a second time, within the budget of `hedging` [default: none].
    #[must_use]
    pub fn hedging(mut self, hedging: Hedging) -> Self {
        self.settings.hedging = Some(hedging);
        self
    }

    /// The engine.
    #[must_use]
    pub fn build(self) -> Engine<B> {
        let workers = self.backend.workers();
        let has_other_workers = (0..workers).any(|w| !self.backend.serves(w, &Model::Base));
        Engine(Arc::new(Inner {
            has_other_workers,
            name: self.code.name().into(),
            code: self.code,
            settings: self.settings,
            state: Mutex::new(State {
                queue: Queue::new(workers),
                failures: vec![0; workers],
                resting: vec![false; workers],
                groups: HashMap::new(),
                open: HashMap::new(),
                next: 0,
                draining: false,
                flushing: false,
                statistics: Statistics::default(),
                coding: CodingTime::default(),
                latencies: Latencies::new(self.settings.quantiles()),
                retries: Budget::new(self.settings.retries),
                hedges: Budget::new(self.settings.hedging.map_or(0.0, Hedging::budget)),
            }),
            backend: self.backend,
        }))
    }
}

/// Serves queries through a code. Clones share the engine. Needs a tokio runtime with time.
#[derive(Clone, Debug)]
pub struct Engine<B>(Arc<Inner<B>>);

#[derive(Debug)]
struct Inner<B> {
    code: Arc<dyn Code>,
    name: Arc<str>,
    backend: B,
    settings: Settings,
    /// Whether some workers take redundant tasks alone.
    has_other_workers: bool,
    state: Mutex<State>,
}

/// What a client waits for.
type Answer = oneshot::Receiver<Result<Prediction, ServeError>>;

/// A client that waits. When it goes, its group may have nobody left to work for.
struct Leaving<B: Backend> {
    answer: Option<Answer>,
    inner: Arc<Inner<B>>,
    group: GroupId,
    patience: Option<Duration>,
    deadline: Option<Instant>,
}

impl<B: Backend> Leaving<B> {
    /// The answer, while the client has patience.
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
            Err(_) => Err(ServeError::DeadlineExceeded(
                self.patience.unwrap_or_default(),
            )),
        }
    }
}

impl<B: Backend> Drop for Leaving<B> {
    fn drop(&mut self) {
        let Some(mut answer) = self.answer.take() else {
            return;
        };
        // An answer that has come changes nothing for the group.
        let is_answered = !matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        drop(answer);
        if !is_answered {
            let mut state = self.inner.lock();
            self.inner.settle(&mut state, self.group);
        }
    }
}

/// All that changes. Held for microseconds, never across an await.
#[derive(Debug)]
struct State {
    queue: Queue,
    /// Failures in a row, by worker.
    failures: Vec<u32>,
    /// Which workers get no tasks for a while.
    resting: Vec<bool>,
    groups: HashMap<GroupId, Group>,
    /// The group that takes queries, by the shape of its queries.
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

impl Settings {
    /// The quantiles of latency that reconstruction and hedging wait for.
    fn quantiles(&self) -> [Option<f64>; 2] {
        let policy = match self.policy {
            ReconstructionPolicy::AfterQuantile(quantile) => Some(quantile),
            _ => None,
        };
        [policy, self.hedging.map(Hedging::quantile)]
    }
}

impl<B: Backend> Engine<B> {
    /// An engine with default settings, to be changed and built.
    #[must_use]
    pub fn builder(code: Arc<dyn Code>, backend: B) -> EngineBuilder<B> {
        let workers = backend.workers();
        EngineBuilder {
            code,
            backend,
            settings: Settings {
                policy: ReconstructionPolicy::default(),
                fill: Duration::from_millis(2),
                most_waiting: 16 * workers.max(1),
                shed_above: workers / 2,
                rest: Duration::from_millis(100),
                least_margin: 0.0,
                retries: 0.1,
                hedging: None,
            },
        }
    }

    /// Answers a query.
    ///
    /// A client that drops the future gives up its answer; the output still serves its group.
    ///
    /// # Errors
    ///
    /// When the input is not finite, too many queries wait, the engine is draining, the client's
    /// patience runs out, or too many workers of the group fail.
    pub async fn predict(&self, query: Query) -> Result<Prediction, ServeError> {
        self.check(&query)?;
        let waiting = {
            let mut state = self.0.lock();
            self.make_room(&mut state, 1)?;
            self.admit(&mut state, query)
        };
        waiting.answer().await
    }

    /// Answers several queries, or none: they are let in together or turned away together, and the first
    /// that fails fails all. Answers come in the order of the queries.
    ///
    /// # Errors
    ///
    /// As [`predict`](Self::predict).
    pub async fn predict_all(&self, queries: Vec<Query>) -> Result<Vec<Prediction>, ServeError> {
        queries.iter().try_for_each(|query| self.check(query))?;
        // Outlives the lock, which those that leave take.
        let mut waiting: Vec<Leaving<B>> = Vec::with_capacity(queries.len());
        {
            let mut state = self.0.lock();
            self.make_room(&mut state, queries.len())?;
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

    /// That a query can be answered at all.
    fn check(&self, query: &Query) -> Result<(), ServeError> {
        if !query.input.is_finite() {
            return Err(ServeError::InvalidInput(CodeError::NotFinite {
                what: "query",
                index: 0,
            }));
        }
        let (shape, is_exact) = (self.0.code.shape(), self.0.code.is_exact());
        // A sum of such queries may be infinite, at the cost of all others in the group.
        let is_summed = shape.tasks > shape.queries && !is_exact;
        // Without a branch, so that the loop is vectorised.
        let is_huge = |huge: bool, x: &f32| huge | (x.abs() > LARGEST);
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

    /// That so many queries can be let in.
    fn make_room(&self, state: &mut State, queries: usize) -> Result<(), ServeError> {
        let inner = &self.0;
        if state.draining {
            state.statistics.rejected += queries as u64;
            return Err(ServeError::ShuttingDown);
        }
        let most = inner.settings.most_waiting;
        let has_room = |state: &State| {
            let waiting = state.queue.queries.len();
            // Some of several begin at once.
            let takes_queries = |worker: usize| inner.backend.serves(worker, &Model::Base);
            let idle = state.queue.idle.iter().filter(|&&w| takes_queries(w));
            let begin = if queries > 1 { idle.count() } else { 0 };
            waiting < most && queries <= (most - waiting).saturating_add(begin)
        };
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

    /// Lets a query into a group.
    fn admit(&self, state: &mut State, query: Query) -> Leaving<B> {
        let inner = &self.0;
        let now = Instant::now();
        state.statistics.accepted += 1;
        state.retries.earn();
        state.hedges.earn();
        let shape = query.input.shape().to_vec();
        let (id, is_new) = match state.open.get(&shape) {
            Some(&id) => (id, false),
            None => (state.next, true),
        };
        if is_new {
            state.next += 1;
            state.open.insert(shape.clone(), id);
        }
        let deadline = query
            .patience
            .and_then(|patience| now.checked_add(patience));
        let systematic = inner.code.shape().systematic;
        let call = systematic.then(|| Call {
            model: Model::Base,
            input: query.input.clone(),
            trace: query.trace.clone(),
        });
        let (reply, answer) = oneshot::channel();
        let patience = query.patience;
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
        if systematic
            && let Some(hedge) = state.latencies.quantile(HEDGING)
            && let Some(group) = state.groups.get_mut(&id)
            && group.wakes_at(now + hedge, now)
        {
            inner.settle_after(hedge, id);
        }
        let fill = if state.flushing {
            Duration::ZERO
        } else {
            inner.settings.fill
        };
        if is_full || is_new {
            // The client whose query filled the group does not wait for the encoder.
            let inner = Arc::clone(inner);
            tokio::spawn(async move {
                if !is_full {
                    sleep(fill).await;
                    inner.lock().open.retain(|_, open| *open != id);
                }
                inner.close(id);
            });
        }
        Leaving {
            answer: Some(answer),
            inner: Arc::clone(inner),
            group: id,
            patience,
            deadline,
        }
    }

    /// Closes open groups at once, and from now on every group after its first query: before an end, no
    /// query waits for others. Queries are still taken.
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

    /// Takes no more queries, closes open groups at once, and waits until no client does or the time is
    /// up. How many clients still waited then.
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

    /// What was counted so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.0.lock().statistics
    }

    /// How much time encoding and decoding took so far.
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

    /// Groups with a client that waits or a task that runs.
    #[must_use]
    pub fn open_groups(&self) -> usize {
        self.0.lock().groups.len()
    }

    /// Queries that wait for a worker.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.lock().queue.queries.len()
    }

    /// Workers with a task.
    #[must_use]
    pub fn busy_workers(&self) -> usize {
        let state = self.0.lock();
        let resting = state.resting.iter().filter(|rests| **rests).count();
        let free = state.queue.idle.len() + resting;
        self.0.backend.workers().saturating_sub(free)
    }

    /// Workers that get no task for a while, because they have failed one.
    #[must_use]
    pub fn resting_workers(&self) -> usize {
        let state = self.0.lock();
        state.resting.iter().filter(|rests| **rests).count()
    }

    /// How many queries are let in at most, when nothing is to be done: as many as may wait, and as many
    /// as can begin.
    #[must_use]
    pub fn capacity(&self) -> usize {
        let inner = &self.0;
        let takes_queries = |&worker: &usize| inner.backend.serves(worker, &Model::Base);
        let begin = (0..inner.backend.workers()).filter(takes_queries).count();
        inner.settings.most_waiting.saturating_add(begin)
    }
}
