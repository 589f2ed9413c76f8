//! What happens to tasks: who gets them, what their outputs mean for the group, and when it is over.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::code::{Model, Task};
use crate::tensor::Tensor;

use super::group::{Part, unless_it_panics};
use super::queue::{GroupId, Job};
use super::{
    Backend, BackendError, Call, HEDGING, Inner, LONGEST_REST, NOBODY, POLICY,
    ReconstructionPolicy, State,
};

impl<B: Backend> Inner<B> {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; if something did, the counts would still be sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes a group, and sends its redundant tasks.
    pub(super) fn close(self: &Arc<Self>, id: GroupId) {
        let inputs: Option<Arc<Vec<Tensor>>> = {
            let mut state = self.lock();
            let systematic = self.code.shape().systematic;
            let busy = systematic
                && !self.has_other_workers
                && state.queue.queries.len() > self.settings.shed_above;
            let never = systematic && self.settings.policy == ReconstructionPolicy::Never;
            let mut counted = state.statistics;
            let Some(group) = state.groups.get_mut(&id) else {
                return;
            };
            let inputs = group.close(&mut counted);
            let spared = inputs.is_some() && (busy || never);
            if spared {
                group.encoded([]);
            }
            state.statistics = counted;
            if spared {
                state.statistics.shed += u64::from(!never);
                self.settle(&mut state, id);
                None
            } else if inputs.is_none() {
                self.settle(&mut state, id);
                None
            } else {
                inputs
            }
        };
        let Some(inputs) = inputs else {
            return;
        };
        // Encoding happens without the lock: an encoder may take as long as an inference.
        let begin = std::time::Instant::now();
        let tasks = unless_it_panics(|| self.code.encode(&inputs));
        let mut state = self.lock();
        state.coding.encoding += begin.elapsed();
        state.coding.encoded += 1;
        state.statistics.uncoded += u64::from(!matches!(tasks, Some(Ok(_))));
        let Some(group) = state.groups.get_mut(&id) else {
            return;
        };
        match tasks {
            Some(Ok(tasks)) => {
                group.encoded(tasks.iter().map(|task| task.slot));
                let systematic = self.code.shape().systematic;
                // Without its mixtures a group has no answers; without a parity it may have all.
                let deadline = group.deadline().filter(|_| !systematic);
                for Task { slot, model, input } in tasks {
                    let job = Job {
                        group: id,
                        slot,
                        call: Call {
                            model,
                            input,
                            trace: None,
                        },
                        is_redundant: systematic,
                        is_urgent: false,
                        deadline,
                    };
                    if systematic {
                        state.queue.redundant.push_back(job);
                    } else {
                        state.queue.queries.push_back(job);
                    }
                }
                // Meanwhile all of its answers may have come.
                self.settle(&mut state, id);
                self.dispatch(&mut state);
            }
            // Without redundant tasks, or lost, when there are no others.
            None => group.encoded([]),
            Some(Err(error)) => {
                group.encoded([]);
                if !self.code.shape().systematic {
                    let mut counted = state.statistics;
                    if let Some(group) = state.groups.get_mut(&id) {
                        group.refuse(error, &mut counted);
                    }
                    state.statistics = counted;
                }
            }
        }
        self.settle(&mut state, id);
    }

    /// Gives tasks to idle workers.
    pub(super) fn dispatch(self: &Arc<Self>, state: &mut State) {
        let serves = |worker: usize, model: &Model| self.backend.serves(worker, model);
        let now = Instant::now();
        loop {
            let State { queue, groups, .. } = state;
            let part = |worker: usize, group: GroupId| {
                groups.get(&group).map_or(Part::None, |g| g.part(worker))
            };
            let next = queue
                .next_redundant(true, serves, part)
                .or_else(|| queue.next_query(serves))
                .or_else(|| queue.next_redundant(false, serves, part));
            let Some((worker, job)) = next else {
                return;
            };
            // Nobody waits for it any more, and no group needs it.
            let group = groups.get(&job.group);
            let is_needed = group.is_some_and(|group| group.is_needed(job.slot));
            let is_needless = self.code.shape().systematic && !job.is_redundant && !is_needed;
            if is_needless || job.deadline.is_some_and(|deadline| deadline <= now) {
                queue.idle.push_front(worker);
                self.finish(state, job.group, job.slot, NOBODY, None);
                continue;
            }
            state.statistics.tasks += 1;
            state.statistics.redundant += u64::from(job.is_redundant);
            if let Some(group) = state.groups.get_mut(&job.group) {
                group.given_to(worker);
            }
            let inner = Arc::clone(self);
            tokio::spawn(async move { inner.run(worker, job).await });
        }
    }

    /// Takes queries out of the queue whose clients have gone.
    pub(super) fn purge(self: &Arc<Self>, state: &mut State) {
        let State { queue, groups, .. } = &mut *state;
        let mut gone = Vec::new();
        let systematic = self.code.shape().systematic;
        queue.queries.retain(|job| {
            // A mixture serves all clients of its group.
            let stays = groups.get(&job.group).is_some_and(|group| {
                group.is_wanted(job.slot) || (!systematic && group.waiting() > 0)
            });
            if !stays {
                gone.push((job.group, job.slot));
            }
            stays
        });
        for (group, slot) in gone {
            self.finish(state, group, slot, NOBODY, None);
        }
    }

    /// The output of a worker; a panic of the backend is a failure of the worker.
    async fn ask(&self, worker: usize, call: Call) -> Result<Tensor, BackendError> {
        let mut infer = pin!(async { self.backend.infer(worker, call).await });
        // Not polled again after a panic.
        poll_fn(|context| {
            unless_it_panics(|| infer.as_mut().poll(context)).unwrap_or_else(|| {
                Poll::Ready(Err(BackendError {
                    worker,
                    reason: "the backend panicked".to_owned(),
                    refused: false,
                }))
            })
        })
        .await
    }

    /// Has a worker answer a task.
    async fn run(self: Arc<Self>, worker: usize, job: Job) {
        let mut output = self.ask(worker, job.call).await;
        let is_finite = output.as_ref().map_or(true, Tensor::is_finite);
        if !is_finite && self.code.shape().stragglers == 0 {
            // No other output can make up for it, and another worker would answer the same.
            output = Err(BackendError {
                worker,
                reason: "the model's answer is not finite".to_owned(),
                refused: true,
            });
        }
        let refused = match &output {
            Err(error) if error.refused => Some(error.reason.clone()),
            _ => None,
        };
        let failed = output.is_err() && refused.is_none();
        let rest = {
            let mut state = self.lock();
            state.statistics.failures += u64::from(failed || !is_finite);
            let rest = if failed {
                let failures = state.failures[worker].min(16);
                state.failures[worker] += 1;
                let rest = self.settings.rest.saturating_mul(2_u32.pow(failures));
                rest.min(LONGEST_REST)
            } else {
                state.failures[worker] = 0;
                Duration::ZERO
            };
            if rest.is_zero() {
                state.queue.idle.push_back(worker);
            } else {
                state.resting[worker] = true;
            }
            if let Some(reason) = refused
                && !job.is_redundant
                && self.code.shape().systematic
            {
                let mut counted = state.statistics;
                if let Some(group) = state.groups.get_mut(&job.group) {
                    group.refused(job.slot, reason, &mut counted);
                }
                state.statistics = counted;
            }
            self.finish(
                &mut state,
                job.group,
                job.slot,
                worker,
                output.ok().filter(Tensor::is_finite),
            );
            if failed {
                // Redundant tasks may have waited for this worker alone.
                let mut groups: Vec<GroupId> =
                    state.queue.redundant.iter().map(|job| job.group).collect();
                groups.dedup();
                for group in groups {
                    self.settle(&mut state, group);
                }
            }
            self.dispatch(&mut state);
            rest
        };
        if !rest.is_zero() {
            sleep(rest).await;
            let mut state = self.lock();
            state.resting[worker] = false;
            state.queue.idle.push_back(worker);
            self.dispatch(&mut state);
        }
    }

    /// Takes in what became of a task.
    fn finish(
        self: &Arc<Self>,
        state: &mut State,
        id: GroupId,
        slot: usize,
        worker: usize,
        output: Option<Tensor>,
    ) {
        let mut counted = state.statistics;
        if let Some(group) = state.groups.get_mut(&id) {
            if output.is_some()
                && let Some(age) = group.age(slot, Instant::now())
            {
                state.latencies.add(age);
            }
            group.arrive(slot, worker, output, &mut counted);
        }
        state.statistics = counted;
        self.settle(state, id);
    }

    /// Gives out what can be reconstructed, takes back what nobody needs, and forgets a group that is
    /// over.
    pub(super) fn settle(self: &Arc<Self>, state: &mut State, id: GroupId) {
        let State {
            queue,
            groups,
            statistics,
            coding,
            latencies,
            retries,
            hedges,
            resting,
            ..
        } = state;
        let Some(group) = groups.get_mut(&id) else {
            return;
        };
        let now = Instant::now();
        let delay = match self.settings.policy {
            ReconstructionPolicy::FirstWins => Some(Duration::ZERO),
            ReconstructionPolicy::AfterDelay(delay) => Some(delay),
            ReconstructionPolicy::AfterQuantile(_) => {
                Some(latencies.quantile(POLICY).unwrap_or_default())
            }
            ReconstructionPolicy::Never => None,
        };
        let begin = std::time::Instant::now();
        let before = statistics.reconstructed;
        let later = group.recover(delay, self.settings.least_margin, now, statistics);
        if statistics.reconstructed > before {
            coding.decoding += begin.elapsed();
            coding.decoded += statistics.reconstructed - before;
        }
        // A redundant task that nobody can take is no hope for what has failed.
        let has_failed = group.has_failed();
        let can_take = |worker: usize, job: &Job| {
            self.backend.serves(worker, &job.call.model) && group.part(worker) < Part::Failed
        };
        let hopeless = queue.cancel(id, |job| {
            let mut able = (0..resting.len()).filter(|&worker| can_take(worker, job));
            // A hedge whose answer has come is needless.
            group.has_arrived(job.slot) || !able.any(|worker| !(has_failed && resting[worker]))
        });
        statistics.cancelled += hopeless.len() as u64;
        for slot in hopeless {
            group.cancelled(slot);
        }
        let reconstructs = self.settings.policy != ReconstructionPolicy::Never;
        if has_failed {
            queue.hurry(id);
        }
        let (copies, late) = group.copies(latencies.quantile(HEDGING), reconstructs, now);
        let mut copied = false;
        for (slot, is_retry) in copies {
            let budget = if is_retry {
                &mut *retries
            } else {
                &mut *hedges
            };
            if !budget.spend() {
                continue;
            }
            let Some(copy) = group.send_again(slot, is_retry) else {
                continue;
            };
            copied = true;
            let job = Job {
                group: id,
                slot,
                call: Call {
                    model: Model::Base,
                    input: copy.input,
                    trace: copy.trace,
                },
                is_redundant: !is_retry,
                is_urgent: false,
                deadline: copy.deadline,
            };
            if is_retry {
                statistics.retries += 1;
                queue.queries.push_front(job);
            } else {
                statistics.hedges += 1;
                queue.redundant.push_front(job);
            }
        }
        if group.waiting() == 0 {
            let mut cancelled = queue.cancel(id, |_| true);
            statistics.cancelled += cancelled.len() as u64;
            if !self.code.shape().systematic {
                cancelled.extend(queue.cancel_queries(id));
            }
            for slot in cancelled {
                group.cancelled(slot);
            }
        }
        if group.is_over() {
            group.give_up(now, statistics);
            groups.remove(&id);
        } else if let Some(later) = later.into_iter().chain(late).min()
            && group.wakes_at(now + later, now)
        {
            self.settle_after(later, id);
        }
        if copied {
            self.dispatch(state);
        }
    }

    /// Looks at a group again after some time.
    pub(super) fn settle_after(self: &Arc<Self>, later: Duration, id: GroupId) {
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            sleep(later).await;
            let mut state = inner.lock();
            inner.settle(&mut state, id);
        });
    }
}
