//! One group of queries: what was sent, what arrived, who has an answer. No clock, no input or
//! output.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::code::{Code, Slot, Slots};
use crate::error::CodeError;
use crate::tensor::Tensor;

use super::prediction::{Prediction, Provenance, ReconstructionPolicy, ServeError};
use super::statistics::Statistics;

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
}

/// A group, from its first query to its last output.
#[derive(Debug)]
pub(super) struct Group {
    code: Arc<dyn Code>,
    name: Arc<str>,
    inputs: Vec<Tensor>,
    members: Vec<Member>,
    outputs: Vec<(Slot, Tensor)>,
    arrived: Slots,
    failed: Slots,
    /// Tasks that are queued or running.
    outstanding: usize,
    closed: bool,
    /// Redundant tasks are being made.
    encoding: bool,
    /// Workers that were given a task of this group.
    pub(super) workers: Vec<usize>,
}

impl Group {
    pub(super) fn new(code: Arc<dyn Code>, name: Arc<str>) -> Self {
        Self {
            code,
            name,
            inputs: Vec::new(),
            members: Vec::new(),
            outputs: Vec::new(),
            arrived: Slots::EMPTY,
            failed: Slots::EMPTY,
            outstanding: 0,
            closed: false,
            encoding: false,
            workers: Vec::new(),
        }
    }

    /// Adds a query; its slot, and whether the group is full now.
    pub(super) fn join(
        &mut self,
        input: Tensor,
        accepts_reconstruction: bool,
        joined: Instant,
        reply: Reply,
    ) -> (Slot, bool) {
        self.inputs.push(input);
        self.members.push(Member {
            joined,
            accepts_reconstruction,
            reply: Some(reply),
            told: None,
        });
        let shape = self.code.shape();
        self.outstanding += usize::from(shape.systematic);
        (self.members.len() - 1, self.members.len() >= shape.queries)
    }

    /// Takes no more queries. The inputs to be encoded, when the group was still open and a
    /// redundant task can be of use.
    pub(super) fn close(&mut self) -> Option<Vec<Tensor>> {
        if std::mem::replace(&mut self.closed, true) {
            return None;
        }
        let inputs = std::mem::take(&mut self.inputs);
        let useful = !self.code.shape().systematic || self.waiting() > 0;
        self.encoding = useful;
        useful.then_some(inputs)
    }

    /// Redundant tasks were made, and so many are sent.
    pub(super) fn encoded(&mut self, sent: usize) {
        self.encoding = false;
        self.outstanding += sent;
    }

    /// A queued task was taken back.
    pub(super) fn cancelled(&mut self) {
        self.outstanding -= 1;
    }

    /// How many clients wait.
    pub(super) fn waiting(&self) -> usize {
        let waits = |member: &&Member| member.reply.is_some();
        self.members.iter().filter(waits).count()
    }

    /// Whether nothing more can happen to this group.
    pub(super) fn is_over(&self) -> bool {
        self.closed && !self.encoding && self.outstanding == 0
    }

    /// An output arrived, or failed to.
    pub(super) fn arrive(
        &mut self,
        slot: Slot,
        worker: usize,
        output: Option<Tensor>,
        statistics: &mut Statistics,
    ) {
        self.outstanding -= 1;
        // A value that is not finite would spoil every reconstruction.
        let Some(output) = output.filter(Tensor::is_finite) else {
            self.failed = self.failed.with(slot);
            statistics.failures += 1;
            return;
        };
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
        self.outputs.push((slot, output));
    }

    /// Gives out the answers that can be reconstructed and that the policy allows now. How long until
    /// it will allow the next one, if that is only a matter of time.
    pub(super) fn recover(
        &mut self,
        policy: ReconstructionPolicy,
        now: Instant,
        statistics: &mut Statistics,
    ) -> Option<Duration> {
        let systematic = self.code.shape().systematic;
        let decodable = self.code.decodable(self.members.len(), self.arrived);
        let mut due = Slots::EMPTY;
        let mut next: Option<Duration> = None;
        for (slot, member) in self.members.iter().enumerate() {
            let possible = self.closed && decodable.contains(slot) && member.reply.is_some();
            // Answers of a code that mixes all queries are what its clients asked for.
            let accepted = member.accepts_reconstruction || !systematic;
            if !(possible && accepted) {
                continue;
            }
            let lost = self.failed.contains(slot) || !systematic;
            let left = match policy {
                _ if lost => Duration::ZERO,
                ReconstructionPolicy::FirstWins => Duration::ZERO,
                ReconstructionPolicy::AfterDelay(delay) => {
                    (member.joined + delay).saturating_duration_since(now)
                }
                ReconstructionPolicy::Never => continue,
            };
            if left.is_zero() {
                due = due.with(slot);
            } else {
                next = Some(next.map_or(left, |next| next.min(left)));
            }
        }
        if policy == ReconstructionPolicy::Never && systematic {
            return None;
        }
        if !due.is_empty() {
            self.reconstruct(due, statistics);
        }
        next
    }

    fn reconstruct(&mut self, due: Slots, statistics: &mut Statistics) {
        let outputs: Vec<(Slot, &Tensor)> = self.outputs.iter().map(|(s, t)| (*s, t)).collect();
        // What the code cannot tell after all is told as lost when the group is over.
        let Ok(decoded) = self.code.decode(self.members.len(), &outputs, due) else {
            return;
        };
        let group = self.members.len();
        for decoded in decoded {
            let Some(member) = self.members.get_mut(decoded.query) else {
                continue;
            };
            if !decoded.output.is_finite() {
                continue;
            }
            if let Some(reply) = member.reply.take() {
                member.told = decoded.output.argmax();
                let prediction = Prediction {
                    output: decoded.output,
                    provenance: Provenance::Reconstructed {
                        code: Arc::clone(&self.name),
                        group,
                    },
                };
                let answered = &mut statistics.reconstructed;
                answer(reply, Ok(prediction), answered, &mut statistics.abandoned);
            }
        }
    }

    /// Tells the clients that are left that their answers are lost: nothing more will arrive.
    pub(super) fn give_up(&mut self, statistics: &mut Statistics) {
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
