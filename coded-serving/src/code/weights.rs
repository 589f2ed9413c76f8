//! Parities that are linear combinations of answers, and their solution for what is missing.

use nalgebra::DMatrix;

use super::cache::Cache;
use super::combine::{combined, rounded};
use super::{Decoded, MAX_TASKS, Slot, Slots, already_here, arrived, output_of};
use crate::error::CodeError;
use crate::tensor::Tensor;

/// How much a solution may multiply an error of one output. Outputs are 32-bit numbers with errors of
/// `6e-8`: what multiplies them by more than this is no answer.
const LARGEST_AMPLIFICATION: f64 = 1e5;

/// The weights of parities: each row is one linear combination of the answers of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// One row a parity, one column a query.
    matrix: DMatrix<f64>,
}

impl Weights {
    /// The mean of the answers.
    ///
    /// # Errors
    ///
    /// When there is no query, or more than a group can have.
    pub fn mean(queries: usize) -> Result<Self, CodeError> {
        check_size(queries, 1)?;
        Ok(Self {
            matrix: DMatrix::from_element(1, queries, 1.0 / queries as f64),
        })
    }

    /// The sum of the answers.
    ///
    /// # Errors
    ///
    /// When there is no query, or more than a group can have.
    pub fn sum(queries: usize) -> Result<Self, CodeError> {
        check_size(queries, 1)?;
        Ok(Self {
            matrix: DMatrix::from_element(1, queries, 1.0),
        })
    }

    /// Several combinations of which any determine as many answers, whichever are missing: the rows
    /// of a Cauchy matrix `1 / (x_l - y_i)`, scaled to sum 1. One combination is the
    /// [`mean`](Self::mean).
    ///
    /// The `y_i` are spread over `[0, 1]` and the `x_l` lie beside it, alternating below and above,
    /// so that all weights are positive: each combination is a mixture. Of distances from 0.02 to 0.5,
    /// 0.2 multiplies errors least: by at most 122 for two of ten answers, 6 500 for three. What would
    /// multiply them by more than 10^5 counts as unrecoverable.
    ///
    /// # Errors
    ///
    /// When there is no query, no parity, more parities than queries, or more of both than a group
    /// can have.
    pub fn cauchy(queries: usize, parities: usize) -> Result<Self, CodeError> {
        check_size(queries, parities)?;
        if parities == 1 {
            return Self::mean(queries);
        }
        let mut matrix = DMatrix::from_fn(parities, queries, |parity, query| {
            1.0 / (beside(parity) - within(query, queries))
        });
        for mut row in matrix.row_iter_mut() {
            let sum = row.sum();
            row /= sum;
        }
        Ok(Self { matrix })
    }

    /// How many answers are combined.
    #[must_use]
    pub fn queries(&self) -> usize {
        self.matrix.ncols()
    }

    /// How many combinations there are.
    #[must_use]
    pub fn parities(&self) -> usize {
        self.matrix.nrows()
    }

    /// The weights of one combination, in the order of the queries. Empty for a combination that is
    /// not there.
    #[must_use]
    pub fn row(&self, parity: usize) -> Vec<f64> {
        if parity < self.parities() {
            self.matrix.row(parity).iter().copied().collect()
        } else {
            Vec::new()
        }
    }

    /// How to work out all answers that have not arrived, from slots below
    /// [`queries`](Self::queries), which are answers, and slots from there on, which are combinations.
    ///
    /// Solves as many combinations as answers are missing, by LU decomposition in 64-bit arithmetic.
    ///
    /// # Errors
    ///
    /// [`CodeError::Unrecoverable`] when fewer combinations arrived than answers are missing, or the
    /// solution would multiply errors too much.
    pub fn recovery(&self, arrived: Slots) -> Result<Recovery, CodeError> {
        let queries = self.queries();
        let known: Vec<Slot> = arrived.and(Slots::below(queries)).iter().collect();
        let unknown = Slots::below(queries).without(arrived);
        let columns: Vec<Slot> = unknown.iter().collect();
        let parities = arrived
            .shifted_down(queries)
            .and(Slots::below(self.parities()));
        let unrecoverable = || CodeError::Unrecoverable {
            missing: unknown.len(),
            received: parities.len(),
        };
        if unknown.is_empty() {
            return Ok(Recovery::default());
        }
        if parities.len() < unknown.len() {
            return Err(unrecoverable());
        }
        let rows: Vec<usize> = parities.iter().take(unknown.len()).collect();
        let system = DMatrix::from_fn(rows.len(), columns.len(), |row, column| {
            self.matrix[(rows[row], columns[column])]
        });
        let rest = DMatrix::from_fn(rows.len(), known.len(), |row, column| {
            self.matrix[(rows[row], known[column])]
        });
        let factors = system.lu();
        let identity = DMatrix::identity(rows.len(), rows.len());
        let inverse = factors.solve(&identity).ok_or_else(unrecoverable)?;
        let from_known = -(&inverse * rest);
        let rows_of_weights: Vec<Vec<f64>> = (0..columns.len())
            .map(|row| {
                let known = from_known.row(row).iter().copied().collect::<Vec<_>>();
                let parities = inverse.row(row).iter().copied().collect::<Vec<_>>();
                [known, parities].concat()
            })
            .collect();
        let amplification = |row: &Vec<f64>| row.iter().map(|weight| weight.abs()).sum::<f64>();
        // Written so that NaN counts as too large.
        let is_small = |row: &Vec<f64>| amplification(row) <= LARGEST_AMPLIFICATION;
        if !rows_of_weights.iter().all(is_small) {
            return Err(unrecoverable());
        }
        let sources = known
            .into_iter()
            .chain(rows.into_iter().map(|row| queries + row))
            .collect();
        Ok(Recovery {
            rounded: rows_of_weights
                .iter()
                .map(|row| rounded(row.iter().copied()))
                .collect(),
            unknown: columns,
            sources,
            weights: rows_of_weights,
        })
    }
}

/// How to work out the answers that have not arrived: each is a weighted sum of outputs that have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovery {
    unknown: Vec<usize>,
    sources: Vec<Slot>,
    weights: Vec<Vec<f64>>,
    rounded: Vec<Vec<f32>>,
}

impl Recovery {
    /// The outputs that are summed: answers first, then combinations.
    #[must_use]
    pub fn sources(&self) -> &[Slot] {
        &self.sources
    }

    /// The weights of the answer to a query, in the order of [`sources`](Self::sources). `None` for
    /// an answer that has arrived.
    #[must_use]
    pub fn weights(&self, query: usize) -> Option<&[f64]> {
        let place = self.place_of(query)?;
        Some(&self.weights[place])
    }

    /// By how much errors of outputs are multiplied at most: the largest sum of absolute weights.
    #[must_use]
    pub fn amplification(&self) -> f64 {
        let sums = self.weights.iter();
        sums.map(|row| row.iter().map(|weight| weight.abs()).sum())
            .fold(0.0, f64::max)
    }

    fn place_of(&self, query: usize) -> Option<usize> {
        self.unknown.iter().position(|&other| other == query)
    }
}

/// The decoder of codes whose redundant outputs are linear combinations of answers.
#[derive(Debug, Default)]
pub(super) struct LinearDecoder {
    recoveries: Cache<Recovery>,
}

impl LinearDecoder {
    /// The queries whose answers are here, or can be worked out from combinations: what
    /// [`decode`](Self::decode) gives, which refuses a pattern whose errors it would blow up.
    pub(super) fn decodable(&self, weights: &Weights, arrived: Slots) -> Slots {
        let queries = weights.queries();
        let all = Slots::below(queries);
        let slots = arrived.and(Slots::below(queries + weights.parities()));
        let recovery = self
            .recoveries
            .get_or_make(queries, slots, || weights.recovery(slots));
        if recovery.is_ok() {
            all
        } else {
            arrived.and(all)
        }
    }

    pub(super) fn decode(
        &self,
        weights: &Weights,
        outputs: &[(Slot, &Tensor)],
        missing: Slots,
    ) -> Result<Vec<Decoded>, CodeError> {
        let queries = weights.queries();
        let slots = arrived(outputs, queries + weights.parities())?;
        if !missing.without(Slots::below(queries)).is_empty() {
            let expected = format!("queries below {queries}");
            return Err(CodeError::parameter(
                "missing",
                expected,
                format!("{missing:?}"),
            ));
        }
        let (mut answers, missing) = already_here(outputs, missing)?;
        if missing.is_empty() {
            return Ok(answers);
        }
        let recovery = self
            .recoveries
            .get_or_make(queries, slots, || weights.recovery(slots))?;
        let terms: Vec<(Slot, &Tensor)> = recovery
            .sources
            .iter()
            .filter_map(|&slot| Some((slot, output_of(outputs, slot)?)))
            .collect();
        for query in missing.iter() {
            if let Some(place) = recovery.place_of(query) {
                answers.push(Decoded {
                    query,
                    output: combined("output", &recovery.rounded[place], &terms)?,
                });
            }
        }
        Ok(answers)
    }
}

fn check_size(queries: usize, parities: usize) -> Result<(), CodeError> {
    if !(1..MAX_TASKS).contains(&queries) {
        let expected = format!("1 to {}", MAX_TASKS - 1);
        return Err(CodeError::parameter("queries", expected, queries));
    }
    let most = queries.min(MAX_TASKS - queries);
    if !(1..=most).contains(&parities) {
        return Err(CodeError::parameter(
            "parities",
            format!("1 to {most}"),
            parities,
        ));
    }
    Ok(())
}

/// The nodes of the queries.
fn within(query: usize, queries: usize) -> f64 {
    (query as f64 + 0.5) / queries as f64
}

/// The nodes of the parities: -0.2, 1.2, -0.4, 1.4, ..
fn beside(parity: usize) -> f64 {
    let distance = 0.2 * (1 + parity / 2) as f64;
    if parity.is_multiple_of(2) {
        -distance
    } else {
        1.0 + distance
    }
}
