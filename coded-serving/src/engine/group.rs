//! One group of queries: what was sent, what arrived, who has an answer. No clock, no input or
//! output.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::code::{Code, Slot, Slots};
use crate::error::CodeError;
use crate::tensor::Tensor;

use super::prediction::{Prediction, Provenance, Query, ServeError};
use super::statistics::Statistics;

/// How often a failed query is sent again.
const MOST_COPIES: u32 = 3;

/// What a client waits on.
pub(super) type Reply = oneshot::Sender<Result<Prediction, ServeError>>;

/// A query of the group.
#[derive(Debug)]
struct Member {
    joined: Instant,
    accepts_reconstruction: bool,
    /// Taken with the answer.
    reply: Option<Reply>,
    /// The largest output of a reconstructed answer, to be compared with the true one.
    told: Option<usize>,
    /// The reconstructed answer was too close a decision to be given out.
    is_doubtful: bool,
    /// How often it was sent again after a failure.
    copies: u32,
    /// Whether a second copy was sent because it was late.
    is_hedged: bool,
    trace: Option<Arc<str>>,
    patience: Option<Duration>,
}

impl Member {
    fn waits(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| !reply.is_closed())
    }

    /// When the client gives up.
    fn deadline(&self) -> Option<Instant> {
        self.joined.checked_add(self.patience?)
    }

    /// The patience of a client whose time is over, though it may not know yet.
    fn ran_out(&self, now: Instant) -> Option<Duration> {
        let is_over = self.deadline().is_some_and(|deadline| deadline <= now);
        self.patience.filter(|_| is_over)
    }
}

/// What a worker has to do with a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Nothing.
    None,
    /// It has answered its tasks: what becomes of it does not matter to them.
    Answered,
    /// It works on a task.
    Running,
    /// It has failed a task.
    Failed,
}

/// A query that is sent once more.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) input: Tensor,
    pub(super) trace: Option<Arc<str>>,
    /// When the client gives up.
    pub(super) deadline: Option<Instant>,
}

/// What a worker has answered.
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
    /// Tasks of which a copy has failed, whether or not another one is under way.
    stumbled: Slots,
    /// What had arrived when the code failed to decode it.
    undecodable: Option<Slots>,
    /// The slots of tasks that are queued or running; one twice when a copy was sent.
    outstanding: Vec<Slot>,
    closed: bool,
    /// Redundant tasks are being made.
    encoding: bool,
    /// What became of the tasks of this group that workers were given.
    parts: Vec<(usize, Part)>,
    /// When it will be looked at again.
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
            stumbled: Slots::EMPTY,
            undecodable: None,
            outstanding: Vec::new(),
            closed: false,
            encoding: false,
            parts: Vec::new(),
            wakes: None,
        }
    }

    /// Adds a query; its slot, and whether the group is full now.
    pub(super) fn join(&mut self, query: Query, joined: Instant, reply: Reply) -> (Slot, bool) {
        // Nobody shares the inputs of an open group.
        Arc::make_mut(&mut self.inputs).push(query.input);
        let slot = self.members.len();
        self.members.push(Member {
            joined,
            accepts_reconstruction: query.accepts_reconstruction,
            reply: Some(reply),
            told: None,
            is_doubtful: false,
            copies: 0,
            is_hedged: false,
            trace: query.trace,
            patience: query.patience,
        });
        let shape = self.code.shape();
        if shape.systematic {
            self.outstanding.push(slot);
        }
        (slot, self.members.len() >= shape.queries)
    }

    /// Takes no more queries. The inputs to be encoded, when the group was still open and a
    /// redundant task can be of use.
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

    /// Redundant tasks were made, and these are sent.
    pub(super) fn encoded(&mut self, sent: impl IntoIterator<Item = Slot>) {
        self.encoding = false;
        self.outstanding.extend(sent);
    }

    /// A queued task was taken back.
    pub(super) fn cancelled(&mut self, slot: Slot) {
        self.no_longer_outstanding(slot);
        let is_query = self.code.shape().systematic && slot < self.members.len();
        let is_coming = self.arrived.contains(slot) || self.outstanding.contains(&slot);
        if is_query && !is_coming {
            // A second copy whose first one has failed.
            self.failed = self.failed.with(slot);
        }
    }

    fn no_longer_outstanding(&mut self, slot: Slot) {
        if let Some(place) = self.outstanding.iter().position(|&s| s == slot) {
            self.outstanding.swap_remove(place);
        }
    }

    /// A worker is given a task of this group.
    pub(super) fn given_to(&mut self, worker: usize) {
        self.parts.push((worker, Part::Running));
    }

    /// The part that a worker has in this group.
    pub(super) fn part(&self, worker: usize) -> Part {
        let own = self.parts.iter().filter(|(of, _)| *of == worker);
        own.map(|(_, part)| *part).max().unwrap_or(Part::None)
    }

    /// Whether somebody has to look at this group at that time; otherwise it is looked at before.
    pub(super) fn wakes_at(&mut self, time: Instant, now: Instant) -> bool {
        let pending = self.wakes.filter(|&wakes| wakes > now);
        if pending.is_some_and(|wakes| wakes <= time) {
            return false;
        }
        self.wakes = Some(time);
        true
    }

    /// When the last of its clients gives up, if all do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let deadlines: Option<Vec<Instant>> = self.members.iter().map(Member::deadline).collect();
        deadlines?.into_iter().max()
    }

    /// Whether the output of a task is here.
    pub(super) fn has_arrived(&self, slot: Slot) -> bool {
        self.arrived.contains(slot)
    }

    /// How many clients wait.
    pub(super) fn waiting(&self) -> usize {
        self.members.iter().filter(|member| member.waits()).count()
    }

    /// Whether somebody waits for this answer.
    pub(super) fn is_wanted(&self, slot: Slot) -> bool {
        self.members.get(slot).is_some_and(Member::waits)
    }

    /// Whether the output of a query is of any use: to its client, to the others of its group, or to
    /// judge the answer that was given instead.
    pub(super) fn is_needed(&self, slot: Slot) -> bool {
        let is_told = self.members.get(slot).is_some_and(|m| m.told.is_some());
        let helps = self.code.shape().stragglers > 0;
        let others = !self.closed || self.encoding || self.waiting() > 0;
        self.is_wanted(slot) || is_told || (helps && others)
    }

    /// Whether a task has failed whose answer somebody waits for.
    pub(super) fn has_failed(&self) -> bool {
        self.stumbled.iter().any(|slot| self.is_wanted(slot))
    }

    /// A worker, or the model, refuses the query: nobody else is asked.
    pub(super) fn refused(&mut self, slot: Slot, reason: String, statistics: &mut Statistics) {
        if let Some(reply) = self.members.get_mut(slot).and_then(|m| m.reply.take()) {
            let lost = &mut statistics.lost;
            let error = ServeError::Refused(reason);
            answer(reply, Err(error), lost, &mut statistics.abandoned);
        }
    }

    /// Whether nothing more can happen to this group.
    pub(super) fn is_over(&self) -> bool {
        self.closed && !self.encoding && self.outstanding.is_empty()
    }

    /// An output arrived, or failed to.
    pub(super) fn arrive(
        &mut self,
        slot: Slot,
        worker: usize,
        output: Option<Tensor>,
        statistics: &mut Statistics,
    ) {
        self.no_longer_outstanding(slot);
        let ended = match &output {
            Some(_) => Part::Answered,
            None => Part::Failed,
        };
        // A worker has one task at a time.
        let running = |(of, part): &&mut (usize, Part)| *of == worker && *part == Part::Running;
        for (_, part) in self.parts.iter_mut().filter(running) {
            *part = ended;
        }
        // A value that is not finite would spoil every reconstruction.
        let output = output.filter(Tensor::is_finite);
        if self.arrived.contains(slot) {
            return;
        }
        let Some(output) = output else {
            self.stumbled = self.stumbled.with(slot);
            if !self.outstanding.contains(&slot) {
                self.failed = self.failed.with(slot);
            }
            return;
        };
        self.failed = self.failed.without(Slots::EMPTY.with(slot));
        self.stumbled = self.stumbled.without(Slots::EMPTY.with(slot));
        if self.code.shape().systematic
            && let Some(member) = self.members.get_mut(slot)
        {
            if let Some(told) = member.told {
                let same = output.argmax() == Some(told);
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

    /// Gives out the answers that can be reconstructed and that the policy allows now. How long until
    /// it will allow the next one, if that is only a matter of time.
    ///
    /// `delay` is how long a query has to wait for it, when it is given out at all; answers with a
    /// smaller margin than `least_margin` are not.
    pub(super) fn recover(
        &mut self,
        delay: Option<Duration>,
        least_margin: f32,
        now: Instant,
        statistics: &mut Statistics,
    ) -> Option<Duration> {
        let (systematic, is_exact) = (self.code.shape().systematic, self.code.is_exact());
        if self.undecodable == Some(self.arrived) {
            return None;
        }
        let decodable = self.code.decodable(self.members.len(), self.arrived);
        let mut due = Slots::EMPTY;
        let mut next: Option<Duration> = None;
        for (slot, member) in self.members.iter().enumerate() {
            let possible = self.closed && decodable.contains(slot) && member.reply.is_some();
            // Answers of a code that mixes all queries are what its clients asked for.
            let accepted = member.accepts_reconstruction || !systematic || is_exact;
            if !(possible && accepted) || member.is_doubtful {
                continue;
            }
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
            self.reconstruct(due, least_margin, statistics);
        }
        next
    }

    /// Queries that should be sent once more: those that failed and that the code cannot make up
    /// for, and late ones. How long until the next one is late.
    pub(super) fn copies(
        &mut self,
        hedge: Option<Duration>,
        reconstructs: bool,
        now: Instant,
    ) -> (Vec<(Slot, bool)>, Option<Duration>) {
        let mut wanted = Vec::new();
        let mut next: Option<Duration> = None;
        if !self.code.shape().systematic {
            return (wanted, next);
        }
        let expected: Slots = self
            .arrived
            .iter()
            .chain(self.outstanding.iter().copied())
            .collect();
        // An open group may still get redundant tasks.
        let hopeful = (!self.closed || self.encoding) && self.code.shape().stragglers > 0;
        let queries = self.members.len();
        let decodable = self.code.decodable(queries, expected);
        for (slot, member) in self.members.iter_mut().enumerate() {
            if !member.waits() || member.ran_out(now).is_some() {
                continue;
            }
            let recoverable = reconstructs
                && (member.accepts_reconstruction || self.code.is_exact())
                && !member.is_doubtful
                && (hopeful || decodable.contains(slot));
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
            let again = is_retry && !recoverable && member.copies < MOST_COPIES;
            if late || again {
                wanted.push((slot, is_retry));
            }
        }
        (wanted, next)
    }

    /// A query is sent once more: its input, its trace, and when its client gives up.
    pub(super) fn send_again(&mut self, slot: Slot, is_retry: bool) -> Option<Copy> {
        let member = self.members.get_mut(slot)?;
        member.copies += u32::from(is_retry);
        member.is_hedged |= !is_retry;
        let copy = Copy {
            input: self.inputs.get(slot)?.clone(),
            trace: member.trace.clone(),
            deadline: member.deadline(),
        };
        self.failed = self.failed.without(Slots::EMPTY.with(slot));
        self.outstanding.push(slot);
        Some(copy)
    }

    /// How long ago a query joined.
    pub(super) fn age(&self, slot: Slot, now: Instant) -> Option<Duration> {
        self.members
            .get(slot)
            .map(|member| now.saturating_duration_since(member.joined))
    }

    fn reconstruct(&mut self, due: Slots, least_margin: f32, statistics: &mut Statistics) {
        let outputs = self.outputs.iter();
        let outputs: Vec<(Slot, &Tensor)> = outputs.map(|o| (o.slot, &o.tensor)).collect();
        let decode = || self.code.decode(self.members.len(), &outputs, due);
        let systematic = self.code.shape().systematic;
        let Some(Ok(decoded)) = unless_it_panics(decode) else {
            // It will not be better when it is tried again with the same; what has failed may be sent
            // again.
            statistics.uncoded += u64::from(self.undecodable.is_none());
            self.undecodable = Some(self.arrived);
            for slot in due.iter().filter(|_| systematic) {
                if let Some(member) = self.members.get_mut(slot) {
                    member.is_doubtful = true;
                }
            }
            return;
        };
        let group = self.members.len();
        // Exact answers, and those of a code that gives no others, are not doubted.
        let is_exact = self.code.is_exact();
        let doubts = systematic && !is_exact;
        for decoded in decoded {
            let Some(member) = self.members.get_mut(decoded.query) else {
                continue;
            };
            if !decoded.output.is_finite() {
                member.is_doubtful |= systematic;
                continue;
            }
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
            if doubts && margin < least_margin {
                member.is_doubtful = true;
                statistics.doubtful += 1;
                continue;
            }
            if let Some(reply) = member.reply.take() {
                member.told = decoded.output.argmax();
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

    /// Tells the clients that are left that their answers are lost: nothing more will arrive.
    pub(super) fn give_up(&mut self, now: Instant, statistics: &mut Statistics) {
        for member in &mut self.members {
            if let Some(patience) = member.ran_out(now)
                && let Some(reply) = member.reply.take()
            {
                // It gave up, or is about to.
                let _ = reply.send(Err(ServeError::DeadlineExceeded(patience)));
                statistics.abandoned += 1;
            }
        }
        let error = ServeError::Unrecoverable {
            missing: self.waiting(),
            received: self.outputs.len(),
        };
        self.fail(&error, statistics);
    }

    /// Tells the clients that are left that the group cannot be coded.
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

/// What a code makes, when it does not panic: its bug costs a group its redundancy, and no more.
pub(super) fn unless_it_panics<T>(code: impl FnOnce() -> T) -> Option<T> {
    // Codes hold nothing that they change.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(code)).ok()
}

/// Answers, and counts under `answered`, or as abandoned when the client is gone.
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
