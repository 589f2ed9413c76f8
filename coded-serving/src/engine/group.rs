//! The state of one group of queries: what was sent, what arrived, which clients have an answer. Reads no
//! clock and does no I/O.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::code::{Code, Slot, Slots};
use crate::error::CodeError;
use crate::tensor::Tensor;

use super::prediction::{Prediction, Provenance, Query, ServeError};
use super::statistics::Statistics;

/// The maximum number of retries of a query.
pub(super) const MAX_RETRIES: u32 = 3;

/// Sends the result to the client.
pub(super) type Reply = oneshot::Sender<Result<Prediction, ServeError>>;

/// A query of the group.
#[derive(Debug)]
struct Member {
    joined: Instant,
    accepts_reconstruction: bool,
    /// `None` once answered.
    reply: Option<Reply>,
    /// The argmax of the reconstructed answer, to compare with the direct output if that still arrives.
    answered_class: Option<usize>,
    /// The reconstructed answer was withheld for its margin, or could not be decoded.
    is_withheld: bool,
    /// Retries after failures so far.
    retries: u32,
    /// Whether a hedge was sent.
    is_hedged: bool,
    trace: Option<Arc<str>>,
    timeout: Option<Duration>,
}

impl Member {
    fn is_waiting(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| !reply.is_closed())
    }

    /// When the query times out.
    fn deadline(&self) -> Option<Instant> {
        self.joined.checked_add(self.timeout?)
    }

    /// The timeout, if it has expired. The client itself may not have noticed yet.
    fn expired(&self, now: Instant) -> Option<Duration> {
        let is_over = self.deadline().is_some_and(|deadline| deadline <= now);
        self.timeout.filter(|_| is_over)
    }
}

/// A worker's task status in this group, in the order in which it disqualifies the worker for another
/// task of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WorkerStatus {
    /// It had no task.
    None,
    /// It has answered all its tasks.
    Outcome,
    /// It is running a task.
    Running,
    /// It has failed a task.
    Failed,
}

/// A query to send again.
#[derive(Debug)]
pub(super) struct Resend {
    pub(super) input: Tensor,
    pub(super) trace: Option<Arc<str>>,
    /// When the query times out.
    pub(super) deadline: Option<Instant>,
}

/// The output of a worker.
#[derive(Debug)]
struct Output {
    slot: Slot,
    worker: usize,
    tensor: Tensor,
}

/// A group, from its first query to its last output.
#[derive(Debug)]
pub(super) struct Group {
    code: Arc<dyn Code>,
    name: Arc<str>,
    /// Shared with the encoder, once the group is closed.
    inputs: Arc<Vec<Tensor>>,
    members: Vec<Member>,
    outputs: Vec<Output>,
    arrived: Slots,
    failed: Slots,
    /// Tasks that have failed at least once and have no output, whether or not a retry is running.
    failed_once: Slots,
    /// The outputs with which decoding failed: trying again with the same ones is pointless.
    undecodable: Option<Slots>,
    /// The slots of queued and running tasks; a slot appears twice when it was sent twice.
    outstanding: Vec<Slot>,
    closed: bool,
    /// Whether the encoder is running.
    encoding: bool,
    /// The status of each task that was assigned to a worker.
    statuses: Vec<(usize, WorkerStatus)>,
    /// The next scheduled wake-up.
    wakes: Option<Instant>,
}

impl Group {
    pub(super) fn new(code: Arc<dyn Code>, name: Arc<str>) -> Self {
        Self {
            code,
            name,
            inputs: Arc::default(),
            members: Vec::new(),
            outputs: Vec::new(),
            arrived: Slots::EMPTY,
            failed: Slots::EMPTY,
            failed_once: Slots::EMPTY,
            undecodable: None,
            outstanding: Vec::new(),
            closed: false,
            encoding: false,
            statuses: Vec::new(),
            wakes: None,
        }
    }

    /// Adds a query. Returns its slot, and whether the group is now full.
    pub(super) fn join(&mut self, query: Query, joined: Instant, reply: Reply) -> (Slot, bool) {
        // The inputs of an open group have one owner, so this never copies.
        Arc::make_mut(&mut self.inputs).push(query.input);
        let slot = self.members.len();
        self.members.push(Member {
            joined,
            accepts_reconstruction: query.accepts_reconstruction,
            reply: Some(reply),
            answered_class: None,
            is_withheld: false,
            retries: 0,
            is_hedged: false,
            trace: query.trace,
            timeout: query.timeout,
        });
        let shape = self.code.shape();
        if shape.systematic {
            self.outstanding.push(slot);
        }
        (slot, self.members.len() >= shape.queries)
    }

    /// Closes the group to further queries. Returns the inputs to encode if it was still open and a client
    /// is waiting.
    pub(super) fn close(&mut self, statistics: &mut Statistics) -> Option<Arc<Vec<Tensor>>> {
        if std::mem::replace(&mut self.closed, true) {
            return None;
        }
        statistics.groups += 1;
        statistics.grouped += self.members.len() as u64;
        let useful = self.waiting() > 0;
        self.encoding = useful;
        useful.then(|| Arc::clone(&self.inputs))
    }

    /// Records that encoding is over, and the redundant tasks that are sent.
    pub(super) fn encoded(&mut self, sent: impl IntoIterator<Item = Slot>) {
        self.encoding = false;
        self.outstanding.extend(sent);
    }

    /// Records that a queued task was cancelled.
    pub(super) fn cancelled(&mut self, slot: Slot) {
        self.remove_outstanding(slot);
        let is_query = self.code.shape().systematic && slot < self.members.len();
        let is_coming = self.arrived.contains(slot) || self.outstanding.contains(&slot);
        if is_query && !is_coming {
            // It was a hedge whose original has failed: nothing else will bring this output.
            self.failed = self.failed.with(slot);
        }
    }

    fn remove_outstanding(&mut self, slot: Slot) {
        if let Some(place) = self.outstanding.iter().position(|&s| s == slot) {
            self.outstanding.swap_remove(place);
        }
    }

    /// Records that a task of this group was assigned to a worker.
    pub(super) fn assigned_to(&mut self, worker: usize) {
        self.statuses.push((worker, WorkerStatus::Running));
    }

    /// The most disqualifying status among a worker's tasks in this group.
    pub(super) fn status(&self, worker: usize) -> WorkerStatus {
        let own = self.statuses.iter().filter(|(owner, _)| *owner == worker);
        own.map(|(_, status)| *status)
            .max()
            .unwrap_or(WorkerStatus::None)
    }

    /// Schedules a wake-up. `false` if one is already scheduled no later than `time`.
    pub(super) fn schedule_wake(&mut self, time: Instant, now: Instant) -> bool {
        let pending = self.wakes.filter(|&wakes| wakes > now);
        if pending.is_some_and(|wakes| wakes <= time) {
            return false;
        }
        self.wakes = Some(time);
        true
    }

    /// When the last query times out; `None` if one has no timeout.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let deadlines: Option<Vec<Instant>> = self.members.iter().map(Member::deadline).collect();
        deadlines?.into_iter().max()
    }

    /// Whether the output of a task has arrived.
    pub(super) fn has_arrived(&self, slot: Slot) -> bool {
        self.arrived.contains(slot)
    }

    /// The number of waiting clients.
    pub(super) fn waiting(&self) -> usize {
        self.members
            .iter()
            .filter(|member| member.is_waiting())
            .count()
    }

    /// Whether a client waits for this answer.
    pub(super) fn is_wanted(&self, slot: Slot) -> bool {
        self.members.get(slot).is_some_and(Member::is_waiting)
    }

    /// Whether the output of a query is still useful: to its client, to reconstruct others of its group, or
    /// to check the reconstructed answer that was released instead.
    pub(super) fn is_needed(&self, slot: Slot) -> bool {
        let is_reconstructed = self
            .members
            .get(slot)
            .is_some_and(|m| m.answered_class.is_some());
        let helps = self.code.shape().stragglers > 0;
        let others = !self.closed || self.encoding || self.waiting() > 0;
        self.is_wanted(slot) || is_reconstructed || (helps && others)
    }

    /// Whether a query has failed that a client still waits for.
    pub(super) fn has_failed(&self) -> bool {
        self.failed_once.iter().any(|slot| self.is_wanted(slot))
    }

    /// Answers a query that a worker has rejected. It is not sent to another worker.
    pub(super) fn refused(&mut self, slot: Slot, reason: String, statistics: &mut Statistics) {
        if let Some(reply) = self.members.get_mut(slot).and_then(|m| m.reply.take()) {
            let lost = &mut statistics.lost;
            let error = ServeError::Refused(reason);
            answer(reply, Err(error), lost, &mut statistics.abandoned);
        }
    }

    /// Whether no more outputs can arrive.
    pub(super) fn is_over(&self) -> bool {
        self.closed && !self.encoding && self.outstanding.is_empty()
    }

    /// Records the end of a task: its output, or `None` when it failed. `worker` is `None` for a task that
    /// was dropped before a worker got it.
    pub(super) fn arrive(
        &mut self,
        slot: Slot,
        worker: Option<usize>,
        output: Option<Tensor>,
        statistics: &mut Statistics,
    ) {
        self.remove_outstanding(slot);
        // A worker runs one task at a time, so its running task is this one.
        let ended = match &output {
            Some(_) => WorkerStatus::Outcome,
            None => WorkerStatus::Failed,
        };
        let running = |(owner, status): &&mut (usize, WorkerStatus)| {
            Some(*owner) == worker && *status == WorkerStatus::Running
        };
        for (_, status) in self.statuses.iter_mut().filter(running) {
            *status = ended;
        }
        // The first output of a slot counts; that of a hedge or a retry changes nothing.
        if self.arrived.contains(slot) {
            return;
        }
        // A value that is not finite would make every reconstruction from it infinite or NaN.
        let (Some(worker), Some(output)) = (worker, output.filter(Tensor::is_finite)) else {
            self.failed_once = self.failed_once.with(slot);
            // A second copy that is still outstanding may bring the output.
            if !self.outstanding.contains(&slot) {
                self.failed = self.failed.with(slot);
            }
            return;
        };
        self.failed = self.failed.without(Slots::EMPTY.with(slot));
        self.failed_once = self.failed_once.without(Slots::EMPTY.with(slot));
        if self.code.shape().systematic
            && let Some(member) = self.members.get_mut(slot)
        {
            // The client was given a reconstructed answer: measure how good it was.
            if let Some(answered_class) = member.answered_class {
                let same = output.argmax() == Some(answered_class);
                statistics.agreed += u64::from(same);
                statistics.disagreed += u64::from(!same);
            }
            if let Some(reply) = member.reply.take() {
                let prediction = Prediction {
                    output: output.clone(),
                    provenance: Provenance::Direct { worker },
                };
                answer(
                    reply,
                    Ok(prediction),
                    &mut statistics.direct,
                    &mut statistics.abandoned,
                );
            }
        }
        self.arrived = self.arrived.with(slot);
        self.outputs.push(Output {
            slot,
            worker,
            tensor: output,
        });
    }

    /// Releases the reconstructed answers that the policy allows now. Returns the time until the policy
    /// allows the next one, if it is only a matter of time.
    ///
    /// `delay` is the minimum age of a query before its reconstructed answer is released, `None` for never.
    /// Answers with a margin below `min_margin` are withheld.
    pub(super) fn recover(
        &mut self,
        delay: Option<Duration>,
        min_margin: f32,
        now: Instant,
        statistics: &mut Statistics,
    ) -> Option<Duration> {
        let (systematic, is_exact) = (self.code.shape().systematic, self.code.is_exact());
        if self.undecodable == Some(self.arrived) {
            return None;
        }
        // Split the reconstructible answers into those due now and those due later.
        let decodable = self.code.decodable(self.members.len(), self.arrived);
        let mut due = Slots::EMPTY;
        let mut next: Option<Duration> = None;
        for (slot, member) in self.members.iter().enumerate() {
            let possible = self.closed && decodable.contains(slot) && member.reply.is_some();
            // A code that is not systematic has no other answers, and its clients have accepted that.
            let accepted = member.accepts_reconstruction || !systematic || is_exact;
            if !(possible && accepted) || member.is_withheld {
                continue;
            }
            // Waiting only helps where a better answer may still come.
            let lost = self.failed.contains(slot) || !systematic || is_exact;
            let left = match delay {
                _ if lost => Duration::ZERO,
                Some(delay) => match member.joined.checked_add(delay) {
                    Some(time) => time.saturating_duration_since(now),
                    None => continue,
                },
                None => continue,
            };
            if left.is_zero() {
                due = due.with(slot);
            } else {
                next = Some(next.map_or(left, |next| next.min(left)));
            }
        }
        if delay.is_none() && systematic {
            return None;
        }
        if !due.is_empty() {
            self.reconstruct(due, min_margin, statistics);
        }
        next
    }

    /// The queries to send again, with whether it is a retry (a failed query that the code cannot
    /// reconstruct) or a hedge (a late one), and the time until the next query is late.
    pub(super) fn resends(
        &mut self,
        hedge: Option<Duration>,
        reconstructs: bool,
        now: Instant,
    ) -> (Vec<(Slot, bool)>, Option<Duration>) {
        let mut resends = Vec::new();
        let mut next: Option<Duration> = None;
        if !self.code.shape().systematic {
            return (resends, next);
        }
        // What the code will be able to decode if all outstanding outputs arrive.
        let expected: Slots = self
            .arrived
            .iter()
            .chain(self.outstanding.iter().copied())
            .collect();
        // The redundant tasks of an open group are not outstanding yet.
        let parities_pending = (!self.closed || self.encoding) && self.code.shape().stragglers > 0;
        let queries = self.members.len();
        let decodable = self.code.decodable(queries, expected);
        for (slot, member) in self.members.iter_mut().enumerate() {
            if !member.is_waiting() || member.expired(now).is_some() {
                continue;
            }
            let recoverable = reconstructs
                && (member.accepts_reconstruction || self.code.is_exact())
                && !member.is_withheld
                && (parities_pending || decodable.contains(slot));
            let is_retry = self.failed.contains(slot);
            let late = !is_retry
                && !member.is_hedged
                && hedge.is_some_and(|hedge| {
                    let left = (member.joined + hedge).saturating_duration_since(now);
                    if !left.is_zero() {
                        next = Some(next.map_or(left, |next| next.min(left)));
                    }
                    left.is_zero()
                });
            let again = is_retry && !recoverable && member.retries < MAX_RETRIES;
            if late || again {
                resends.push((slot, is_retry));
            }
        }
        (resends, next)
    }

    /// Records that a query is sent again, and returns what to send.
    pub(super) fn resend(&mut self, slot: Slot, is_retry: bool) -> Option<Resend> {
        let member = self.members.get_mut(slot)?;
        member.retries += u32::from(is_retry);
        member.is_hedged |= !is_retry;
        let resend = Resend {
            input: self.inputs.get(slot)?.clone(),
            trace: member.trace.clone(),
            deadline: member.deadline(),
        };
        self.failed = self.failed.without(Slots::EMPTY.with(slot));
        self.outstanding.push(slot);
        Some(resend)
    }

    /// The time since a query joined.
    pub(super) fn age(&self, slot: Slot, now: Instant) -> Option<Duration> {
        self.members
            .get(slot)
            .map(|member| now.saturating_duration_since(member.joined))
    }

    /// Decodes the answers `due` and releases those with a sufficient margin.
    fn reconstruct(&mut self, due: Slots, min_margin: f32, statistics: &mut Statistics) {
        let outputs = self.outputs.iter();
        let outputs: Vec<(Slot, &Tensor)> = outputs.map(|o| (o.slot, &o.tensor)).collect();
        let decode = || self.code.decode(self.members.len(), &outputs, due);
        let systematic = self.code.shape().systematic;
        let Some(Ok(decoded)) = catch_panic(decode) else {
            // Decoding fails again with the same outputs, so it is not repeated. Withholding the answers
            // makes failed queries eligible for a retry.
            statistics.coding_failures += u64::from(self.undecodable.is_none());
            self.undecodable = Some(self.arrived);
            for slot in due.iter().filter(|_| systematic) {
                if let Some(member) = self.members.get_mut(slot) {
                    member.is_withheld = true;
                }
            }
            return;
        };
        let group = self.members.len();
        // The margin only matters where a direct answer is possible and would be better.
        let is_exact = self.code.is_exact();
        let checks_margin = systematic && !is_exact;
        for decoded in decoded {
            let Some(member) = self.members.get_mut(decoded.query) else {
                continue;
            };
            if !decoded.output.is_finite() {
                member.is_withheld |= systematic;
                continue;
            }
            // The answer of an exact code is the output of some worker, and is reported as direct.
            let mut outputs = self.outputs.iter();
            if is_exact
                && let Some(from) = outputs.find(|output| output.tensor == decoded.output)
                && let Some(reply) = member.reply.take()
            {
                let prediction = Prediction {
                    output: decoded.output,
                    provenance: Provenance::Direct {
                        worker: from.worker,
                    },
                };
                let answered = &mut statistics.direct;
                answer(reply, Ok(prediction), answered, &mut statistics.abandoned);
                continue;
            }
            let margin = decoded.output.margin();
            if checks_margin && margin < min_margin {
                member.is_withheld = true;
                statistics.withheld += 1;
                continue;
            }
            if let Some(reply) = member.reply.take() {
                member.answered_class = decoded.output.argmax();
                let prediction = Prediction {
                    output: decoded.output,
                    provenance: Provenance::Reconstructed {
                        code: Arc::clone(&self.name),
                        group,
                        margin,
                    },
                };
                let answered = &mut statistics.reconstructed;
                answer(reply, Ok(prediction), answered, &mut statistics.abandoned);
            }
        }
    }

    /// Fails the remaining queries: no more outputs will arrive.
    pub(super) fn give_up(&mut self, now: Instant, statistics: &mut Statistics) {
        for member in &mut self.members {
            if let Some(timeout) = member.expired(now)
                && let Some(reply) = member.reply.take()
            {
                // The client has timed out, or is about to: the send may fail.
                let _ = reply.send(Err(ServeError::DeadlineExceeded(timeout)));
                statistics.abandoned += 1;
            }
        }
        let error = ServeError::Unrecoverable {
            missing: self.waiting(),
            received: self.outputs.len(),
        };
        self.fail(&error, statistics);
    }

    /// Fails the remaining queries: the group cannot be encoded.
    pub(super) fn refuse(&mut self, error: CodeError, statistics: &mut Statistics) {
        self.fail(&ServeError::InvalidInput(error), statistics);
    }

    fn fail(&mut self, error: &ServeError, statistics: &mut Statistics) {
        for member in &mut self.members {
            if let Some(reply) = member.reply.take() {
                let lost = &mut statistics.lost;
                answer(reply, Err(error.clone()), lost, &mut statistics.abandoned);
            }
        }
    }
}

/// Runs user code (a code or a backend), `None` if it panics: its bug must not poison the engine's lock.
pub(super) fn catch_panic<T>(run: impl FnOnce() -> T) -> Option<T> {
    // The engine drops whatever a panic has left half-changed, so unwind safety is not needed.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).ok()
}

/// Sends a result to the client, and counts it in `answered`, or in `abandoned` if the client is gone.
fn answer(
    reply: Reply,
    result: Result<Prediction, ServeError>,
    answered: &mut u64,
    abandoned: &mut u64,
) {
    if reply.send(result).is_ok() {
        *answered += 1;
    } else {
        *abandoned += 1;
    }
}
