//! Estimates with error statements.

use serde::{Deserialize, Serialize};

use crate::parameter::Gamma;
use crate::theory::learning::{HashedSetting, manipulation_bound};

use super::linear::Iterated;
use super::observation::Observation;
use crate::design::DesignMatrix;

/// The error probability of [`Estimate::gamma_lower_bound`].
const CERTIFICATE_LEVEL: f64 = 0.05;

/// The convergence of an iterative decoder.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Convergence {
    /// Whether the tolerance was met.
    pub converged: bool,
    /// Number of iterations; 0 for a direct decoder.
    pub iterations: usize,
    /// The remaining error. For min-L1 the duality gap of the residual; for others the solver's own
    /// measure.
    pub gap: f64,
}

impl Convergence {
    pub(super) fn of(solution: &Iterated) -> Self {
        Self {
            converged: solution.converged,
            iterations: solution.iterations,
            gap: solution.left,
        }
    }
}

/// An estimated distribution with its errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimated masses; a distribution, unless the decoder does not project.
    pub masses: Vec<f64>,
    /// The standard error of each mass without manipulation, from the variance of the cells near the
    /// estimate and the high-dimensional theory of the decoder. Infinite if the design does not
    /// identify the distribution.
    pub standard_errors: Vec<f64>,
    /// The total variation by which the assumed fraction of corrupted clients can move the min-L1 estimate: twice
    /// the shift along the direction that a design of this size keeps least, as far as
    /// [`gain_bound`](crate::theory::coupling::gain_bound) holds. At most 1, and 1 when too few groups
    /// have sent reports to identify the distribution. `None` from other decoders and when min-L1 did
    /// not converge: no such bound is known for them.
    pub manipulation_bound: Option<f64>,
    /// The total variation between the observed frequencies and those of the estimate, averaged
    /// over groups: the least fraction of reports that does not fit.
    pub residual: f64,
    /// At least this fraction of the reports was manipulated, with confidence 95 %: what the best
    /// fitting distribution leaves unexplained beyond the noise. 0 when nothing was noticed, which
    /// proves nothing: corrupted clients that stay within the model are invisible. Computed by min-L1 only; 0
    /// from other decoders.
    pub gamma_lower_bound: f64,
    /// The convergence of the decoder.
    pub convergence: Convergence,
}

/// The effective number of groups of equal size: `1 / sum w^2`, rounded.
fn effective_groups(observation: &Observation) -> usize {
    let squares: f64 = observation.weights().iter().map(|w| w * w).sum();
    (1.0 / squares).round() as usize
}

/// The ratio of the noise of estimates to that of an orthogonal design.
fn inflation(matrix: &DesignMatrix, groups: usize, robust: bool) -> f64 {
    let setting = HashedSetting {
        symbols: matrix.symbols(),
        cells: matrix.cells(),
        groups,
        epsilon: None,
    };
    // Users cancel in the ratio.
    let deviation = if robust {
        setting.min_l1_deviation(1.0)
    } else {
        setting.least_squares_deviation(1.0)
    };
    if matrix.symbols() < 2 {
        return 0.0;
    }
    deviation / setting.ideal_deviation(1.0)
}

/// The standard error of each mass.
fn standard_errors(matrix: &DesignMatrix, observation: &Observation, robust: bool) -> Vec<f64> {
    let k = matrix.symbols();
    // The binomial variance of each cell frequency, times its squared weight: w^2 f(1-f) / (w n).
    let mut variances: Vec<f64> = observation
        .frequencies()
        .iter()
        .map(|frequency| frequency * (1.0 - frequency))
        .collect();
    for (group, weight) in variances
        .chunks_exact_mut(matrix.cells())
        .zip(observation.weights())
    {
        for variance in group {
            *variance *= weight / observation.reports();
        }
    }
    // The variance of a symbol sums over its cells. It is then scaled from an orthogonal design to this
    // one by the high-dimensional theory.
    let mut sums = vec![0.0; k];
    matrix.sum_over_cells(&variances, &mut sums);
    // With every symbol in its own cell there are no collisions.
    let identity = matrix.cells() >= k;
    let apart = (1.0 - matrix.collision_probability()) * matrix.attenuation();
    let factor = if identity {
        1.0 / matrix.attenuation()
    } else {
        inflation(matrix, effective_groups(observation), robust) / apart
    };
    for sum in &mut sums {
        *sum = if *sum > 0.0 { factor * sum.sqrt() } else { 0.0 };
        if !sum.is_finite() {
            *sum = f64::INFINITY;
        }
    }
    sums
}

/// The standard error of a mass near 0.
pub(super) fn typical_deviation(matrix: &DesignMatrix, observation: &Observation) -> f64 {
    let errors = standard_errors(matrix, observation, false);
    errors.iter().sum::<f64>() / errors.len() as f64
}

/// Completes an estimate from its masses. `least_residual` is a proven lower bound on the residual of
/// every distribution, from which `gamma_lower_bound` follows.
pub(super) fn describe(
    matrix: &DesignMatrix,
    observation: &Observation,
    gamma: Gamma,
    masses: Vec<f64>,
    least_residual: Option<f64>,
    convergence: Convergence,
) -> Estimate {
    // The bound is computed without privacy, whose effect the attenuation of the matrix includes.
    let bound = manipulation_bound(
        gamma,
        matrix.symbols(),
        matrix.cells(),
        effective_groups(observation),
        None,
    ) / matrix.attenuation();
    // The residual of the true distribution is at most its noise plus the fraction of changed
    // reports, and at least `least_residual`.
    let noise = observation.noise_bound(matrix) + observation.noise_deviation(CERTIFICATE_LEVEL);
    Estimate {
        standard_errors: standard_errors(matrix, observation, least_residual.is_some()),
        manipulation_bound: (least_residual.is_some() && convergence.converged)
            .then_some((2.0 * bound).min(1.0)),
        residual: observation.residual(matrix, &masses),
        gamma_lower_bound: least_residual.map_or(0.0, |least| (least - noise).clamp(0.0, 1.0)),
        convergence,
        masses,
    }
}
