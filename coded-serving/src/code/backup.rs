//! A small model beside the large one.

use std::sync::Arc;

use super::combine::check_queries;
use super::{
    Code, Cost, Decoded, Inference, MAX_TASKS, Model, Shape, Slot, Slots, Task, arrived,
    check_group, output_of,
};
use crate::error::CodeError;
use crate::tensor::Tensor;

/// The name of the student.
const STUDENT: &str = "student";

/// Every query also goes to a *student*, a smaller model trained to answer as the base model does; its
/// answer stands in for one that is missing. No answer depends on another query: nothing has to be
/// gathered, and every answer may be lost.
///
/// This is the "cheaper model" baseline of Parity Models. At equal multiply-adds it is the one to beat.
#[derive(Debug)]
pub struct ApproximateBackup {
    queries: usize,
    model: Model,
    operations: u64,
}

impl ApproximateBackup {
    /// The code for groups of `queries`, whose student takes so many multiply-adds for a query.
    ///
    /// # Errors
    ///
    /// When there is no query, or more than half of what a group can have.
    pub fn new(queries: usize, operations: u64) -> Result<Self, CodeError> {
        check_group(queries, MAX_TASKS / 2)?;
        Ok(Self {
            queries,
            model: Model::Redundant(Arc::from(STUDENT)),
            operations,
        })
    }
}

impl Code for ApproximateBackup {
    fn name(&self) -> String {
        format!("approximate-backup({})", self.queries)
    }

    fn shape(&self) -> Shape {
        Shape {
            queries: self.queries,
            tasks: 2 * self.queries,
            stragglers: 1,
            byzantine: 0,
            systematic: true,
        }
    }

    fn encode(&self, queries: &[Tensor]) -> Result<Vec<Task>, CodeError> {
        check_group(queries.len(), self.queries)?;
        check_queries(queries)?;
        Ok(copies(queries, 1, &self.model))
    }

    fn decodable(&self, queries: usize, arrived: Slots) -> Slots {
        decodable_copies(queries, 1, arrived)
    }

    fn decode(
        &self,
        queries: usize,
        outputs: &[(Slot, &Tensor)],
        missing: Slots,
    ) -> Result<Vec<Decoded>, CodeError> {
        check_group(queries, self.queries)?;
        decode_copies(queries, 1, outputs, missing)
    }

    fn cost(&self, base: Inference) -> Cost {
        let queries = self.queries as u64;
        base.cost(queries * self.operations, self.queries * base.values)
    }
}

/// Each query once more for each copy: copy `c` of query `i` has the slot `c * k + i`.
pub(super) fn copies(queries: &[Tensor], copies: usize, model: &Model) -> Vec<Task> {
    (1..=copies)
        .flat_map(|copy| {
            let tasks = queries.iter().enumerate();
            tasks.map(move |(query, input)| Task {
                slot: copy * queries.len() + query,
                model: model.clone(),
                input: input.clone(),
            })
        })
        .collect()
}

pub(super) fn decodable_copies(queries: usize, copies: usize, arrived: Slots) -> Slots {
    (0..queries)
        .filter(|query| (0..=copies).any(|copy| arrived.contains(copy * queries + query)))
        .collect()
}

/// The answer itself, else that of the first copy.
pub(super) fn decode_copies(
    queries: usize,
    copies: usize,
    outputs: &[(Slot, &Tensor)],
    missing: Slots,
) -> Result<Vec<Decoded>, CodeError> {
    let slots = arrived(outputs, (copies + 1) * queries)?;
    let lost = missing.without(decodable_copies(queries, copies, slots));
    if !lost.is_empty() {
        return Err(CodeError::Unrecoverable {
            missing: lost.len(),
            received: 0,
        });
    }
    let mut answers = Vec::with_capacity(missing.len());
    for query in missing.iter() {
        let places = (0..=copies).map(|copy| copy * queries + query);
        let found = places
            .filter_map(|slot| Some((slot, output_of(outputs, slot)?)))
            .next();
        if let Some((slot, output)) = found {
            if !output.is_finite() {
                return Err(CodeError::NotFinite {
                    what: "output",
                    index: slot,
                });
            }
            answers.push(Decoded {
                query,
                output: output.clone(),
            });
        }
    }
    Ok(answers)
}
