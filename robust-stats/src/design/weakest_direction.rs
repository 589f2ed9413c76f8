//! The least-identified direction of a design: the unit vector with the smallest `||A x||_1`, along
//! which adversaries that know the partitions attack.

use rand::Rng;
use septet_core::seed::SeedTree;

use super::DesignMatrix;

/// Rounds of inverse iteration, from a random start to a direction of small `||A x||_2`.
const INVERSE_ROUNDS: usize = 3;

/// Rounds of iterative reweighting, from there to small `||A x||_1`.
const ABSOLUTE_ROUNDS: i32 = 16;

/// Rows below this fraction of the mean are smoothed at first.
const SMOOTHING: f64 = 0.05;

/// The factor by which that fraction falls in each round.
const SMOOTHING_DECAY: f64 = 0.6;

/// Maximum number of conjugate gradient iterations per round.
const MAX_ITERATIONS: usize = 300;

/// A difference of two distributions that the partitions hardly distinguish.
#[derive(Clone, Debug, PartialEq)]
pub struct WeakestDirection {
    /// A vector with sum 0 and `L1` norm 2, hence a total variation of 1.
    pub direction: Vec<f64>,
    /// The total variation, averaged over groups, of the messages of two distributions that differ by
    /// this direction, without randomized response. In `[0, 1]`.
    pub ratio: f64,
}

impl DesignMatrix {
    /// Searches for the direction `x` that minimizes `||A x||_1 / (N ||x||_1)`: first in least
    /// squares, by inverse iteration, then in least absolute values, by iterative reweighting. `None`
    /// for a single symbol. O(iterations times symbols times groups), with a few thousand iterations.
    ///
    /// The result is an upper bound on the minimum ratio: the problem is not convex. The search is
    /// deterministic. [`audit`](Self::audit) searches from more starting points.
    #[must_use]
    pub fn weakest_direction(&self) -> Option<WeakestDirection> {
        let k = self.symbols();
        if k < 2 {
            return None;
        }
        // A fixed random start makes the search deterministic.
        let mut rng = SeedTree::new(0).child("weakest direction").rng();
        let mut x: Vec<f64> = (0..k).map(|_| rng.random_range(-1.0..1.0)).collect();
        // Inverse iteration solves A^T A x' = x, which amplifies directions of small singular values.
        let weights = vec![1.0; self.groups() * self.cells()];
        for _ in 0..INVERSE_ROUNDS {
            normalize(&mut x);
            x = self.solve(&weights, x);
        }
        Some(self.descend(x))
    }

    /// Descends from a direction by iterative reweighting, and returns the best one on the way.
    pub(super) fn descend(&self, mut x: Vec<f64>) -> WeakestDirection {
        let mut rows = vec![0.0; self.groups() * self.cells()];
        let mut weights = vec![1.0; rows.len()];
        normalize(&mut x);
        let mut best = WeakestDirection {
            ratio: self.ratio(&x, &mut rows),
            direction: x.clone(),
        };
        for round in 0..ABSOLUTE_ROUNDS {
            // Maximize ||x||_1 along its gradient while the quadratic form tangent to ||A x||_1, with
            // weights 1/|row|, is held fixed.
            let mut aim: Vec<f64> = x.iter().map(|value| value.signum()).collect();
            let mean = rows.iter().map(|row| row.abs()).sum::<f64>() / rows.len() as f64;
            // Smaller rows count as if they were this large; less and less.
            let smallest = mean * SMOOTHING * SMOOTHING_DECAY.powi(round);
            for (weight, row) in weights.iter_mut().zip(&rows) {
                *weight = 1.0 / row.abs().max(smallest).max(f64::MIN_POSITIVE);
            }
            // Solve on the vectors of sum 0 and keep the best direction so far.
            center(&mut aim);
            x = self.solve(&weights, aim);
            normalize(&mut x);
            let ratio = self.ratio(&x, &mut rows);
            if ratio.is_nan() {
                break;
            }
            if ratio < best.ratio {
                best = WeakestDirection {
                    ratio,
                    direction: x.clone(),
                };
            }
        }
        best
    }

    /// `||A x||_1 / (N ||x||_1)` for `||x||_1 = 2`; leaves `A x` in `rows`.
    pub(super) fn ratio(&self, x: &[f64], rows: &mut [f64]) -> f64 {
        self.cell_masses(x, rows);
        rows.iter().map(|row| row.abs()).sum::<f64>() / (2.0 * self.groups() as f64)
    }

    /// The solution of `A^T W A x = aim` on the vectors of sum 0, by conjugate gradients.
    fn solve(&self, weights: &[f64], aim: Vec<f64>) -> Vec<f64> {
        let mut x = vec![0.0; aim.len()];
        let mut rows = vec![0.0; weights.len()];
        let mut image = vec![0.0; aim.len()];
        let mut residual = aim;
        let mut step = residual.clone();
        let mut energy: f64 = residual.iter().map(|r| r * r).sum();
        let enough = 1e-12 * energy;
        for _ in 0..MAX_ITERATIONS {
            if energy <= enough {
                break;
            }
            // The product A^T W A step.
            self.cell_masses(&step, &mut rows);
            for (row, weight) in rows.iter_mut().zip(weights) {
                *row *= weight;
            }
            self.sum_over_cells(&rows, &mut image);
            center(&mut image);
            let curvature: f64 = step.iter().zip(&image).map(|(a, b)| a * b).sum();
            // In the kernel of the design: no direction is weaker.
            if curvature <= 1e-14 * step.iter().map(|s| s * s).sum::<f64>() {
                return step;
            }
            let length = energy / curvature;
            for ((x, r), (s, i)) in x.iter_mut().zip(&mut residual).zip(step.iter().zip(&image)) {
                *x += length * s;
                *r -= length * i;
            }
            let next: f64 = residual.iter().map(|r| r * r).sum();
            for (s, r) in step.iter_mut().zip(&residual) {
                *s = r + next / energy * *s;
            }
            energy = next;
        }
        x
    }
}

fn center(values: &mut [f64]) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    for value in values {
        *value -= mean;
    }
}

/// Normalizes to sum 0 and `L1` norm 2.
pub(super) fn normalize(values: &mut [f64]) {
    center(values);
    let norm: f64 = values.iter().map(|value| value.abs()).sum();
    for value in values {
        *value *= 2.0 / norm;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::design::{DesignParameters, HashDesign};
    use crate::theory::coupling::{contraction, searched_gain};

    fn gain(symbols: usize, cells: usize, factor: usize, seed: u8) -> (f64, f64) {
        let groups = (factor * symbols).div_ceil(cells);
        let parameters = DesignParameters::new(symbols, cells, [seed; 32])
            .unwrap()
            .with_groups(groups)
            .unwrap();
        let design = HashDesign::new(parameters).unwrap();
        let matrix = DesignMatrix::from_design(&design).unwrap();
        let found = matrix.weakest_direction().unwrap();
        assert!((found.direction.iter().sum::<f64>()).abs() < 1e-9);
        let ratio = (symbols as f64 - 1.0) / (groups as f64 * (cells as f64 - 1.0));
        (1.0 / (found.ratio * contraction(symbols, cells)), ratio)
    }

    #[test]
    fn found_gains_are_near_the_fit() {
        for (symbols, cells, factor) in [
            (32, 2, 4),
            (64, 2, 4),
            (128, 2, 4),
            (32, 4, 4),
            (64, 4, 4),
            (128, 4, 4),
            (64, 8, 4),
            (128, 8, 4),
            (64, 2, 16),
            (64, 4, 16),
            (128, 2, 8),
        ] {
            let found: Vec<(f64, f64)> = (0..4)
                .map(|seed| gain(symbols, cells, factor, seed))
                .collect();
            let ratio = found[0].1;
            let mean = found.iter().map(|(gain, _)| gain).sum::<f64>() / 4.0;
            let fit = searched_gain(ratio);
            println!("k {symbols} L {cells} x{factor}: mean {mean:.3}, fit {fit:.3}");
            if symbols >= 64 {
                assert!((0.75..1.05).contains(&(mean / fit)), "{mean}");
            }
        }
    }

    #[test]
    fn a_design_that_does_not_identify_has_a_direction_that_it_hides() {
        let matrix = DesignMatrix::new(4, 2, 1, |_, symbol| symbol % 2).unwrap();
        let weakest = matrix.weakest_direction().unwrap();
        assert!(weakest.ratio < 1e-9, "{}", weakest.ratio);
        assert!(
            DesignMatrix::new(1, 2, 1, |_, _| 0)
                .unwrap()
                .weakest_direction()
                .is_none()
        );
        // Every symbol in its own cell: nothing is hidden.
        let matrix = DesignMatrix::new(5, 5, 1, |_, symbol| symbol).unwrap();
        assert!((matrix.weakest_direction().unwrap().ratio - 1.0).abs() < 1e-9);
    }
}
