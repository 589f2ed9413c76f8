//! Estimates with error statements.

use serde::{Deserialize, Serialize};

use crate::parameter::Gamma;
use crate::theory::learning::HashedSetting;

use super::bound::{self, ManipulationBound};
use super::linear::Iterated;
use super::min_l1::MinL1Options;
use super::observation::Observation;
use crate::design::{DesignMatrix, Gram};

/// The error probability of [`Estimate::gamma_lower_bound`] and [`Estimate::error_bound`].
const ERROR_LEVEL: f64 = 0.05;

/// Standard errors are computed from the partitions themselves up to this size, about `k^2 N + k^3`: beyond,
/// that would take longer than decoding.
const MAX_EXACT_PASS: usize = 1 << 26;

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
    /// The standard error of each mass without manipulation: that of least squares from the partitions
    /// at hand and the variance of the cells, scaled to the decoder by high-dimensional theory. Beyond
    /// `k^2 N + k^3 = 2^26`, such as 256 symbols in 512 groups, by theory alone. Infinite if the groups with
    /// reports do not identify the distribution.
    pub standard_errors: Vec<f64>,
    /// The total variation by which the assumed fraction of manipulated reports moves the estimate at
    /// most. `None` from other decoders than min-L1, when it did not converge, and without a
    /// [certificate](DesignMatrix::with_certificate) of the design. With too few groups to identify
    /// the distribution it is 1.
    pub manipulation_bound: Option<ManipulationBound>,
    /// With 95 % confidence the total variation between the estimate and the true distribution is at
    /// most this, with at most the assumed fraction of manipulated reports: at most 1. `None` as
    /// [`manipulation_bound`](Self::manipulation_bound).
    pub error_bound: Option<f64>,
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

/// The design of the observed groups in the formulas of the theory.
fn setting(matrix: &DesignMatrix, groups: usize) -> HashedSetting {
    HashedSetting {
        symbols: matrix.symbols(),
        cells: matrix.cells(),
        groups,
        epsilon: None,
    }
}

/// The standard error of each mass.
fn standard_errors(matrix: &DesignMatrix, observation: &Observation, robust: bool) -> Vec<f64> {
    let k = matrix.symbols();
    if k < 2 {
        return vec![0.0; k];
    }
    let setting = setting(matrix, effective_groups(observation));
    // Least absolute deviations have more noise than least squares by a factor of theory. Users cancel.
    let identity = matrix.cells() >= k;
    let factor = if robust && !identity && setting.aspect_ratio() < 1.0 {
        setting.min_l1_deviation(1.0) / setting.least_squares_deviation(1.0)
    } else {
        1.0
    };
    let mut errors = if matrix.pass() <= MAX_EXACT_PASS {
        match Gram::new(matrix, observation.weights()) {
            Some(gram) => least_squares_errors(matrix, observation, &gram.inverse()),
            None => vec![f64::INFINITY; k],
        }
    } else {
        approximate_errors(matrix, observation, &setting)
    };
    for error in &mut errors {
        *error *= factor;
    }
    errors
}

/// The standard errors of weighted least squares, from the inverse of the weighted Gram matrix: exact
/// for the partitions and frequencies at hand. `O(k^2 N)`.
fn least_squares_errors(
    matrix: &DesignMatrix,
    observation: &Observation,
    inverse: &[f64],
) -> Vec<f64> {
    let (k, cells) = (matrix.symbols(), matrix.cells());
    let mut variances = vec![0.0; k];
    let mut coefficients = vec![0.0; cells * k];
    for (group, (frequencies, &weight)) in observation
        .frequencies()
        .chunks_exact(cells)
        .zip(observation.weights())
        .enumerate()
    {
        if weight == 0.0 {
            continue;
        }
        // The estimate is linear in the frequencies: the coefficients of this group's cells sum the
        // columns of the inverse over the symbols of each cell.
        coefficients.fill(0.0);
        for (symbol, column) in inverse.chunks_exact(k).enumerate() {
            let cell = matrix.rows_of(symbol)[group] as usize % cells;
            for (sum, value) in coefficients[cell * k..(cell + 1) * k]
                .iter_mut()
                .zip(column)
            {
                *sum += value;
            }
        }
        // The variance of a multinomial sum: w^2 (sum c^2 f - (sum c f)^2) / (w n).
        let scale = weight / observation.reports();
        let mut means = vec![0.0; k];
        for (coefficients, frequency) in coefficients.chunks_exact(k).zip(frequencies) {
            for ((variance, mean), c) in variances.iter_mut().zip(&mut means).zip(coefficients) {
                *variance += scale * frequency * c * c;
                *mean += frequency * c;
            }
        }
        for (variance, mean) in variances.iter_mut().zip(&means) {
            *variance -= scale * mean * mean;
        }
    }
    let attenuation = matrix.attenuation();
    variances
        .iter()
        .map(|variance| variance.max(0.0).sqrt() / attenuation)
        .collect()
}

/// The standard errors of least squares from the variance of each symbol's cells, scaled from an
/// orthogonal design to this one by high-dimensional theory. `O(k N)`.
fn approximate_errors(
    matrix: &DesignMatrix,
    observation: &Observation,
    setting: &HashedSetting,
) -> Vec<f64> {
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
    let mut sums = vec![0.0; matrix.symbols()];
    matrix.sum_over_cells(&variances, &mut sums);
    // With every symbol in its own cell there are no collisions.
    let factor = if matrix.cells() >= matrix.symbols() {
        1.0 / matrix.attenuation()
    } else {
        let apart = (1.0 - matrix.collision_probability()) * matrix.attenuation();
        setting.least_squares_deviation(1.0) / setting.ideal_deviation(1.0) / apart
    };
    if factor.is_finite() {
        sums.iter().map(|sum| factor * sum.sqrt()).collect()
    } else {
        vec![f64::INFINITY; sums.len()]
    }
}

/// The standard error of a mass near 0.
pub(super) fn typical_deviation(matrix: &DesignMatrix, observation: &Observation) -> f64 {
    let errors = standard_errors(matrix, observation, false);
    errors.iter().sum::<f64>() / errors.len() as f64
}

/// What min-L1 knows of its solution beyond the masses.
pub(super) struct MinL1Facts {
    /// Its options.
    pub(super) options: MinL1Options,
    /// The deviation of the estimate, in `L1` of cell masses.
    pub(super) objective: f64,
    /// A lower bound on the deviation of every distribution.
    pub(super) lower_bound: f64,
    /// The measure of noise that the solver was given.
    pub(super) noise: f64,
}

/// Completes an estimate from its masses.
pub(super) fn describe(
    matrix: &DesignMatrix,
    observation: &Observation,
    gamma: Gamma,
    masses: Vec<f64>,
    min_l1: Option<&MinL1Facts>,
    convergence: Convergence,
) -> Estimate {
    // The residual of the true distribution is at most its noise plus the fraction of changed
    // reports, and at least the lower bound of every distribution.
    let noise = observation.noise_bound(matrix) + observation.noise_deviation(ERROR_LEVEL);
    // From L1 of cell masses to total variation of messages.
    let scale = 0.5 * matrix.attenuation();
    let guarantee = min_l1.and_then(|facts| {
        let noises = (facts.noise, noise / scale);
        convergence.converged.then(|| {
            bound::guarantee(
                matrix,
                observation,
                gamma,
                &facts.options,
                facts.objective,
                noises,
            )
        })?
    });
    let least = min_l1.map_or(0.0, |facts| scale * facts.lower_bound);
    Estimate {
        standard_errors: standard_errors(matrix, observation, min_l1.is_some()),
        manipulation_bound: guarantee.as_ref().map(|guarantee| guarantee.manipulation),
        error_bound: guarantee.map(|guarantee| guarantee.error),
        residual: observation.residual(matrix, &masses),
        gamma_lower_bound: (least - noise).clamp(0.0, 1.0),
        convergence,
        masses,
    }
}
