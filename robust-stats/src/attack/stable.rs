//! Choices of changed groups under which a shifted distribution is the min-L1 fit.
//!
//! A distribution inside the simplex is a best fit if there are dual variables `y` in `[-1, 1]`, one for
//! each row, such that `sum_r w_r y_r A_r` is constant over the symbols and `y` is the sign of the residual
//! in every row that does not fit exactly. Changed groups fit, so their `y` is free. The distance
//! from such a solution measures how stable a choice is; exchanges of groups reduce it.

use rand::{Rng, RngCore};

use crate::design::DesignMatrix;

use super::direction::group_norms;

/// The bound on free dual variables. Below 1, so that the fit is the only one.
const LIMIT: f64 = 0.98;

/// The minimum excess.
const MARGIN: f64 = 0.005;

/// Sweeps over the free dual variables for each evaluated choice.
const SWEEPS: usize = 4;

/// Number of attempted exchanges for each choice.
const EXCHANGES: usize = 2_000;

/// The residuals of the honest messages from the shifted distribution.
pub(super) struct Residuals<'a> {
    matrix: &'a DesignMatrix,
    weights: &'a [f64],
    /// The sign of each row; 0 if it is negligible, so that its dual variable is free.
    signs: Vec<f64>,
    /// The weighted absolute residual of each group.
    masses: Vec<f64>,
}

/// Dual variables and `sum_r w_r y_r A_r`.
#[derive(Clone)]
struct Dual {
    y: Vec<f64>,
    sums: Vec<f64>,
}

impl<'a> Residuals<'a> {
    pub(super) fn new(matrix: &'a DesignMatrix, weights: &'a [f64], residual: &[f64]) -> Self {
        let mean = residual.iter().map(|r| r.abs()).sum::<f64>() / residual.len() as f64;
        Self {
            matrix,
            weights,
            signs: residual
                .iter()
                .map(|&r| {
                    if r.abs() > 1e-3 * mean {
                        r.signum()
                    } else {
                        0.0
                    }
                })
                .collect(),
            masses: group_norms(residual, matrix.cells(), weights),
        }
    }

    /// Exchanges groups of a choice that has the majority of the mass until it is stable or the attempts
    /// are used up. The changed groups may have half of the mass and the fraction `excess` of it more.
    pub(super) fn stabilize(&self, changed: &mut [bool], excess: f64, rng: &mut dyn RngCore) {
        let total: f64 = self.masses.iter().sum();
        let mass = |changed: &[bool]| -> f64 {
            let pairs = self.masses.iter().zip(changed);
            pairs.filter(|(_, changed)| **changed).map(|(m, _)| m).sum()
        };
        let now = mass(changed);
        let (min, max) = (
            now.min(0.5 * (1.0 + MARGIN) * total),
            now.max(0.5 * (1.0 + excess) * total),
        );
        let mut dual = self.dual(changed);
        let mut distance = self.sweep(changed, &mut dual);
        let tolerance = 1e-10 * dual.y.len() as f64 * self.weights[0].powi(2);
        for _ in 0..EXCHANGES {
            if distance <= tolerance {
                break;
            }
            // Exchange two groups, or move one if the mass allows it.
            let (a, b) = (
                rng.random_range(0..changed.len()),
                rng.random_range(0..changed.len()),
            );
            let mut candidate = changed.to_vec();
            candidate[a] = !candidate[a];
            if changed[a] != changed[b] {
                candidate[b] = !candidate[b];
            }
            let next = mass(&candidate);
            if !(min..=max).contains(&next) {
                continue;
            }
            let mut tried = dual.clone();
            for group in [a, b] {
                self.reset(group, candidate[group], &mut tried);
            }
            let found = self.sweep(&candidate, &mut tried);
            if found < distance {
                changed.copy_from_slice(&candidate);
                (dual, distance) = (tried, found);
            }
        }
    }

    /// The dual variables before any sweep.
    fn dual(&self, changed: &[bool]) -> Dual {
        let mut dual = Dual {
            y: vec![0.0; self.signs.len()],
            sums: vec![0.0; self.matrix.symbols()],
        };
        for (group, &changed) in changed.iter().enumerate() {
            self.reset(group, changed, &mut dual);
        }
        dual
    }

    /// Sets the variables of a group: honest rows to their sign, changed ones to the opposite.
    fn reset(&self, group: usize, changed: bool, dual: &mut Dual) {
        let cells = self.matrix.cells();
        let wanted = |row: usize| self.signs[row] * if changed { -LIMIT } else { 1.0 };
        for symbol in 0..self.matrix.symbols() {
            let row = self.matrix.rows_of(symbol)[group] as usize;
            dual.sums[symbol] += self.weights[group] * (wanted(row) - dual.y[row]);
        }
        for row in group * cells..(group + 1) * cells {
            dual.y[row] = wanted(row);
        }
    }

    /// Coordinate descent on the free variables; the squared distance of the sums from a constant.
    fn sweep(&self, changed: &[bool], dual: &mut Dual) -> f64 {
        let (cells, k) = (self.matrix.cells(), self.matrix.symbols() as f64);
        let sizes = self.matrix.sizes();
        let mut total: f64 = dual.sums.iter().sum();
        let mut gradients = vec![0.0; cells];
        for _ in 0..SWEEPS {
            for (group, &changed) in changed.iter().enumerate() {
                let weight = self.weights[group];
                if weight == 0.0 {
                    continue;
                }
                // The cells of a group are disjoint, so their variables interact through the mean only.
                gradients.fill(0.0);
                for symbol in 0..self.matrix.symbols() {
                    let row = self.matrix.rows_of(symbol)[group] as usize;
                    gradients[row - group * cells] += dual.sums[symbol];
                }
                let mut steps = vec![0.0; cells];
                for (cell, gradient) in gradients.iter().enumerate() {
                    let row = group * cells + cell;
                    let size = f64::from(sizes[row]);
                    if (changed || self.signs[row] == 0.0) && size > 0.0 {
                        let best = dual.y[row] - (gradient - size * total / k) / (weight * size);
                        let best = best.clamp(-LIMIT, LIMIT);
                        steps[cell] = weight * (best - dual.y[row]);
                        dual.y[row] = best;
                    }
                }
                for symbol in 0..self.matrix.symbols() {
                    let row = self.matrix.rows_of(symbol)[group] as usize;
                    dual.sums[symbol] += steps[row - group * cells];
                }
                for (cell, step) in steps.iter().enumerate() {
                    total += step * f64::from(sizes[group * cells + cell]);
                }
            }
        }
        let mean = total / k;
        dual.sums.iter().map(|sum| (sum - mean).powi(2)).sum()
    }
}
