//! Maximum likelihood by expectation maximization (iterative Bayesian update in the privacy
//! literature).

use super::linear::Iterated;
use super::observation::Observation;
use crate::design::DesignMatrix;

/// Iterates from the uniform distribution until the masses change by at most `tolerance` in `L1`.
pub(super) fn maximize(
    matrix: &DesignMatrix,
    observation: &Observation,
    max_iterations: usize,
    tolerance: f64,
) -> Iterated {
    let k = matrix.symbols();
    let mut masses = vec![1.0 / k as f64; k];
    let mut ratios = vec![0.0; observation.frequencies().len()];
    let mut gains = vec![0.0; k];
    let mut moved = f64::INFINITY;
    let mut made = 0;
    while made < max_iterations && moved > tolerance {
        // E step: the ratio of observed to expected frequency of every message.
        let law = matrix.message_distribution(&masses);
        let mut spread = 0.0;
        let groups = ratios
            .chunks_exact_mut(matrix.cells())
            .zip(law.chunks_exact(matrix.cells()))
            .zip(observation.frequencies().chunks_exact(matrix.cells()))
            .zip(observation.weights());
        for (((ratios, law), frequencies), &weight) in groups {
            for ((ratio, &law), &frequency) in ratios.iter_mut().zip(law).zip(frequencies) {
                // A message of probability 0 has no posterior.
                *ratio = if law > 0.0 {
                    weight * frequency / law
                } else {
                    0.0
                };
                spread += *ratio;
            }
        }
        // M step: each mass is multiplied by its expected ratio, including the uniform part of randomized
        // response, which is the same for all symbols.
        matrix.sum_over_cells(&ratios, &mut gains);
        let mut sum = 0.0;
        for (gain, mass) in gains.iter_mut().zip(&masses) {
            *gain = mass * (matrix.attenuation() * *gain + matrix.other_probability() * spread);
            sum += *gain;
        }
        // Normalize and measure the change.
        moved = 0.0;
        if sum <= 0.0 {
            break;
        }
        for (mass, gain) in masses.iter_mut().zip(&gains) {
            let next = gain / sum;
            moved += (next - *mass).abs();
            *mass = next;
        }
        made += 1;
    }
    Iterated {
        masses,
        iterations: made,
        converged: moved <= tolerance,
        left: moved,
    }
}
