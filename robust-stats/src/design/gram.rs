//! The Gram matrix of a design on the vectors of sum 0: which of them it identifies.

use super::DesignMatrix;

/// A singular value below this fraction of the mean one counts as 0. The Gram matrix has integer
/// entries, whose rounding errors are far smaller.
const SINGULAR: f64 = 1e-9;

/// A factorized `k x k` Gram matrix `P A^T A P + c 11^T / k`, where `P` projects to the vectors of
/// sum 0 and `c` is the mean of the diagonal, so that only directions of sum 0 can be singular.
pub(crate) struct Gram {
    size: usize,
    /// The lower triangle `L` of `L L^T`, row by row, with zeros above.
    factor: Vec<f64>,
}

impl Gram {
    /// Factorizes the matrix of the groups with their weights: `O(k^2 N + k^3)`. `None` if a
    /// direction of sum 0 is in the kernel: the design does not identify the distribution.
    pub(crate) fn new(matrix: &DesignMatrix, weights: &[f64]) -> Option<Self> {
        let mut values = centered(matrix, weights);
        let size = matrix.symbols();
        // The direction of the constant vector gets the mean size of the others.
        let mean = (0..size).map(|i| values[i * size + i]).sum::<f64>() / size as f64;
        if mean.is_nan() || mean <= 0.0 {
            return None;
        }
        for value in &mut values {
            *value += mean / size as f64;
        }
        factorize(&mut values, size, SINGULAR * mean).then_some(Self {
            size,
            factor: values,
        })
    }

    /// The inverse matrix, in `O(k^3)`.
    pub(crate) fn inverse(&self) -> Vec<f64> {
        let k = self.size;
        // Forward substitution of the identity: row i of the solution from the rows above.
        let mut inverse = vec![0.0; k * k];
        for i in 0..k {
            let (above, rest) = inverse.split_at_mut(i * k);
            let row = &mut rest[..k];
            row[i] = 1.0;
            for (j, solved) in above.chunks_exact(k).enumerate() {
                subtract(row, self.factor[i * k + j], solved);
            }
            scale(row, 1.0 / self.factor[i * k + i]);
        }
        // Backward substitution with the transpose.
        for i in (0..k).rev() {
            let (rest, below) = inverse.split_at_mut((i + 1) * k);
            let row = &mut rest[i * k..];
            for (j, solved) in below.chunks_exact(k).enumerate() {
                subtract(row, self.factor[(i + 1 + j) * k + i], solved);
            }
            scale(row, 1.0 / self.factor[i * k + i]);
        }
        inverse
    }
}

impl DesignMatrix {
    /// The dimension of the distributions that the groups with a positive weight distinguish, plus 1:
    /// the rank of the design. It identifies a distribution if this is the number of symbols.
    /// `O(k^2 N + k^3)` time and `8 k^2` bytes.
    #[must_use]
    pub(crate) fn rank_with(&self, weights: &[f64]) -> usize {
        let k = self.symbols();
        let mut values = centered(self, weights);
        let mean = (0..k).map(|i| values[i * k + i]).sum::<f64>() / k as f64;
        // Elimination with the largest remaining diagonal entry as pivot.
        let mut remaining: Vec<usize> = (0..k).collect();
        let mut rank = 1;
        while let Some((place, &pivot)) = remaining
            .iter()
            .enumerate()
            .max_by(|a, b| values[a.1 * k + a.1].total_cmp(&values[b.1 * k + b.1]))
        {
            let largest = values[pivot * k + pivot];
            if largest.is_nan() || largest <= SINGULAR * mean || mean <= 0.0 {
                break;
            }
            rank += 1;
            remaining.swap_remove(place);
            let row = values[pivot * k..(pivot + 1) * k].to_vec();
            for &other in &remaining {
                let factor = row[other] / largest;
                subtract(&mut values[other * k..(other + 1) * k], factor, &row);
            }
        }
        rank.min(k)
    }

    /// The rank of the design: the number of symbols if it identifies every distribution, less if two
    /// different distributions have the same message distributions. `O(k^2 N + k^3)` time and
    /// `8 k^2` bytes.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.rank_with(&vec![1.0; self.groups()])
    }
}

/// `P A^T W A P`, row by row.
fn centered(matrix: &DesignMatrix, weights: &[f64]) -> Vec<f64> {
    let k = matrix.symbols();
    let mut values = vec![0.0; k * k];
    // The entry of two symbols is the weight of the groups in which they share a cell.
    for x in 0..k {
        for y in 0..=x {
            let shared: f64 = matrix
                .rows_of(x)
                .iter()
                .zip(matrix.rows_of(y))
                .zip(weights)
                .map(|((a, b), &weight)| if a == b { weight } else { 0.0 })
                .sum();
            values[x * k + y] = shared;
            values[y * k + x] = shared;
        }
    }
    // Projection on both sides.
    let means: Vec<f64> = values
        .chunks_exact(k)
        .map(|row| row.iter().sum::<f64>() / k as f64)
        .collect();
    let mean = means.iter().sum::<f64>() / k as f64;
    for (row, own) in values.chunks_exact_mut(k).zip(&means) {
        for (value, other) in row.iter_mut().zip(&means) {
            *value += mean - own - other;
        }
    }
    values
}

/// Replaces a symmetric matrix by its Cholesky factor; false if a pivot is not above `smallest`.
fn factorize(values: &mut [f64], size: usize, smallest: f64) -> bool {
    for i in 0..size {
        let (above, rest) = values.split_at_mut(i * size);
        let row = &mut rest[..size];
        for j in 0..i {
            let solved = &above[j * size..(j + 1) * size];
            let known = dot(&row[..j], &solved[..j]);
            row[j] = (row[j] - known) / solved[j];
        }
        let pivot = row[i] - dot(&row[..i], &row[..i]);
        if pivot.is_nan() || pivot <= smallest {
            return false;
        }
        row[i] = pivot.sqrt();
        row[i + 1..].fill(0.0);
    }
    true
}

/// Partial sums that hide the latency of additions.
const LANES: usize = 8;

/// A dot product in a fixed order.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f64>() + rest
}

/// `row -= factor * other`.
pub(super) fn subtract(row: &mut [f64], factor: f64, other: &[f64]) {
    if factor != 0.0 {
        for (value, other) in row.iter_mut().zip(other) {
            *value -= factor * other;
        }
    }
}

fn scale(row: &mut [f64], factor: f64) {
    for value in row {
        *value *= factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::design::{DesignParameters, HashDesign};

    #[test]
    fn rank_counts_the_distinguished_directions() {
        // One partition of four symbols into two cells distinguishes one direction.
        let matrix = DesignMatrix::new(4, 2, 1, |_, symbol| symbol % 2).unwrap();
        assert_eq!(matrix.rank(), 2);
        assert!(Gram::new(&matrix, &[1.0]).is_none());
        // The three balanced partitions of four symbols identify everything; two of them do not.
        let partitions = [[0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0]];
        let matrix = DesignMatrix::new(4, 2, 3, |group, symbol| partitions[group][symbol]).unwrap();
        assert_eq!(matrix.rank(), 4);
        assert_eq!(matrix.rank_with(&[1.0, 1.0, 0.0]), 3);
        assert!(Gram::new(&matrix, &[1.0, 1.0, 0.0]).is_none());
        // One symbol is always identified; one cell identifies nothing else.
        assert_eq!(DesignMatrix::new(1, 2, 1, |_, _| 0).unwrap().rank(), 1);
        assert_eq!(DesignMatrix::new(3, 1, 5, |_, _| 0).unwrap().rank(), 1);
    }

    #[test]
    fn inverse_is_the_inverse() {
        let parameters = DesignParameters::new(9, 3, [1; 32]).unwrap();
        let design = HashDesign::new(parameters).unwrap();
        let matrix = DesignMatrix::from_design(&design).unwrap();
        let weights: Vec<f64> = (0..12).map(|group| 1.0 + f64::from(group) / 7.0).collect();
        let gram = Gram::new(&matrix, &weights).unwrap();
        let inverse = gram.inverse();
        for i in 0..9 {
            for j in 0..9 {
                // (L L^T inverse)_ij.
                let entry: f64 = (0..9)
                    .map(|m| {
                        let product: f64 = (0..9)
                            .map(|l| gram.factor[i * 9 + l] * gram.factor[m * 9 + l])
                            .sum();
                        product * inverse[m * 9 + j]
                    })
                    .sum();
                let expected = f64::from(u8::from(i == j));
                assert!((entry - expected).abs() < 1e-9, "{i} {j}: {entry}");
            }
        }
    }
}
