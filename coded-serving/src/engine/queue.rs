//! Which task goes to which worker next.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::code::{Model, Slot};
use crate::tensor::Tensor;

/// The number of a group.
pub(super) type GroupId = u64;

/// A task that waits for a worker.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) group: GroupId,
    pub(super) slot: Slot,
    pub(super) model: Model,
    /// Whether it is none of the group's own queries.
    pub(super) is_redundant: bool,
    pub(super) input: Tensor,
    /// When the client gives up.
    pub(super) deadline: Option<Instant>,
}

/// The workers without a task, and the tasks without a worker.
#[derive(Debug)]
pub(super) struct Queue {
    /// Longest idle first.
    pub(super) idle: VecDeque<usize>,
    pub(super) queries: VecDeque<Job>,
    /// Only looked at when no query waits.
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
        let place = self.idle.iter().position(|&w| serves(w, &job.model))?;
        let worker = self.idle.remove(place)?;
        Some((worker, self.queries.pop_front()?))
    }

    /// The next redundant task for a worker that serves it and has had no task of its group: what
    /// slows a member of a group must not slow its parity. Tasks that no idle worker may take are
    /// passed over.
    pub(super) fn next_redundant(
        &mut self,
        serves: impl Fn(usize, &Model) -> bool,
        has_part: impl Fn(usize, GroupId) -> bool,
    ) -> Option<(usize, Job)> {
        if !self.queries.is_empty() {
            return None;
        }
        for index in 0..self.redundant.len() {
            let job = &self.redundant[index];
            let fits = |&w: &usize| serves(w, &job.model) && !has_part(w, job.group);
            if let Some(place) = self.idle.iter().position(fits) {
                let worker = self.idle.remove(place)?;
                return Some((worker, self.redundant.remove(index)?));
            }
        }
        None
    }

    /// Takes back the redundant tasks of a group; how many.
    pub(super) fn cancel(&mut self, group: GroupId) -> usize {
        let before = self.redundant.len();
        self.redundant.retain(|job| job.group != group);
        before - self.redundant.len()
    }
}
