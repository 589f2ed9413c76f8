//! Codes: redundancy that protects a group of queries from the loss of outputs.
//!
//! A group has `k` queries. A *systematic* code sends each query unchanged (slots `0` to `k - 1`) and adds
//! redundant tasks (slots from `k`); no query waits for the group to fill. A code that is not systematic
//! mixes all queries into every task.
//!
//! | code | redundant tasks | answered by | a lost answer is |
//! | --- | --- | --- | --- |
//! | [`Replication`] | copies of each query | the base model | exact |
//! | [`ApproximateBackup`] | each query once | a small student | the student's |
//! | [`SumParity`] (Parity Models) | 1: the sum of the queries | a parity model | parity minus the other answers |
//! | [`InvNet`] (Coded-InvNet) | `r`, computed by an encoder | the base model | solved from `r` weighted means |
//! | [`Interpolation`] (`ApproxIFER`, `NeRCC`) | all tasks are mixtures | the base model | interpolated, like every answer |
//!
//! Baselines without redundant tasks are in [`policy`]: more workers, and hedging of late queries.

mod backup;
pub mod byzantine;
mod cache;
mod combine;
mod interpolation;
mod invnet;
pub mod nodes;
pub mod policy;
mod replication;
mod slots;
pub mod smoother;
mod sum_parity;
mod weights;

pub use backup::ApproximateBackup;
pub use combine::combine;
pub use interpolation::{Interpolation, Smoother};
pub use invnet::{Encoder, InvNet, MixedQueries};
pub use replication::Replication;
pub use slots::{MAX_TASKS, Slot, Slots};
pub use sum_parity::SumParity;
pub use weights::{Recovery, Weights};

use std::fmt;
use std::sync::Arc;

use crate::error::CodeError;
use crate::tensor::Tensor;

/// The size and kind of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Queries in a full group.
    pub queries: usize,
    /// Tasks of a full group, the queries of a systematic code among them.
    pub tasks: usize,
    /// The number of lost outputs that a full group tolerates, whichever they are.
    pub stragglers: usize,
    /// The number of wrong outputs that it tolerates in addition.
    pub byzantine: usize,
    /// Whether the queries themselves are tasks.
    pub systematic: bool,
}

/// The model that answers a task.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Model {
    /// The served model.
    Base,
    /// A model for redundant tasks, by name: a parity model or a student.
    Redundant(Arc<str>),
}

/// A task for a worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its slot in the group.
    pub slot: Slot,
    /// The model to run.
    pub model: Model,
    /// The input of the model.
    pub input: Tensor,
}

/// A reconstructed answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The index of the query in the group.
    pub query: usize,
    /// The answer.
    pub output: Tensor,
}

/// The cost of one inference of the base model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inference {
    /// Multiply-adds.
    pub operations: u64,
    /// Values in a query.
    pub values: usize,
}

/// The cost of the redundancy of a full group, relative to one inference of the base model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Multiply-adds of the encoder and of the redundant tasks, divided by those of one inference.
    pub operations: f64,
    /// Bytes sent for redundant tasks, divided by those of one query. The encoder is assumed to run at the
    /// front end; on the redundant worker, it would receive all queries of the group.
    pub ingress: f64,
}

impl Inference {
    /// The cost of `operations` multiply-adds and `values` values sent.
    pub(crate) fn cost(self, operations: u64, values: usize) -> Cost {
        Cost {
            operations: operations as f64 / self.operations.max(1) as f64,
            ingress: values as f64 / self.values.max(1) as f64,
        }
    }
}

/// An erasure code for predictions.
///
/// Outputs are those of the model before any softmax: codes decode weighted sums of them.
///
/// Implementations do no I/O. The trait is dyn compatible.
pub trait Code: Send + Sync + fmt::Debug {
    /// The name with the size, such as `coded-invnet(10,1)`.
    fn name(&self) -> String;

    /// The size and kind.
    fn shape(&self) -> Shape;

    /// Whether reconstructed answers equal the model's own [default: `false`].
    fn is_exact(&self) -> bool {
        false
    }

    /// The redundant tasks of a group; all its tasks if the code is not systematic.
    ///
    /// A group may be smaller than [`Shape::queries`]. It gets the redundancy that the code has for its
    /// size, possibly none.
    ///
    /// # Errors
    ///
    /// When there are no queries or too many, or they differ in shape or are not finite.
    fn encode(&self, queries: &[Tensor]) -> Result<Vec<Task>, CodeError>;

    /// The queries of a group of `queries` whose answers [`decode`](Self::decode) can return from the
    /// outputs in the slots `arrived`, including those that arrived themselves.
    fn decodable(&self, queries: usize, arrived: Slots) -> Slots;

    /// The answers to the queries `missing`.
    ///
    /// `queries` is the number of queries in the group; `outputs` are in any order, each slot at most once.
    ///
    /// # Errors
    ///
    /// [`CodeError::Unrecoverable`] when too few outputs arrived, [`CodeError::NotFinite`] with the slot of
    /// an output that has to be dropped.
    fn decode(
        &self,
        queries: usize,
        outputs: &[(Slot, &Tensor)],
        missing: Slots,
    ) -> Result<Vec<Decoded>, CodeError>;

    /// The cost of the redundancy of a full group.
    fn cost(&self, base: Inference) -> Cost;
}

/// Checks the number of queries of a group.
fn check_group(queries: usize, max: usize) -> Result<(), CodeError> {
    if (1..=max).contains(&queries) {
        Ok(())
    } else {
        Err(CodeError::parameter(
            "queries",
            format!("1 to {max}"),
            queries,
        ))
    }
}

/// The slots of the outputs. Checks that each is below `tasks` and occurs once.
fn arrived(outputs: &[(Slot, &Tensor)], tasks: usize) -> Result<Slots, CodeError> {
    let mut slots = Slots::EMPTY;
    // A duplicate would count twice in a weighted sum.
    for (slot, _) in outputs {
        if *slot >= tasks || slots.contains(*slot) {
            let expected = format!("each slot below {tasks} at most once");
            return Err(CodeError::parameter("outputs", expected, slot));
        }
        slots = slots.with(*slot);
    }
    Ok(slots)
}

/// The output of a slot.
fn output_of<'a>(outputs: &[(Slot, &'a Tensor)], wanted: Slot) -> Option<&'a Tensor> {
    let found = outputs.iter().find(|(slot, _)| *slot == wanted);
    found.map(|(_, output)| *output)
}

/// The missing answers that are among the outputs, and the slots of the others.
fn already_arrived(
    outputs: &[(Slot, &Tensor)],
    missing: Slots,
) -> Result<(Vec<Decoded>, Slots), CodeError> {
    let mut left = missing;
    let mut here = Vec::new();
    for &(slot, output) in outputs {
        if missing.contains(slot) {
            if !output.is_finite() {
                return Err(CodeError::NotFinite {
                    what: "output",
                    index: slot,
                });
            }
            left = left.without(Slots::EMPTY.with(slot));
            here.push(Decoded {
                query: slot,
                output: output.clone(),
            });
        }
    }
    Ok((here, left))
}
