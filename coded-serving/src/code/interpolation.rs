//! Interpolation codes for any model: `ApproxIFER` and `NeRCC`.

use super::byzantine::locate;
use super::cache::Cache;
use super::combine::{check_queries, combined, rounded};
use super::nodes::{Nodes, of_queries};
use super::{
    Code, Cost, Decoded, Inference, MAX_TASKS, Model, Shape, Slot, Slots, Task, arrived,
    check_group, output_of, smoother,
};
use crate::error::CodeError;
use crate::tensor::Tensor;

/// The curve through the queries, and through the outputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Smoother {
    /// Berrut's rational interpolant: `ApproxIFER` (M. Soleymani, R. E. Ali, H. Mahdavifar,
    /// A. S. Avestimehr, AAAI 2022).
    Berrut,
    /// Natural cubic smoothing splines: `NeRCC` (P. Moradi, M. A. Maddah-Ali, 2024). The penalties weigh
    /// the integrated squared second derivative against the sum of squared residuals; 0 interpolates.
    Spline {
        /// The penalty of the curve through the queries.
        encode: f64,
        /// The penalty of the curve through the outputs.
        decode: f64,
    },
}

impl Smoother {
    /// Splines with penalties of `1e-6`, between the best ones for groups of 8, 10 and 12 training images with
    /// the base model of Parity Models on MNIST (`reproduce-coded-serving`, claim Q5).
    pub const SPLINE: Self = Self::Spline {
        encode: 1e-6,
        decode: 1e-6,
    };

    fn encoding(self, nodes: &[f64], at: &[f64]) -> Vec<Vec<f64>> {
        match self {
            Self::Berrut => smoother::berrut(nodes, at),
            Self::Spline { encode, .. } => smoother::spline(nodes, encode, at),
        }
    }

    fn decoding(self, nodes: &[f64], at: &[f64]) -> Vec<Vec<f64>> {
        match self {
            Self::Berrut => smoother::berrut(nodes, at),
            Self::Spline { decode, .. } => smoother::spline(nodes, decode, at),
        }
    }
}

/// Every task is a point on a curve through the queries. The base model answers all tasks, and the answers
/// are points on a curve through its outputs. Nothing is trained and any model can be used, but every
/// answer is approximate, and the tasks wait for the group to fill.
#[derive(Debug)]
pub struct Interpolation {
    queries: usize,
    tasks: usize,
    stragglers: usize,
    byzantine: usize,
    smoother: Smoother,
    nodes: Nodes,
    encodings: Cache<Vec<Vec<f32>>>,
    decodings: Cache<Vec<Vec<f32>>>,
}

impl Interpolation {
    /// The code for groups of `queries`, encoded into `tasks` tasks, any `stragglers` of which may be lost.
    ///
    /// # Errors
    ///
    /// When `queries` is zero, `tasks` is less than `queries + stragglers` or more than [`MAX_TASKS`], or a
    /// penalty is negative or not finite.
    pub fn new(
        queries: usize,
        tasks: usize,
        stragglers: usize,
        smoother: Smoother,
    ) -> Result<Self, CodeError> {
        check_group(queries, MAX_TASKS)?;
        let min_tasks = queries.saturating_add(stragglers);
        if !(min_tasks..=MAX_TASKS).contains(&tasks) {
            let expected = format!("{min_tasks} to {MAX_TASKS}");
            return Err(CodeError::parameter("tasks", expected, tasks));
        }
        if let Smoother::Spline { encode, decode } = smoother {
            for penalty in [encode, decode] {
                if !(penalty.is_finite() && penalty >= 0.0) {
                    let expected = "a finite number, at least 0";
                    return Err(CodeError::parameter("penalty", expected, penalty));
                }
            }
        }
        Ok(Self {
            queries,
            tasks,
            stragglers,
            byzantine: 0,
            smoother,
            nodes: Nodes::default(),
            encodings: Cache::default(),
            decodings: Cache::default(),
        })
    }

    /// Also locates and drops `byzantine` wrong outputs per group. This takes
    /// `stragglers + 2 queries + 2 byzantine - 1` tasks.
    ///
    /// # Errors
    ///
    /// When there are fewer tasks.
    pub fn byzantine(mut self, byzantine: usize) -> Result<Self, CodeError> {
        // 2 (queries + byzantine) - 1 outputs determine the rational fit of `ApproxIFER`'s search.
        let mixed = self.queries.saturating_add(byzantine).saturating_mul(2);
        let min_tasks = self.stragglers.saturating_add(mixed);
        if byzantine > 0 && self.tasks.saturating_add(1) < min_tasks {
            let expected = format!("at least {}", min_tasks - 1);
            return Err(CodeError::parameter("tasks", expected, self.tasks));
        }
        self.byzantine = byzantine;
        Ok(self)
    }

    /// Sets the points of the tasks [default: [`Nodes::Released`]].
    #[must_use]
    pub fn nodes(mut self, nodes: Nodes) -> Self {
        self.nodes = nodes;
        self
    }

    /// The number of tasks of a group of `queries`: with as much redundancy as a full group.
    fn tasks_of(&self, queries: usize) -> usize {
        self.tasks - (self.queries - queries)
    }

    /// The encoding matrix for a group of `queries`: one row per task, one weight per query.
    ///
    /// # Errors
    ///
    /// When `queries` is zero or more than in a full group.
    pub fn encoding(&self, queries: usize) -> Result<Vec<Vec<f64>>, CodeError> {
        check_group(queries, self.queries)?;
        let at = self.nodes.of_tasks(self.tasks_of(queries));
        Ok(self.smoother.encoding(&of_queries(queries), &at))
    }

    /// The decoding matrix for a group of `queries`, from the outputs of `slots`: one row per answer, one
    /// weight per slot in ascending order.
    ///
    /// # Errors
    ///
    /// When `queries` is zero or more than in a full group, or `slots` is empty or has a slot that the group
    /// does not have.
    pub fn decoding(&self, queries: usize, slots: Slots) -> Result<Vec<Vec<f64>>, CodeError> {
        check_group(queries, self.queries)?;
        let all = self.nodes.of_tasks(self.tasks_of(queries));
        if slots.is_empty() || !slots.without(Slots::below(all.len())).is_empty() {
            let expected = format!("at least one slot, all below {}", all.len());
            return Err(CodeError::parameter(
                "slots",
                expected,
                format!("{slots:?}"),
            ));
        }
        let nodes: Vec<f64> = slots.iter().map(|slot| all[slot]).collect();
        Ok(self.smoother.decoding(&nodes, &of_queries(queries)))
    }

    /// The slots without those of the outputs located as wrong.
    fn without_wrong(
        &self,
        queries: usize,
        outputs: &[(Slot, &Tensor)],
        slots: Slots,
    ) -> Result<Slots, CodeError> {
        if self.byzantine == 0 {
            return Ok(slots);
        }
        let all = self.encoding(queries)?;
        let sorted: Vec<(Slot, &Tensor)> = slots
            .iter()
            .filter_map(|slot| Some((slot, output_of(outputs, slot)?)))
            .collect();
        let curves: Vec<Vec<f64>> = sorted.iter().map(|(slot, _)| all[*slot].clone()).collect();
        let values: Vec<&[f32]> = sorted.iter().map(|(_, output)| output.values()).collect();
        // The encoding weights are the curves that the outputs of a linear model would follow.
        let wrong = locate(&curves, &values, self.byzantine);
        let wrong = wrong.into_iter().map(|place| sorted[place].0).collect();
        Ok(slots.without(wrong))
    }
}

impl Code for Interpolation {
    fn name(&self) -> String {
        let name = match self.smoother {
            Smoother::Berrut => "approxifer",
            Smoother::Spline { .. } => "nercc",
        };
        format!(
            "{name}({},{},{})",
            self.queries, self.tasks, self.stragglers
        )
    }

    fn shape(&self) -> Shape {
        Shape {
            queries: self.queries,
            tasks: self.tasks,
            stragglers: self.stragglers,
            byzantine: self.byzantine,
            systematic: false,
        }
    }

    fn encode(&self, queries: &[Tensor]) -> Result<Vec<Task>, CodeError> {
        check_group(queries.len(), self.queries)?;
        check_queries(queries)?;
        let weights = self
            .encodings
            // The encoding weights depend on the group size only.
            .get_or_make(queries.len(), Slots::EMPTY, || {
                let rows = self.encoding(queries.len())?;
                Ok(rows.into_iter().map(rounded).collect())
            })?;
        let terms: Vec<(Slot, &Tensor)> = queries.iter().enumerate().collect();
        let tasks = weights.iter().enumerate().map(|(slot, weights)| {
            Ok(Task {
                slot,
                model: Model::Base,
                input: combined("query", weights, &terms)?,
            })
        });
        tasks.collect()
    }

    fn decodable(&self, queries: usize, arrived: Slots) -> Slots {
        if !(1..=self.queries).contains(&queries) {
            return Slots::EMPTY;
        }
        // Accuracy drops with every lost output, so decoding waits for all but the stragglers.
        let tasks = self.tasks_of(queries);
        if arrived.and(Slots::below(tasks)).len() + self.stragglers >= tasks {
            Slots::below(queries)
        } else {
            Slots::EMPTY
        }
    }

    fn decode(
        &self,
        queries: usize,
        outputs: &[(Slot, &Tensor)],
        missing: Slots,
    ) -> Result<Vec<Decoded>, CodeError> {
        check_group(queries, self.queries)?;
        let slots = arrived(outputs, self.tasks_of(queries))?;
        if !missing.without(Slots::below(queries)).is_empty() {
            let expected = format!("queries below {queries}");
            let found = format!("{missing:?}");
            return Err(CodeError::parameter("missing", expected, found));
        }
        if self.decodable(queries, slots).is_empty() {
            return Err(CodeError::Unrecoverable {
                missing: missing.len(),
                received: slots.len(),
            });
        }
        // A value that is not finite would make the search for wrong outputs meaningless.
        if let Some((index, _)) = outputs.iter().find(|(_, output)| !output.is_finite()) {
            return Err(CodeError::NotFinite {
                what: "output",
                index: *index,
            });
        }
        let slots = self.without_wrong(queries, outputs, slots)?;
        // The weights depend only on which outputs are used.
        let weights = self.decodings.get_or_make(queries, slots, || {
            let rows = self.decoding(queries, slots)?;
            Ok(rows.into_iter().map(rounded).collect())
        })?;
        let terms: Vec<(Slot, &Tensor)> = slots
            .iter()
            .filter_map(|slot| Some((slot, output_of(outputs, slot)?)))
            .collect();
        let answers = missing.iter().map(|query| {
            Ok(Decoded {
                query,
                output: combined("output", &weights[query], &terms)?,
            })
        });
        answers.collect()
    }

    fn cost(&self, base: Inference) -> Cost {
        let redundant = self.tasks - self.queries;
        // A systematic system would answer the queries anyway: only the additional tasks are redundancy.
        let sums = (self.tasks * self.queries * base.values) as u64;
        base.cost(
            redundant as u64 * base.operations + sums,
            redundant * base.values,
        )
    }
}
