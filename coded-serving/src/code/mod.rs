//! Codes: how a group of queries survives the loss of some workers.
//!
//! A group holds `k` queries. A *systematic* code sends each query to a worker as it is (slots `0`
//! to `k - 1`) and adds redundant tasks (slots from `k` on); nothing waits for the group to fill.
//! A code that is not systematic mixes all queries into every task.

mod linear;
pub mod nodes;
pub mod smoother;

pub use linear::Weights;

use crate::error::CodeError;
use crate::tensor::Tensor;

/// A task of a group: systematic codes number the queries first, then the redundant tasks.
pub type Slot = usize;

/// The size of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Queries in a full group.
    pub queries: usize,
    /// Tasks of a full group, the queries of a systematic code among them.
    pub tasks: usize,
    /// Lost outputs that a group survives.
    pub stragglers: usize,
    /// Wrong outputs that a group survives besides.
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
    Redundant(String),
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

/// What the redundancy of one group costs, relative to one inference of the base model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Multiplications of encoder and redundant inference, over those of one inference.
    pub operations: f64,
    /// Bytes that the redundant workers receive, over those of one query.
    pub ingress: f64,
}

/// How a group of queries survives the loss of some workers.
///
/// Outputs are what the model gives before any softmax: codes rely on sums of them.
pub trait Code: Send + Sync {
    /// Its size.
    fn shape(&self) -> Shape;

    /// The tasks that this group adds to its queries; all tasks, when the code is not systematic.
    /// A systematic code accepts groups of fewer than `k` queries if it can.
    ///
    /// # Errors
    ///
    /// When the queries differ in shape, are too few or too many, or are not finite.
    fn encode(&self, queries: &[Tensor]) -> Result<Vec<Task>, CodeError>;

    /// The answers of the queries `missing`, from the outputs that arrived.
    ///
    /// `queries` is the number of queries of the group; `outputs` are in no particular order.
    ///
    /// # Errors
    ///
    /// [`CodeError::Unrecoverable`] when too little arrived: never a wrong answer instead.
    fn decode(
        &self,
        queries: usize,
        outputs: &[(Slot, Tensor)],
        missing: &[usize],
    ) -> Result<Vec<Decoded>, CodeError>;

    /// What the redundancy of a full group costs, when one inference of the base model takes
    /// `operations` multiplications and a query has `values` numbers.
    fn cost(&self, operations: u64, values: usize) -> Cost;
}
