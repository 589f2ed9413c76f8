//! Codes: how a group of queries survives the loss of some workers.
//!
//! A group holds `k` queries. A *systematic* code sends each query to a worker as it is (slots `0`
//! to `k - 1`) and adds redundant tasks (slots from `k` on); nothing waits for the group to fill.
//! A code that is not systematic mixes all queries into every task.
//!
//! | code | redundant tasks | answered by | a lost answer is |
//! | --- | --- | --- | --- |
//! | [`Replication`] | copies of each query | the base model | exact |
//! | [`ApproximateBackup`] | each query once | a small student | the student's |
//! | [`SumParity`] (Parity Models) | 1: the sum of the queries | a parity model | parity minus the other answers |
//! | [`InvNet`] (Coded-InvNet) | r: made by an encoder | the base model | solved from `r` mixtures of latents |
//! | [`Interpolation`] (`ApproxIFER`, `NeRCC`) | all tasks are mixtures | the base model | read off a curve, as every answer is |
//!
//! Baselines that send no redundant task of their own are [`policy`]: more workers, and a second copy
//! of late queries.

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

/// The size of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Queries in a full group.
    pub queries: usize,
    /// Tasks of a full group, the queries of a systematic code among them.
    pub tasks: usize,
    /// Lost outputs that a full group survives, whichever they are.
    pub stragglers: usize,
    /// Wrong outputs that a full group survives besides.
    pub byzantine: usize,
    /// Whether the queries themselves are tasks.
    pub systematic: bool,
}

/// Which model has to answer a task.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Model {
    /// The model that is being served.
    Base,
    /// A model made for redundant tasks, by name: a parity model or a student.
    Redundant(Arc<str>),
}

/// Something for a worker to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its number in the group.
    pub slot: Slot,
    /// The model that has to answer it.
    pub model: Model,
    /// What the model is asked.
    pub input: Tensor,
}

/// A reconstructed answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The query, as its place in the group.
    pub query: usize,
    /// The answer.
    pub output: Tensor,
}

/// What one inference of the base model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inference {
    /// Multiplications, each with an addition.
    pub operations: u64,
    /// Numbers in a query.
    pub values: usize,
}

/// What the redundancy of one full group costs, relative to one inference of the base model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Multiply-adds of the encoder and of the models that answer redundant tasks, over those of one
    /// inference.
    pub operations: f64,
    /// Bytes that the workers of redundant tasks receive, over those of one query. Encoders run at
    /// the front end; where one runs on the redundant worker instead, that worker receives all the
    /// queries of the group.
    pub ingress: f64,
}

impl Inference {
    /// The cost of so many multiply-adds and so many numbers sent.
    pub(crate) fn cost(self, operations: u64, values: usize) -> Cost {
        Cost {
            operations: operations as f64 / self.operations.max(1) as f64,
            ingress: values as f64 / self.values.max(1) as f64,
        }
    }
}

/// How a group of queries survives the loss of some workers.
///
/// Outputs are what the model gives before any softmax: codes rely on sums of them.
///
/// The trait does no input or output, and can be made into an object.
pub trait Code: Send + Sync + fmt::Debug {
    /// Its name with its size, such as `coded-invnet(10,1)`.
    fn name(&self) -> String;

    /// Its size.
    fn shape(&self) -> Shape;

    /// Whether a reconstructed answer is the one that the model itself would give [default: not].
    fn is_exact(&self) -> bool {
        false
    }

    /// The redundant tasks of this group; all tasks, when the code is not systematic.
    ///
    /// A group may have fewer queries than the code has. It gets what protection the code can give
    /// it, which may be none.
    ///
    /// # Errors
    ///
    /// When the queries differ in shape, are none or too many, or are not finite.
    fn encode(&self, queries: &[Tensor]) -> Result<Vec<Task>, CodeError>;

    /// Those of the first `queries` queries whose answers [`decode`](Self::decode) can give now,
    /// when the outputs of the tasks `arrived` are here. Answers that arrived themselves are among
    /// them.
    fn decodable(&self, queries: usize, arrived: Slots) -> Slots;

    /// The answers of the queries `missing`.
    ///
    /// `queries` is the number of queries in the group; `outputs` are in no particular order, each
    /// slot at most once.
    ///
    /// # Errors
    ///
    /// [`CodeError::Unrecoverable`] when too little arrived: never a wrong answer instead.
    /// [`CodeError::NotFinite`] names an output to be dropped.
    fn decode(
        &self,
        queries: usize,
        outputs: &[(Slot, &Tensor)],
        missing: Slots,
    ) -> Result<Vec<Decoded>, CodeError>;

    /// What the redundancy of a full group costs.
    fn cost(&self, base: Inference) -> Cost;
}

/// That a group has a possible number of queries.
fn check_group(queries: usize, most: usize) -> Result<(), CodeError> {
    if (1..=most).contains(&queries) {
        Ok(())
    } else {
        Err(CodeError::parameter(
            "queries",
            format!("1 to {most}"),
            queries,
        ))
    }
}

/// The slots of outputs: each below `tasks`, and none twice.
fn arrived(outputs: &[(Slot, &Tensor)], tasks: usize) -> Result<Slots, CodeError> {
    let mut slots = Slots::EMPTY;
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

/// The answers to missing queries that are themselves among the outputs, and what is left.
fn already_here(
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
