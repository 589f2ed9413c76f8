//! What happens to tasks: who gets them, what their outputs mean for the group, and when it is over.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::code::{Model, Task};
use crate::tensor::Tensor;

use super::group::{WorkerStatus, catch_panic};
use super::queue::{GroupId, Job};
use super::{
    Backend, BackendError, Call, HEDGING, Inner, MAX_COOLDOWN, POLICY, ReconstructionPolicy, State,
};

impl<B: Backend> Inner<B> {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held; if something did, the state would still be consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes a group, encodes it and queues its redundant tasks.
    pub(super) fn close(self: &Arc<Self>, id: GroupId) {
        let inputs: Option<Arc<Vec<Tensor>>> = {
            let mut state = self.lock();
            let systematic = self.code.shape().systematic;
            // Under load, parities would delay queries: shed them. Workers that serve no queries are no reason to.
            let busy = systematic
                && !self.has_other_workers
                && state.queue.queries.len() > self.settings.shed_above;
            let never = systematic && self.settings.policy == ReconstructionPolicy::Never;
            let mut counted = state.statistics;
            let Some(group) = state.groups.get_mut(&id) else {
                return;
            };
            let inputs = group.close(&mut counted);
            let skip = inputs.is_some() && (busy || never);
            if skip {
                group.encoded([]);
            }
            state.statistics = counted;
            if skip {
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
        // Encode without the lock: an encoder may take as long as an inference.
        let begin = std::time::Instant::now();
        let tasks = catch_panic(|| self.code.encode(&inputs));
        let mut state = self.lock();
        // The group may have ended meanwhile.
        state.coding.encoding += begin.elapsed();
        state.coding.encoded += 1;
        state.statistics.coding_failures += u64::from(!matches!(tasks, Some(Ok(_))));
        let Some(group) = state.groups.get_mut(&id) else {
            return;
        };
        match tasks {
            Some(Ok(tasks)) => {
                group.encoded(tasks.iter().map(|task| task.slot));
                let systematic = self.code.shape().systematic;
                // A parity may help until the group ends. Mixtures are useless once all clients have timed out.
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
                // All answers may have arrived while encoding: settle first, which cancels the tasks.
                self.settle(&mut state, id);
                self.dispatch(&mut state);
            }
            // The encoder panicked: the group has no redundancy, and without systematic tasks no answers.
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

    /// Assigns queued tasks to idle workers until no task fits.
    pub(super) fn dispatch(self: &Arc<Self>, state: &mut State) {
        let serves = |worker: usize, model: &Model| self.backend.serves(worker, model);
        let now = Instant::now();
        loop {
            let State { queue, groups, .. } = state;
            let status = |worker: usize, group: GroupId| {
                groups
                    .get(&group)
                    .map_or(WorkerStatus::None, |g| g.status(worker))
            };
            // Redundant tasks of groups with a failure come first, then queries, then other redundant tasks.
            let next = queue
                .next_redundant(true, serves, status)
                .or_else(|| queue.next_query(serves))
                .or_else(|| queue.next_redundant(false, serves, status));
            let Some((worker, job)) = next else {
                return;
            };
            // Drop a query that no client waits for and no reconstruction needs, and whatever is too late.
            let group = groups.get(&job.group);
            let is_needed = group.is_some_and(|group| group.is_needed(job.slot));
            let is_useless = self.code.shape().systematic && !job.is_redundant && !is_needed;
            if is_useless || job.deadline.is_some_and(|deadline| deadline <= now) {
                queue.idle.push_front(worker);
                self.finish(state, job.group, job.slot, None, None);
                continue;
            }
            state.statistics.tasks += 1;
            state.statistics.redundant += u64::from(job.is_redundant);
            if let Some(group) = state.groups.get_mut(&job.group) {
                group.assigned_to(worker);
            }
            let inner = Arc::clone(self);
            tokio::spawn(async move { inner.run(worker, job).await });
        }
    }

    /// Removes queued queries whose clients are gone.
    pub(super) fn purge(self: &Arc<Self>, state: &mut State) {
        let State { queue, groups, .. } = &mut *state;
        let mut gone = Vec::new();
        let systematic = self.code.shape().systematic;
        queue.queries.retain(|job| {
            // A mixture stays while any client of its group waits.
            let keep = groups.get(&job.group).is_some_and(|group| {
                group.is_wanted(job.slot) || (!systematic && group.waiting() > 0)
            });
            if !keep {
                gone.push((job.group, job.slot));
            }
            keep
        });
        for (group, slot) in gone {
            self.finish(state, group, slot, None, None);
        }
    }

    /// Runs a task on the backend; a panic of the backend counts as a failure of the worker.
    async fn infer(&self, worker: usize, call: Call) -> Result<Tensor, BackendError> {
        let mut infer = pin!(async { self.backend.infer(worker, call).await });
        // A future must not be polled after a panic; this one is ready then.
        poll_fn(|context| {
            catch_panic(|| infer.as_mut().poll(context)).unwrap_or_else(|| {
                Poll::Ready(Err(BackendError {
                    worker,
                    reason: "the backend panicked".to_owned(),
                    refused: false,
                }))
            })
        })
        .await
    }

    /// Runs a task on a worker and processes the result. Ends the worker's cooldown, if it failed.
    async fn run(self: Arc<Self>, worker: usize, job: Job) {
        let mut output = self.infer(worker, job.call).await;
        let is_finite = output.as_ref().map_or(true, Tensor::is_finite);
        if !is_finite && self.code.shape().stragglers == 0 {
            // The code cannot reconstruct it, and every other worker would give the same output.
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
        let cooldown = {
            let mut state = self.lock();
            state.statistics.failures += u64::from(failed || !is_finite);
            // Exponential backoff over consecutive failures.
            let cooldown = if failed {
                let failures = state.failures[worker].min(16);
                state.failures[worker] += 1;
                let cooldown = self.settings.failure_cooldown;
                cooldown
                    .saturating_mul(2_u32.pow(failures))
                    .min(MAX_COOLDOWN)
            } else {
                state.failures[worker] = 0;
                Duration::ZERO
            };
            if cooldown.is_zero() {
                state.queue.idle.push_back(worker);
            } else {
                state.cooling_down[worker] = true;
            }
            // Only a query itself is rejected with its reason; a rejected parity is a lost output.
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
                Some(worker),
                output.ok().filter(Tensor::is_finite),
            );
            if failed {
                // Redundant tasks may have been waiting for this worker only: settle cancels those.
                let mut groups: Vec<GroupId> =
                    state.queue.redundant.iter().map(|job| job.group).collect();
                groups.dedup();
                for group in groups {
                    self.settle(&mut state, group);
                }
            }
            self.dispatch(&mut state);
            cooldown
        };
        if !cooldown.is_zero() {
            sleep(cooldown).await;
            let mut state = self.lock();
            state.cooling_down[worker] = false;
            state.queue.idle.push_back(worker);
            self.dispatch(&mut state);
        }
    }

    /// Records the end of a task, and settles its group.
    fn finish(
        self: &Arc<Self>,
        state: &mut State,
        id: GroupId,
        slot: usize,
        worker: Option<usize>,
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

    /// Brings a group up to date after any change: releases reconstructed answers, cancels useless
    /// redundant tasks, sends retries and hedges, and removes the group when it is over.
    pub(super) fn settle(self: &Arc<Self>, state: &mut State, id: GroupId) {
        let State {
            queue,
            groups,
            statistics,
            coding,
            latencies,
            retries,
            hedges,
            cooling_down,
            ..
        } = state;
        let Some(group) = groups.get_mut(&id) else {
            return;
        };
        let now = Instant::now();
        // Release what the policy allows now; `later` is when to look again.
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
        let later = group.recover(delay, self.settings.min_margin, now, statistics);
        if statistics.reconstructed > before {
            coding.decoding += begin.elapsed();
            coding.decoded += statistics.reconstructed - before;
        }
        // Cancel redundant tasks that cannot help: their output has arrived (a hedge), or no worker is able
        // to take them. Once a query has failed, waiting for a worker in cooldown would take too long.
        let has_failed = group.has_failed();
        let can_take = |worker: usize, job: &Job| {
            self.backend.serves(worker, &job.call.model)
                && group.status(worker) < WorkerStatus::Failed
        };
        let useless = queue.cancel(id, |job| {
            let mut able = (0..cooling_down.len()).filter(|&worker| can_take(worker, job));
            group.has_arrived(job.slot) || !able.any(|worker| !(has_failed && cooling_down[worker]))
        });
        statistics.cancelled += useless.len() as u64;
        for slot in useless {
            group.cancelled(slot);
        }
        let reconstructs = self.settings.policy != ReconstructionPolicy::Never;
        // The redundant tasks that remain are the fastest way to a failed answer.
        if has_failed {
            queue.prioritize(id);
        }
        // Send failed and late queries again, within their budgets.
        let (resends, late) = group.resends(latencies.quantile(HEDGING), reconstructs, now);
        let mut resent = false;
        for (slot, is_retry) in resends {
            let budget = if is_retry {
                &mut *retries
            } else {
                &mut *hedges
            };
            if !budget.try_spend() {
                continue;
            }
            let Some(resend) = group.resend(slot, is_retry) else {
                continue;
            };
            resent = true;
            let job = Job {
                group: id,
                slot,
                call: Call {
                    model: Model::Base,
                    input: resend.input,
                    trace: resend.trace,
                },
                is_redundant: !is_retry,
                is_urgent: false,
                deadline: resend.deadline,
            };
            // A retry has waited already and goes first; a hedge waits for a worker without a query.
            if is_retry {
                statistics.retries += 1;
                queue.queries.push_front(job);
            } else {
                statistics.hedges += 1;
                queue.redundant.push_front(job);
            }
        }
        // Without a waiting client no redundant task, and no mixture, is worth running.
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
        // Remove the group, or look at it again when the policy or the hedging delay says so.
        if group.is_over() {
            group.give_up(now, statistics);
            groups.remove(&id);
        } else if let Some(later) = later.into_iter().chain(late).min()
            && group.schedule_wake(now + later, now)
        {
            self.settle_after(later, id);
        }
        if resent {
            self.dispatch(state);
        }
    }

    /// Settles a group again after a delay.
    pub(super) fn settle_after(self: &Arc<Self>, later: Duration, id: GroupId) {
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            sleep(later).await;
            let mut state = inner.lock();
            inner.settle(&mut state, id);
        });
    }
}
