//! Replication.

use super::backup::{copies, decodable_copies, decode_copies};
use super::combine::check_queries;
use super::{
    Code, Cost, Decoded, Inference, MAX_TASKS, Model, Shape, Slot, Slots, Task, check_group,
};
use crate::error::CodeError;
use crate::tensor::Tensor;

/// Every query goes to the base model `copies + 1` times, and the first answer wins. Zero copies is serving
/// without redundancy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replication {
    queries: usize,
    copies: usize,
}

impl Replication {
    /// The code for groups of `queries`, with `copies` additional copies of each.
    ///
    /// # Errors
    ///
    /// When `queries` is zero, or a group would have more than [`MAX_TASKS`] tasks.
    pub fn new(queries: usize, copies: usize) -> Result<Self, CodeError> {
        check_group(queries, MAX_TASKS)?;
        // `queries * (copies + 1)` tasks have to fit.
        let max = MAX_TASKS / queries - 1;
        if copies > max {
            return Err(CodeError::parameter(
                "copies",
                format!("0 to {max}"),
                copies,
            ));
        }
        Ok(Self { queries, copies })
    }
}

impl Code for Replication {
    fn name(&self) -> String {
        format!("replication({},{})", self.queries, self.copies)
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn shape(&self) -> Shape {
        Shape {
            queries: self.queries,
            tasks: self.queries * (self.copies + 1),
            stragglers: self.copies,
            byzantine: 0,
            systematic: true,
        }
    }

    fn encode(&self, queries: &[Tensor]) -> Result<Vec<Task>, CodeError> {
        check_group(queries.len(), self.queries)?;
        check_queries(queries)?;
        Ok(copies(queries, self.copies, &Model::Base))
    }

    fn decodable(&self, queries: usize, arrived: Slots) -> Slots {
        decodable_copies(queries, self.copies, arrived)
    }

    fn decode(
        &self,
        queries: usize,
        outputs: &[(Slot, &Tensor)],
        missing: Slots,
    ) -> Result<Vec<Decoded>, CodeError> {
        check_group(queries, self.queries)?;
        decode_copies(queries, self.copies, outputs, missing)
    }

    fn cost(&self, base: Inference) -> Cost {
        let tasks = self.queries * self.copies;
        base.cost(tasks as u64 * base.operations, tasks * base.values)
    }
}
