//! A small backup model beside the base model.

use std::sync::Arc;

use super::combine::check_queries;
use super::{
    Code, Cost, Decoded, Inference, MAX_TASKS, Model, Shape, Slot, Slots, Task, arrived,
    check_group, output_of,
};
use crate::error::CodeError;
use crate::tensor::Tensor;

/// The name of the student model in tasks.
const STUDENT: &str = "student";

/// Every query also goes to a *student*, a smaller model trained to imitate the base model, whose output
/// replaces a missing one. No answer depends on another query, so all answers of a group may be lost.
///
/// This is the "cheaper model" baseline of Parity Models. At equal multiply-adds it is the one to beat.
#[derive(Debug)]
pub struct ApproximateBackup {
    queries: usize,
    model: Model,
    operations: u64,
}

impl ApproximateBackup {
    /// The code for groups of `queries`, with a student of `operations` multiply-adds per query.
    ///
    /// # Errors
    ///
    /// When `queries` is zero or more than half of [`MAX_TASKS`].
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

/// `copies` tasks per query: copy `c` of query `i` of `k` has the slot `c * k + i`, and the query itself is copy 0.
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

/// The queries of which the output or that of a copy has arrived.
pub(super) fn decodable_copies(queries: usize, copies: usize, arrived: Slots) -> Slots {
    (0..queries)
        .filter(|query| (0..=copies).any(|copy| arrived.contains(copy * queries + query)))
        .collect()
}

/// The output of each missing query, or of its first copy that arrived.
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
        // The query's own output is preferred: with a student the copies are only approximate.
        let slots = (0..=copies).map(|copy| copy * queries + query);
        let found = slots
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
