//! Parities that are linear combinations of answers, and their solution for what is missing.

use nalgebra::DMatrix;

use super::{Decoded, Slot};
use crate::error::CodeError;
use crate::tensor::Tensor;

/// The weights of `parities` linear combinations of `queries` answers, each row summing to 1.
///
/// One parity weighs all queries alike. Several are the rows of a Cauchy matrix, so that any of them
/// determine as many answers, whichever are missing: `1 / (x_l - y_i)` with `y_i` spread over
/// `[0, 1]` and `x_l` alternating below and above it.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    rows: Vec<Vec<f64>>,
}

impl Weights {
    /// # Errors
    ///
    /// When there is no query, no parity, or more parities than queries.
    pub fn new(queries: usize, parities: usize) -> Result<Self, CodeError> {
        if queries == 0 {
            return Err(parameter("queries", "at least 1", queries));
        }
        if !(1..=queries).contains(&parities) {
            return Err(parameter("parities", format!("1 to {queries}"), parities));
        }
        if parities == 1 {
            #[expect(clippy::cast_precision_loss, reason = "groups are small")]
            let share = 1.0 / queries as f64;
            return Ok(Self {
                rows: vec![vec![share; queries]],
            });
        }
        let rows = (0..parities)
            .map(|parity| {
                let x = outside(parity);
                let row: Vec<f64> = (0..queries)
                    .map(|i| 1.0 / (x - inside(i, queries)))
                    .collect();
                let sum: f64 = row.iter().sum();
                row.iter().map(|entry| entry / sum).collect()
            })
            .collect();
        Ok(Self { rows })
    }

    /// How many answers are combined.
    #[must_use]
    pub fn queries(&self) -> usize {
        self.rows[0].len()
    }

    /// How many combinations there are.
    #[must_use]
    pub fn parities(&self) -> usize {
        self.rows.len()
    }

    /// The weights of one combination.
    #[must_use]
    pub fn row(&self, parity: usize) -> &[f64] {
        &self.rows[parity]
    }

    /// The answers `missing`, from outputs of which slots below [`queries`](Self::queries) are
    /// answers and slots from there on are combinations.
    ///
    /// Solves as many combinations as answers are missing, in 64-bit arithmetic. An error in a
    /// combination comes out multiplied, by `queries` for a single parity.
    ///
    /// # Errors
    ///
    /// [`CodeError::Unrecoverable`] when fewer combinations arrived than answers are missing;
    /// [`CodeError::NotFinite`] for an output that would spoil the answers.
    pub fn solve(
        &self,
        outputs: &[(Slot, Tensor)],
        missing: &[usize],
    ) -> Result<Vec<Decoded>, CodeError> {
        let queries = self.queries();
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(&query) = missing.iter().find(|&&query| query >= queries) {
            return Err(parameter(
                "missing",
                format!("a query below {queries}"),
                query,
            ));
        }
        let mut known: Vec<Option<&Tensor>> = vec![None; queries];
        let mut combinations: Vec<Option<&Tensor>> = vec![None; self.parities()];
        for (slot, output) in outputs {
            let place = if *slot < queries {
                known.get_mut(*slot)
            } else {
                combinations.get_mut(slot - queries)
            };
            let Some(place) = place else {
                return Err(parameter(
                    "slot",
                    format!("below {}", queries + self.parities()),
                    slot,
                ));
            };
            *place = Some(output);
        }
        // Whatever has not arrived is unknown, asked for or not.
        let unknown: Vec<usize> = (0..queries)
            .filter(|&query| known[query].is_none())
            .collect();
        let arrived: Vec<(usize, &Tensor)> = combinations
            .iter()
            .enumerate()
            .filter_map(|(parity, output)| output.map(|output| (parity, output)))
            .take(unknown.len())
            .collect();
        if arrived.len() < unknown.len() {
            return Err(CodeError::Unrecoverable {
                missing: unknown.len(),
                received: arrived.len(),
            });
        }
        same_shape_and_finite(outputs)?;
        let system = DMatrix::from_fn(unknown.len(), unknown.len(), |row, column| {
            self.rows[arrived[row].0][unknown[column]]
        });
        let Some(inverse) = system.try_inverse() else {
            return Err(CodeError::Unrecoverable {
                missing: unknown.len(),
                received: arrived.len(),
            });
        };
        // What remains of each combination without the answers that are known.
        let remainders: Vec<Vec<f64>> = arrived
            .iter()
            .map(|&(parity, output)| {
                let mut remainder: Vec<f64> =
                    output.values().iter().map(|&value| value.into()).collect();
                for (query, answer) in known.iter().enumerate() {
                    if let Some(answer) = answer {
                        let weight = self.rows[parity][query];
                        for (left, &value) in remainder.iter_mut().zip(answer.values()) {
                            *left -= weight * f64::from(value);
                        }
                    }
                }
                remainder
            })
            .collect();
        let shape = arrived
            .first()
            .map(|(_, output)| output.shape().to_vec())
            .unwrap_or_default();
        missing
            .iter()
            .filter_map(|&query| {
                let row = unknown.iter().position(|&other| other == query)?;
                let mut values = vec![0.0; remainders[0].len()];
                for (column, remainder) in remainders.iter().enumerate() {
                    let weight = inverse[(row, column)];
                    for (value, &left) in values.iter_mut().zip(remainder) {
                        *value += weight * left;
                    }
                }
                Some((query, values))
            })
            .map(|(query, values)| {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "answers are 32-bit numbers"
                )]
                let values = values.iter().map(|&value| value as f32).collect();
                Ok(Decoded {
                    query,
                    output: Tensor::new(shape.clone(), values).map_err(|_| {
                        CodeError::NotFinite {
                            what: "output",
                            index: query,
                        }
                    })?,
                })
            })
            .collect()
    }
}

/// The nodes of the queries.
#[expect(clippy::cast_precision_loss, reason = "groups are small")]
fn inside(query: usize, queries: usize) -> f64 {
    (query as f64 + 0.5) / queries as f64
}

/// The nodes of the parities: -0.5, 1.5, -1.5, 2.5, ..
#[expect(clippy::cast_precision_loss, reason = "groups are small")]
fn outside(parity: usize) -> f64 {
    let step = (parity / 2) as f64;
    if parity % 2 == 0 {
        -0.5 - step
    } else {
        1.5 + step
    }
}

pub(super) fn parameter(
    argument: &'static str,
    expected: impl Into<String>,
    found: impl std::fmt::Display,
) -> CodeError {
    CodeError::Parameter {
        argument,
        expected: expected.into(),
        found: found.to_string(),
    }
}

fn same_shape_and_finite(outputs: &[(Slot, Tensor)]) -> Result<(), CodeError> {
    for (slot, output) in outputs {
        if output.shape() != outputs[0].1.shape() {
            return Err(CodeError::Shapes {
                first: outputs[0].1.shape().to_vec(),
                other: output.shape().to_vec(),
            });
        }
        if !output.is_finite() {
            return Err(CodeError::NotFinite {
                what: "output",
                index: *slot,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_erasures_up_to_the_parities_are_recovered() {
        for queries in 1..=12 {
            for parities in 1..=queries.min(3) {
                let weights = Weights::new(queries, parities).unwrap();
                let answers: Vec<Tensor> = (0..queries)
                    .map(|i| Tensor::vector(vec![(i * i) as f32 - 7.0, 1.5 / (i + 1) as f32]))
                    .collect();
                let combined = (0..parities).map(|l| {
                    let value = |c: usize| {
                        let sum: f64 = (0..queries)
                            .map(|i| weights.row(l)[i] * f64::from(answers[i].values()[c]))
                            .sum();
                        sum as f32
                    };
                    (queries + l, Tensor::vector(vec![value(0), value(1)]))
                });
                let all: Vec<(Slot, Tensor)> = answers
                    .iter()
                    .cloned()
                    .enumerate()
                    .chain(combined)
                    .collect();
                for lost in 0..(1_u32 << queries) {
                    if lost.count_ones() as usize > parities + 1 {
                        continue;
                    }
                    let missing: Vec<usize> = (0..queries).filter(|i| lost >> i & 1 == 1).collect();
                    let arrived: Vec<(Slot, Tensor)> = all
                        .iter()
                        .filter(|(slot, _)| !missing.contains(slot))
                        .cloned()
                        .collect();
                    let decoded = weights.solve(&arrived, &missing);
                    if missing.len() > parities {
                        assert!(matches!(decoded, Err(CodeError::Unrecoverable { .. })));
                        continue;
                    }
                    for answer in decoded.unwrap() {
                        let right = &answers[answer.query];
                        for (found, right) in answer.output.values().iter().zip(right.values()) {
                            assert!((found - right).abs() <= 1e-2, "{found} {right}");
                        }
                    }
                }
            }
        }
    }
}
