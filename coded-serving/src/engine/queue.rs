//! Which task goes to which worker next.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::code::{Model, Slot};

use super::backend::Call;
use super::group::Part;

/// The number of a group.
pub(super) type GroupId = u64;

/// A task that waits for a worker.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) group: GroupId,
    pub(super) slot: Slot,
    pub(super) call: Call,
    /// Whether it is none of the group's own queries.
    pub(super) is_redundant: bool,
    /// Whether a task of its group has failed: it does not wait behind queries then.
    pub(super) is_urgent: bool,
    /// When the client gives up.
    pub(super) deadline: Option<Instant>,
}

/// The workers without a task, and the tasks without a worker.
#[derive(Debug)]
pub(super) struct Queue {
    /// Longest idle first.
    pub(super) idle: VecDeque<usize>,
    pub(super) queries: VecDeque<Job>,
    /// Looked at when no query waits, but for workers that take none.
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

    /// The next query for a worker that serves it.
    pub(super) fn next_query(
        &mut self,
        serves: impl Fn(usize, &Model) -> bool,
    ) -> Option<(usize, Job)> {
        let job = self.queries.front()?;
        let place = self.idle.iter().position(|&w| serves(w, &job.call.model))?;
        let worker = self.idle.remove(place)?;
        Some((worker, self.queries.pop_front()?))
    }

    /// The next redundant task for a worker that serves it and works on no task of its group, and
    /// has failed none: what slows a member of a group must not slow its parity. Workers without any part
    /// in the group come before those that have answered theirs. Tasks that no idle worker may take are
    /// passed over.
    pub(super) fn next_redundant(
        &mut self,
        only_urgent: bool,
        serves: impl Fn(usize, &Model) -> bool,
        part: impl Fn(usize, GroupId) -> Part,
    ) -> Option<(usize, Job)> {
        let is_busy = !only_urgent && !self.queries.is_empty();
        for index in 0..self.redundant.len() {
            let job = &self.redundant[index];
            if only_urgent && !job.is_urgent {
                continue;
            }
            // Workers that take no queries have nothing better to do.
            let is_free = |w| !(is_busy && serves(w, &Model::Base));
            let fits = |w| is_free(w) && serves(w, &job.call.model);
            // Longest idle first among those with the least part in the group.
            let best = self
                .idle
                .iter()
                .enumerate()
                .filter(|(_, worker)| fits(**worker))
                .map(|(place, worker)| (part(*worker, job.group), place))
                .filter(|(part, _)| *part < Part::Running)
                .min();
            if let Some((_, place)) = best {
                let worker = self.idle.remove(place)?;
                return Some((worker, self.redundant.remove(index)?));
            }
        }
        None
    }

    /// A task of a group has failed: what makes up for it goes first.
    pub(super) fn hurry(&mut self, group: GroupId) {
        let of_group = |job: &&mut Job| job.group == group;
        let jobs = self.redundant.iter_mut().filter(of_group);
        jobs.for_each(|job| job.is_urgent = true);
    }

    /// Takes back all queries of a group, which are the mixtures of a code that is not systematic; their
    /// slots.
    pub(super) fn cancel_queries(&mut self, group: GroupId) -> Vec<Slot> {
        let mut slots = Vec::new();
        self.queries.retain(|job| {
            let goes = job.group == group;
            if goes {
                slots.push(job.slot);
            }
            !goes
        });
        slots
    }

    /// Takes back those redundant tasks of a group that `is_needless`; their slots.
    pub(super) fn cancel(
        &mut self,
        group: GroupId,
        is_needless: impl Fn(&Job) -> bool,
    ) -> Vec<Slot> {
        let mut slots = Vec::new();
        self.redundant.retain(|job| {
            let goes = job.group == group && is_needless(job);
            if goes {
                slots.push(job.slot);
            }
            !goes
        });
        slots
    }
}
