//! Least absolute deviations over the simplex, by a first-order primal-dual method.
//!
//! `min over p in the simplex of sum_j w_j ||A_j p - b_j||_1` is the saddle point of
//! `sum w y (A p - b)` with `y` in `[-1, 1]`. The primal-dual hybrid gradient (Chambolle, Pock,
//! 2011) alternates a projection to the simplex and a clipping; it is preconditioned by the sizes
//! of the cells (Pock, Chambolle, 2011), restarted from the better of the average and the current
//! point, with primal and dual step sizes rebalanced at every restart (Applegate et al., 2021). Any
//! pair of points bounds the optimum from both sides, so the duality gap certifies the result.

use crate::error::RobustStatsError;

use super::projection::to_simplex;
use crate::design::DesignMatrix;

/// Stopping criteria of the solver.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinL1Options {
    /// Stop if the duality gap is at most this fraction of the objective.
    pub relative_tolerance: f64,
    /// Stop if the duality gap is at most this fraction of the residual of noise alone.
    pub noise_tolerance: f64,
    /// Maximum number of iterations.
    pub max_iterations: usize,
}

impl Default for MinL1Options {
    fn default() -> Self {
        Self {
            relative_tolerance: 1e-3,
            noise_tolerance: 0.01,
            max_iterations: 20_000,
        }
    }
}

/// A point of the simplex with bounds on its suboptimality.
#[derive(Clone, Debug, PartialEq)]
pub struct MinL1Solution {
    /// The masses.
    pub masses: Vec<f64>,
    /// Its objective.
    pub objective: f64,
    /// A lower bound on the objective over the simplex.
    pub lower_bound: f64,
    /// Number of iterations.
    pub iterations: usize,
    /// Whether a tolerance was met.
    pub converged: bool,
}

impl MinL1Solution {
    /// The duality gap: an upper bound on the suboptimality.
    #[must_use]
    pub fn gap(&self) -> f64 {
        (self.objective - self.lower_bound).max(0.0)
    }
}

/// Restart if the gap has decreased by this factor since the last restart.
const SUFFICIENT_DECAY: f64 = 0.2;
/// Restart if it has decreased by this factor and increases again.
const NECESSARY_DECAY: f64 = 0.8;
/// Restart if the epoch is this fraction of all iterations.
const LONG_EPOCH: f64 = 0.36;
/// Number of iterations between evaluations of the gap.
const CHECK_EVERY: usize = 16;

/// Minimizes `sum_j weights_j sum_y |(A p)_jy - targets_jy|` over the simplex, with one nonnegative
/// weight per group. `noise` is the objective of noise alone, for [`MinL1Options::noise_tolerance`].
///
/// # Errors
///
/// When the numbers of targets or weights do not match the matrix, or one is not finite.
pub fn minimize(
    matrix: &DesignMatrix,
    targets: &[f64],
    weights: &[f64],
    noise: f64,
    options: &MinL1Options,
) -> Result<MinL1Solution, RobustStatsError> {
    let rows = matrix.groups() * matrix.cells();
    // Inputs may come from files: check shapes and finiteness once, here.
    for (field, expected, values) in [
        ("targets", rows, targets),
        ("weights", matrix.groups(), weights),
    ] {
        if values.len() != expected {
            return Err(RobustStatsError::Mismatch {
                field,
                left: values.len().to_string(),
                right: expected.to_string(),
            });
        }
        if let Some(wrong) = values.iter().find(|value| !value.is_finite()) {
            return Err(RobustStatsError::parameter(field, "finite numbers", wrong));
        }
    }
    Ok(Solver::new(matrix, targets, weights).solve(noise, options))
}

/// A primal-dual pair with its images, so that evaluating the gap requires no product.
#[derive(Clone)]
struct Pair {
    /// On the simplex.
    primal: Vec<f64>,
    /// In the cube `[-1, 1]^rows`.
    dual: Vec<f64>,
    /// The matrix times the primal point.
    image: Vec<f64>,
    /// The transpose times the weighted dual point.
    gradient: Vec<f64>,
}

impl Pair {
    fn add(&mut self, other: &Self) {
        for (sum, part) in [
            (&mut self.primal, &other.primal),
            (&mut self.dual, &other.dual),
            (&mut self.image, &other.image),
            (&mut self.gradient, &other.gradient),
        ] {
            for (sum, part) in sum.iter_mut().zip(part) {
                *sum += part;
            }
        }
    }

    fn scaled(&self, factor: f64) -> Self {
        let scale = |values: &[f64]| values.iter().map(|value| value * factor).collect();
        Self {
            primal: scale(&self.primal),
            dual: scale(&self.dual),
            image: scale(&self.image),
            gradient: scale(&self.gradient),
        }
    }

    fn clear(&mut self) {
        for values in [
            &mut self.primal,
            &mut self.dual,
            &mut self.image,
            &mut self.gradient,
        ] {
            values.fill(0.0);
        }
    }
}

struct Solver<'a> {
    matrix: &'a DesignMatrix,
    targets: &'a [f64],
    /// The weight of each row.
    weights: Vec<f64>,
    /// The reciprocal sizes of the cells; 1 for empty cells.
    inverse_sizes: Vec<f64>,
}

impl<'a> Solver<'a> {
    fn new(matrix: &'a DesignMatrix, targets: &'a [f64], weights: &[f64]) -> Self {
        let of_rows = weights
            .iter()
            .flat_map(|&weight| std::iter::repeat_n(weight, matrix.cells()));
        Self {
            matrix,
            targets,
            weights: of_rows.collect(),
            inverse_sizes: matrix
                .sizes()
                .iter()
                .map(|&size| 1.0 / f64::from(size.max(1)))
                .collect(),
        }
    }

    fn objective(&self, pair: &Pair) -> f64 {
        self.weights
            .iter()
            .zip(&pair.image)
            .zip(self.targets)
            .map(|((w, a), b)| w * (a - b).abs())
            .sum()
    }

    fn lower_bound(&self, pair: &Pair) -> f64 {
        // The Lagrangian dual: the minimum over the simplex is attained at a vertex.
        let least = pair.gradient.iter().copied().fold(f64::INFINITY, f64::min);
        let offset: f64 = self
            .weights
            .iter()
            .zip(&pair.dual)
            .zip(self.targets)
            .map(|((w, y), b)| w * y * b)
            .sum();
        least - offset
    }

    fn gradient(&self, dual: &[f64], weighted: &mut [f64], out: &mut [f64]) {
        for ((weighted, w), y) in weighted.iter_mut().zip(&self.weights).zip(dual) {
            *weighted = w * y;
        }
        self.matrix.sum_over_cells(weighted, out);
    }

    /// The norm of the preconditioned matrix on vectors of sum 0, by power iteration. Iterates stay
    /// on the simplex, so the constant direction, with by far the largest singular value, is
    /// irrelevant.
    fn norm(&self) -> f64 {
        let k = self.matrix.symbols();
        let mut image = vec![0.0; self.weights.len()];
        let mut back = vec![0.0; k];
        // A fixed irregular start, which is not an eigenvector.
        let mut vector: Vec<f64> = (0..k)
            .map(|x| ((x as f64 + 1.0) * 0.754_877_666_246_692_8).fract() - 0.5)
            .collect();
        let mut norm = 0.0;
        for _ in 0..40 {
            let mean = vector.iter().sum::<f64>() / k as f64;
            for v in &mut vector {
                *v -= mean;
            }
            let length = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
            if length == 0.0 {
                break;
            }
            for v in &mut vector {
                *v /= length;
            }
            self.matrix.cell_masses(&vector, &mut image);
            for ((value, w), inverse) in
                image.iter_mut().zip(&self.weights).zip(&self.inverse_sizes)
            {
                *value *= w * inverse;
            }
            self.matrix.sum_over_cells(&image, &mut back);
            norm = vector.iter().zip(&back).map(|(v, b)| v * b).sum::<f64>();
            std::mem::swap(&mut vector, &mut back);
        }
        // Power iteration converges from below.
        1.05 * norm.sqrt()
    }

    fn solve(&self, noise: f64, options: &MinL1Options) -> MinL1Solution {
        let k = self.matrix.symbols();
        let rows = self.weights.len();
        let norm = self.norm();
        // Start from the uniform distribution and the dual point 0.
        let mut now = Pair {
            primal: vec![1.0 / k as f64; k],
            dual: vec![0.0; rows],
            image: vec![0.0; rows],
            gradient: vec![0.0; k],
        };
        self.matrix.cell_masses(&now.primal, &mut now.image);
        let mut best = MinL1Solution {
            masses: now.primal.clone(),
            objective: self.objective(&now),
            lower_bound: 0.0,
            iterations: 0,
            converged: false,
        };
        let enough = |best: &MinL1Solution| {
            best.gap()
                <= (options.relative_tolerance * best.objective)
                    .max(options.noise_tolerance * noise)
                || best.gap() <= 1e-12
        };
        best.converged = enough(&best);
        // With one symbol or one cell there is no direction, and the first point is optimal.
        if best.converged || norm <= 1e-300 {
            best.lower_bound =
                best.lower_bound
                    .max(if norm <= 1e-300 { best.objective } else { 0.0 });
            best.converged = true;
            return best;
        }

        // State of the current epoch: its start, the running sum of iterates, and the gaps for restarts.
        let mut start = now.clone();
        let mut sum = now.scaled(0.0);
        let mut in_sum = 0_usize;
        let mut gap_at_restart = best.gap();
        let mut previous_gap = f64::INFINITY;
        let mut balance = self.first_balance();
        let mut weighted = vec![0.0; rows];
        let mut moved = vec![0.0; rows];
        for iteration in 1..=options.max_iterations {
            // The product of the step sizes is 1 / norm^2, which guarantees convergence; `balance` is their
            // ratio.
            let primal_step = 1.0 / (norm * balance);
            let dual_step = balance / norm;
            // Primal step: a gradient step, projected to the simplex.
            for (p, g) in now.primal.iter_mut().zip(&now.gradient) {
                *p -= primal_step * g;
            }
            to_simplex(&mut now.primal);
            self.matrix.cell_masses(&now.primal, &mut moved);
            // Dual step at the extrapolated primal point 2 x' - x, preconditioned by the cell sizes, and
            // projected to the cube. By linearity the extrapolation acts on the images.
            let points = now.dual.iter_mut().zip(&now.image).zip(&moved);
            let problem = self.inverse_sizes.iter().zip(self.targets);
            for (((dual, before), after), (inverse, target)) in points.zip(problem) {
                let extrapolated = 2.0 * after - before;
                *dual = (*dual + dual_step * inverse * (extrapolated - target)).clamp(-1.0, 1.0);
            }
            // Update the images, so that the gap of any average requires no product.
            std::mem::swap(&mut now.image, &mut moved);
            self.gradient(&now.dual, &mut weighted, &mut now.gradient);
            sum.add(&now);
            in_sum += 1;
            best.iterations = iteration;
            if !iteration.is_multiple_of(CHECK_EVERY) {
                continue;
            }

            // Evaluate the gap at the current and the average iterate, and restart from the better one.
            let average = sum.scaled(1.0 / in_sum as f64);
            let gap_now = self.evaluate(&now, &mut best);
            let gap_average = self.evaluate(&average, &mut best);
            best.converged = enough(&best);
            if best.converged {
                break;
            }
            let gap = gap_now.min(gap_average);
            let restart = gap <= SUFFICIENT_DECAY * gap_at_restart
                || (gap <= NECESSARY_DECAY * gap_at_restart && gap > previous_gap)
                || in_sum as f64 >= LONG_EPOCH * iteration as f64;
            previous_gap = gap;
            if restart {
                // Restart: rebalance by the distances of the finished epoch.
                if gap_average < gap_now {
                    now = average;
                }
                balance = self.rebalanced(balance, &start, &now);
                start = now.clone();
                sum.clear();
                in_sum = 0;
                gap_at_restart = gap;
                previous_gap = f64::INFINITY;
            }
        }
        best
    }

    /// Updates the best bounds and returns the gap of this pair.
    fn evaluate(&self, pair: &Pair, best: &mut MinL1Solution) -> f64 {
        let objective = self.objective(pair);
        let lower_bound = self.lower_bound(pair);
        if objective < best.objective {
            best.objective = objective;
            best.masses.clone_from(&pair.primal);
        }
        best.lower_bound = best.lower_bound.max(lower_bound);
        objective - lower_bound
    }

    /// The initial ratio of dual to primal step size: dual coordinates change by about 1, primal ones
    /// by about 1/k.
    fn first_balance(&self) -> f64 {
        let dual: f64 = self
            .weights
            .iter()
            .zip(&self.inverse_sizes)
            .map(|(w, inverse)| w / inverse)
            .sum();
        let primal = 1.0 / self.matrix.symbols() as f64;
        (dual / primal).sqrt()
    }

    /// The geometric mean of the current ratio and the ratio of the distances moved in the last epoch.
    fn rebalanced(&self, balance: f64, from: &Pair, to: &Pair) -> f64 {
        let primal: f64 = from
            .primal
            .iter()
            .zip(&to.primal)
            .map(|(a, b)| (a - b).powi(2))
            .sum();
        let dual: f64 = from
            .dual
            .iter()
            .zip(&to.dual)
            .zip(self.weights.iter().zip(&self.inverse_sizes))
            .map(|((a, b), (w, inverse))| (a - b).powi(2) * w / inverse)
            .sum();
        if primal > 1e-30 && dual > 1e-30 {
            (balance * (dual / primal).sqrt()).sqrt()
        } else {
            balance
        }
    }
}
