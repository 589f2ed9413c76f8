//! The linear decoders: averages, least squares, and medians of blocks.

use crate::error::RobustStatsError;

use super::observation::Observation;
use crate::design::DesignMatrix;

/// The average over groups of the frequency of a symbol's cell, corrected for the expected share of
/// other symbols. Unbiased over the random partitions only: for fixed partitions it has a bias that
/// does not vanish with more messages.
pub(super) fn average(matrix: &DesignMatrix, observation: &Observation) -> Vec<f64> {
    let mut weighted = observation.cell_estimates(matrix);
    weigh(&mut weighted, matrix, observation.weights());
    let mut estimates = vec![0.0; matrix.symbols()];
    matrix.sum_over_cells(&weighted, &mut estimates);
    let collision = matrix.collision_probability();
    if collision < 1.0 {
        for estimate in &mut estimates {
            *estimate = (*estimate - collision) / (1.0 - collision);
        }
    } else {
        // One cell: the messages carry no information.
        estimates.fill(1.0 / matrix.symbols() as f64);
    }
    estimates
}

/// Multiplies every row by the weight of its group.
fn weigh(rows: &mut [f64], matrix: &DesignMatrix, weights: &[f64]) {
    for (group, &weight) in rows.chunks_exact_mut(matrix.cells()).zip(weights) {
        for row in group {
            *row *= weight;
        }
    }
}

/// The result of an iterative solver.
pub(super) struct Iterated {
    pub(super) masses: Vec<f64>,
    pub(super) iterations: usize,
    pub(super) converged: bool,
    /// The remaining error in the solver's own measure.
    pub(super) left: f64,
}

/// Minimizes `sum_j w_j ||A_j p - b_j||_2^2` over vectors of sum 1, by conjugate gradients on the
/// vectors of sum 0. If the design does not identify the distribution, the solution nearest to the
/// uniform one.
pub(super) fn least_squares(matrix: &DesignMatrix, observation: &Observation) -> Iterated {
    let k = matrix.symbols();
    // Solve for the offset from the uniform distribution, whose sum is 0.
    let center = vec![1.0 / k as f64; k];
    let mut rows = vec![0.0; observation.frequencies().len()];
    matrix.cell_masses(&center, &mut rows);
    for (row, target) in rows.iter_mut().zip(observation.cell_estimates(matrix)) {
        *row = target - *row;
    }
    // The right-hand side A^T W (b - A center), projected to sum 0.
    weigh(&mut rows, matrix, observation.weights());
    let mut residual = vec![0.0; k];
    matrix.sum_over_cells(&rows, &mut residual);
    center_at_zero(&mut residual);
    let mut direction = residual.clone();
    let mut offset = vec![0.0; k];
    let mut image = vec![0.0; k];
    let mut energy = dot(&residual, &residual);
    let enough = 1e-20 * energy.max(1e-300);
    let mut iterations = 0;
    // Exact after k iterations up to rounding, for which more are allowed.
    while energy > enough && iterations < 2 * k + 20 {
        matrix.cell_masses(&direction, &mut rows);
        weigh(&mut rows, matrix, observation.weights());
        matrix.sum_over_cells(&rows, &mut image);
        center_at_zero(&mut image);
        // A nonpositive curvature means a direction in the kernel, up to rounding.
        let curvature = dot(&direction, &image);
        if curvature <= 0.0 {
            break;
        }
        // The standard conjugate gradient update.
        let step = energy / curvature;
        for x in 0..k {
            offset[x] += step * direction[x];
            residual[x] -= step * image[x];
        }
        let next = dot(&residual, &residual);
        for (d, r) in direction.iter_mut().zip(&residual) {
            *d = r + next / energy * *d;
        }
        energy = next;
        iterations += 1;
    }
    Iterated {
        masses: center.iter().zip(&offset).map(|(c, o)| c + o).collect(),
        iterations,
        converged: energy <= enough,
        left: energy.sqrt(),
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn center_at_zero(values: &mut [f64]) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    for value in values {
        *value -= mean;
    }
}

/// The coordinatewise median of the least squares estimates of `blocks` blocks of groups. Its breakdown
/// point is corrupted clients in half of the blocks.
pub(super) fn block_median(
    matrix: &DesignMatrix,
    observation: &Observation,
    blocks: usize,
) -> Result<Vec<f64>, RobustStatsError> {
    if blocks == 0 || blocks > matrix.groups() {
        return Err(RobustStatsError::parameter(
            "blocks",
            format!("a number in 1..={}, the number of groups", matrix.groups()),
            blocks,
        ));
    }
    let mut estimates = Vec::with_capacity(blocks);
    for block in 0..blocks {
        // Restricting to a block sets the weights of all other groups to 0 and renormalizes.
        let mut weights = observation.weights().to_vec();
        for (group, weight) in weights.iter_mut().enumerate() {
            if group % blocks != block {
                *weight = 0.0;
            }
        }
        let share: f64 = weights.iter().sum();
        // Skip blocks without messages.
        if share > 0.0 {
            let part = observation.with_weights(weights.iter().map(|w| w / share).collect());
            estimates.push(least_squares(matrix, &part).masses);
        }
    }
    let median = |symbol: usize| {
        let mut values: Vec<f64> = estimates.iter().map(|masses| masses[symbol]).collect();
        values.sort_unstable_by(f64::total_cmp);
        let middle = values.len() / 2;
        if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        }
    };
    Ok((0..matrix.symbols()).map(median).collect())
}
