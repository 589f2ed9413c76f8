//! Parities that are linear combinations of answers, and decoding by solving for the missing answers.

use nalgebra::DMatrix;

use super::cache::Cache;
use super::combine::{combined, rounded};
use super::{Decoded, MAX_TASKS, Slot, Slots, already_arrived, arrived, output_of};
use crate::error::CodeError;
use crate::tensor::Tensor;

/// The maximum amplification of errors by a solution. Outputs are 32-bit floats with a relative error of
/// `6e-8`, of which more amplification would leave about two digits.
const MAX_AMPLIFICATION: f64 = 1e5;

/// The weights of parities: one linear combination of the answers of a group per row.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// One row per parity, one column per query.
    matrix: DMatrix<f64>,
}

impl Weights {
    /// The mean of the answers.
    ///
    /// # Errors
    ///
    /// When `queries` is zero or not below [`MAX_TASKS`].
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
    /// When `queries` is zero or not below [`MAX_TASKS`].
    pub fn sum(queries: usize) -> Result<Self, CodeError> {
        check_size(queries, 1)?;
        Ok(Self {
            matrix: DMatrix::from_element(1, queries, 1.0),
        })
    }

    /// An MDS code: any `r` of the combinations determine any `r` missing answers. The rows are those of a
    /// Cauchy matrix `1 / (x_l - y_i)`, all of whose square submatrices are invertible, scaled to sum 1.
    /// A single combination is the [`mean`](Self::mean).
    ///
    /// The `y_i` are equidistant in `[0, 1]` and the `x_l` outside, alternating below and above, so that all
    /// weights of a row have the same sign and each combination is a weighted mean. Of distances from 0.02
    /// to 0.5, 0.2 amplifies errors least: by at most 122 for two of ten answers, 6 500 for three. Patterns
    /// with an amplification above 10^5 are unrecoverable.
    ///
    /// # Errors
    ///
    /// When `queries` or `parities` is zero, there are more parities than queries, or more than
    /// [`MAX_TASKS`] of both together.
    pub fn cauchy(queries: usize, parities: usize) -> Result<Self, CodeError> {
        check_size(queries, parities)?;
        if parities == 1 {
            return Self::mean(queries);
        }
        // Scaling rows keeps every square submatrix invertible.
        let mut matrix = DMatrix::from_fn(parities, queries, |parity, query| {
            1.0 / (beside(parity) - within(query, queries))
        });
        for mut row in matrix.row_iter_mut() {
            let sum = row.sum();
            row /= sum;
        }
        Ok(Self { matrix })
    }

    /// The number of answers that are combined.
    #[must_use]
    pub fn queries(&self) -> usize {
        self.matrix.ncols()
    }

    /// The number of combinations.
    #[must_use]
    pub fn parities(&self) -> usize {
        self.matrix.nrows()
    }

    /// The weights of one combination, in the order of the queries. Empty if there is no such combination.
    #[must_use]
    pub fn row(&self, parity: usize) -> Vec<f64> {
        if parity < self.parities() {
            self.matrix.row(parity).iter().copied().collect()
        } else {
            Vec::new()
        }
    }

    /// The decoding weights for all answers that have not arrived. Slots below [`queries`](Self::queries)
    /// are answers, the following ones combinations.
    ///
    /// Uses as many combinations as answers are missing, by LU decomposition in double precision:
    /// `O(missing^3 + missing^2 known)`.
    ///
    /// # Errors
    ///
    /// [`CodeError::Unrecoverable`] when fewer combinations arrived than answers are missing, or the
    /// solution would amplify errors too much.
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
        // Split the equations p = U u + K v into the columns of the unknown answers u and the known v,
        // and solve: u = U^-1 p - U^-1 K v.
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
        // One row of weights per unknown answer, in the order of `sources`: answers, then parities.
        let rows_of_weights: Vec<Vec<f64>> = (0..columns.len())
            .map(|row| {
                let known = from_known.row(row).iter().copied().collect::<Vec<_>>();
                let parities = inverse.row(row).iter().copied().collect::<Vec<_>>();
                [known, parities].concat()
            })
            .collect();
        let amplification = |row: &Vec<f64>| row.iter().map(|weight| weight.abs()).sum::<f64>();
        // Written so that NaN is rejected too.
        let is_small = |row: &Vec<f64>| amplification(row) <= MAX_AMPLIFICATION;
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

/// Decoding weights: each missing answer as a weighted sum of outputs that arrived.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovery {
    unknown: Vec<usize>,
    sources: Vec<Slot>,
    weights: Vec<Vec<f64>>,
    rounded: Vec<Vec<f32>>,
}

impl Recovery {
    /// The slots of the outputs in the sums: answers first, then combinations.
    #[must_use]
    pub fn sources(&self) -> &[Slot] {
        &self.sources
    }

    /// The weights of the answer to a query, in the order of [`sources`](Self::sources). `None` for an answer
    /// that arrived.
    #[must_use]
    pub fn weights(&self, query: usize) -> Option<&[f64]> {
        let index = self.index_of(query)?;
        Some(&self.weights[index])
    }

    /// The maximum amplification of output errors: the largest sum of absolute weights.
    #[must_use]
    pub fn amplification(&self) -> f64 {
        let sums = self.weights.iter();
        sums.map(|row| row.iter().map(|weight| weight.abs()).sum())
            .fold(0.0, f64::max)
    }

    fn index_of(&self, query: usize) -> Option<usize> {
        self.unknown.iter().position(|&other| other == query)
    }
}

/// The decoder of codes whose redundant outputs are linear combinations of answers.
#[derive(Debug, Default)]
pub(super) struct LinearDecoder {
    recoveries: Cache<Recovery>,
}

impl LinearDecoder {
    /// The queries whose answers arrived or can be solved for: exactly those that [`decode`](Self::decode)
    /// returns, since a pattern with too much amplification is unrecoverable for both.
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
        let (mut answers, missing) = already_arrived(outputs, missing)?;
        if missing.is_empty() {
            return Ok(answers);
        }
        let recovery = self
            .recoveries
            .get_or_make(queries, slots, || weights.recovery(slots))?;
        // All sources arrived: they were chosen among the arrived slots.
        let terms: Vec<(Slot, &Tensor)> = recovery
            .sources
            .iter()
            .filter_map(|&slot| Some((slot, output_of(outputs, slot)?)))
            .collect();
        for query in missing.iter() {
            if let Some(index) = recovery.index_of(query) {
                answers.push(Decoded {
                    query,
                    output: combined("output", &recovery.rounded[index], &terms)?,
                });
            }
        }
        Ok(answers)
    }
}

/// Checks that a group of this size fits, and that there are no more parities than queries.
fn check_size(queries: usize, parities: usize) -> Result<(), CodeError> {
    if !(1..MAX_TASKS).contains(&queries) {
        let expected = format!("1 to {}", MAX_TASKS - 1);
        return Err(CodeError::parameter("queries", expected, queries));
    }
    let max = queries.min(MAX_TASKS - queries);
    if !(1..=max).contains(&parities) {
        return Err(CodeError::parameter(
            "parities",
            format!("1 to {max}"),
            parities,
        ));
    }
    Ok(())
}

/// The node `y_i` of a query.
fn within(query: usize, queries: usize) -> f64 {
    (query as f64 + 0.5) / queries as f64
}

/// The node `x_l` of a parity: -0.2, 1.2, -0.4, 1.4, and so on.
fn beside(parity: usize) -> f64 {
    let distance = 0.2 * (1 + parity / 2) as f64;
    if parity.is_multiple_of(2) {
        -distance
    } else {
        1.0 + distance
    }
}
