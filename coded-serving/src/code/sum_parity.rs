//! Parity Models.

use std::sync::Arc;

use super::combine::{combined, rounded};
use super::weights::{LinearDecoder, Weights};
use super::{Code, Cost, Decoded, Inference, Model, Shape, Slot, Slots, Task, check_group};
use crate::error::CodeError;
use crate::tensor::Tensor;

/// The name of the parity model in tasks.
const PARITY: &str = "parity";

/// J. Kosaian, K. V. Rashmi, S. Venkataraman, "Parity Models" (SOSP 2019): the parity query is the sum of the
/// `k` queries, and a parity model is trained to output the sum of the `k` answers.
///
/// The sum is scaled by `1 / sqrt(k)`, so that inputs of the parity model have the usual magnitude. The
/// parity model is trained for exactly `k` queries: smaller groups get no parity.
#[derive(Debug)]
pub struct SumParity {
    weights: Weights,
    scale: f32,
    model: Model,
    operations: u64,
    decoder: LinearDecoder,
}

impl SumParity {
    /// The code for groups of `queries`, with a parity model of `operations` multiply-adds.
    ///
    /// # Errors
    ///
    /// When `queries` is zero or not below [`MAX_TASKS`](super::MAX_TASKS).
    pub fn new(queries: usize, operations: u64) -> Result<Self, CodeError> {
        Ok(Self {
            weights: Weights::sum(queries)?,
            scale: 1.0 / (queries as f64).sqrt() as f32,
            model: Model::Redundant(Arc::from(PARITY)),
            operations,
            decoder: LinearDecoder::default(),
        })
    }

    /// The factor of the sum of the queries.
    #[must_use]
    pub fn scale(&self) -> f32 {
        self.scale
    }
}

impl Code for SumParity {
    fn name(&self) -> String {
        format!("parm({},1)", self.weights.queries())
    }

    fn shape(&self) -> Shape {
        let queries = self.weights.queries();
        Shape {
            queries,
            tasks: queries + 1,
            stragglers: 1,
            byzantine: 0,
            systematic: true,
        }
    }

    fn encode(&self, queries: &[Tensor]) -> Result<Vec<Task>, CodeError> {
        check_group(queries.len(), self.weights.queries())?;
        if queries.len() < self.weights.queries() {
            return Ok(Vec::new());
        }
        // The parity model undoes the scale: its outputs are plain sums of answers.
        let weights = rounded(std::iter::repeat_n(f64::from(self.scale), queries.len()));
        let terms: Vec<(Slot, &Tensor)> = queries.iter().enumerate().collect();
        Ok(vec![Task {
            slot: queries.len(),
            model: self.model.clone(),
            input: combined("query", &weights, &terms)?,
        }])
    }

    fn decodable(&self, queries: usize, arrived: Slots) -> Slots {
        if queries == self.weights.queries() {
            self.decoder.decodable(&self.weights, arrived)
        } else {
            arrived.and(Slots::below(queries))
        }
    }

    fn decode(
        &self,
        queries: usize,
        outputs: &[(Slot, &Tensor)],
        missing: Slots,
    ) -> Result<Vec<Decoded>, CodeError> {
        check_group(queries, self.weights.queries())?;
        if queries < self.weights.queries() {
            // A smaller group has no parity: only answers that arrived can be returned.
            return super::backup::decode_copies(queries, 0, outputs, missing);
        }
        self.decoder.decode(&self.weights, outputs, missing)
    }

    fn cost(&self, base: Inference) -> Cost {
        let sum = (self.weights.queries() * base.values) as u64;
        base.cost(self.operations + sum, base.values)
    }
}
