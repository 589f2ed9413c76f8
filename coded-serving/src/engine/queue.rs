//! The task queues, and the choice of the next task and its worker.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::code::{Model, Slot};

use super::backend::Call;
use super::group::WorkerStatus;

/// Identifies a group.
pub(super) type GroupId = u64;

/// A queued task.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) group: GroupId,
    pub(super) slot: Slot,
    pub(super) call: Call,
    /// Whether it is a parity, copy or hedge rather than a query itself.
    pub(super) is_redundant: bool,
    /// Whether a task of its group has failed: it then overtakes queries.
    pub(super) is_urgent: bool,
    /// When the last client that it serves times out.
    pub(super) deadline: Option<Instant>,
}

/// Idle workers and waiting tasks.
#[derive(Debug)]
pub(super) struct Queue {
    /// Idle workers, longest idle first.
    pub(super) idle: VecDeque<usize>,
    /// Queries; the mixtures of a code that is not systematic.
    pub(super) queries: VecDeque<Job>,
    /// Served when no query waits, or by workers that serve no queries.
    pub(super) redundant: VecDeque<Job>,
}

impl Queue {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            idle: (0..workers).collect(),
            queries: VecDeque::new(),
            redundant: VecDeque::new(),
        }
    }

    /// The oldest query, with the longest idle worker that serves its model.
    pub(super) fn next_query(
        &mut self,
        serves: impl Fn(usize, &Model) -> bool,
    ) -> Option<(usize, Job)> {
        // First in, first out: a query never overtakes another, even if only the second has an idle worker.
        let job = self.queries.front()?;
        let place = self.idle.iter().position(|&w| serves(w, &job.call.model))?;
        let worker = self.idle.remove(place)?;
        Some((worker, self.queries.pop_front()?))
    }

    /// The next redundant task, with a worker that serves its model.
    ///
    /// A worker that is running a task of the group, or has failed one, is not eligible: what slows a
    /// query must not slow its parity too. Workers with no task in the group are preferred to those that
    /// have answered one. Tasks without an eligible idle worker are skipped.
    pub(super) fn next_redundant(
        &mut self,
        only_urgent: bool,
        serves: impl Fn(usize, &Model) -> bool,
        status: impl Fn(usize, GroupId) -> WorkerStatus,
    ) -> Option<(usize, Job)> {
        let is_busy = !only_urgent && !self.queries.is_empty();
        for index in 0..self.redundant.len() {
            let job = &self.redundant[index];
            if only_urgent && !job.is_urgent {
                continue;
            }
            // While queries wait, only workers that do not serve the base model may take parities.
            let is_free = |w| !(is_busy && serves(w, &Model::Base));
            let fits = |w| is_free(w) && serves(w, &job.call.model);
            // Least involved in the group first, then longest idle.
            let best = self
                .idle
                .iter()
                .enumerate()
                .filter(|(_, worker)| fits(**worker))
                .map(|(place, worker)| (status(*worker, job.group), place))
                .filter(|(status, _)| *status < WorkerStatus::Running)
                .min();
            if let Some((_, place)) = best {
                let worker = self.idle.remove(place)?;
                return Some((worker, self.redundant.remove(index)?));
            }
        }
        None
    }

    /// Moves the redundant tasks of a group ahead of queries, after one of its tasks has failed.
    pub(super) fn prioritize(&mut self, group: GroupId) {
        let of_group = |job: &&mut Job| job.group == group;
        let jobs = self.redundant.iter_mut().filter(of_group);
        jobs.for_each(|job| job.is_urgent = true);
    }

    /// Removes all tasks of a group from the query queue (the mixtures of a code that is not systematic).
    /// Returns their slots.
    pub(super) fn cancel_queries(&mut self, group: GroupId) -> Vec<Slot> {
        let mut slots = Vec::new();
        self.queries.retain(|job| {
            let remove = job.group == group;
            if remove {
                slots.push(job.slot);
            }
            !remove
        });
        slots
    }

    /// Removes those redundant tasks of a group for which `is_useless` holds. Returns their slots.
    pub(super) fn cancel(
        &mut self,
        group: GroupId,
        is_useless: impl Fn(&Job) -> bool,
    ) -> Vec<Slot> {
        let mut slots = Vec::new();
        self.redundant.retain(|job| {
            let remove = job.group == group && is_useless(job);
            if remove {
                slots.push(job.slot);
            }
            !remove
        });
        slots
    }
}
