//! Designs and distributions that several experiments use.

use septet_core::experiment::{ExperimentError, SeedTree};
use septet_robust_stats::aggregate::CountMatrix;
use septet_robust_stats::decode::{Decoder, Estimate, Observation};
use septet_robust_stats::design::{DesignMatrix, DesignParameters, HashDesign};
use septet_robust_stats::{Epsilon, Gamma, Pmf};

/// A fresh random design; `groups` is the default number when there is none.
pub(super) fn design(
    symbols: usize,
    cells: usize,
    groups: Option<usize>,
    epsilon: Option<f64>,
    seed: &SeedTree,
) -> Result<HashDesign, ExperimentError> {
    use rand::Rng;
    let bytes: [u8; 32] = seed.child("design").rng().random();
    let mut parameters = DesignParameters::new(symbols, cells, bytes)?;
    if let Some(groups) = groups {
        parameters = parameters.with_groups(groups)?;
    }
    if let Some(epsilon) = epsilon {
        parameters = parameters.with_epsilon(Epsilon::new(epsilon)?)?;
    }
    Ok(HashDesign::new(parameters)?)
}

/// The same as a linear map.
pub(super) fn design_matrix(
    symbols: usize,
    cells: usize,
    groups: Option<usize>,
    epsilon: Option<f64>,
    seed: &SeedTree,
) -> Result<DesignMatrix, ExperimentError> {
    let design = design(symbols, cells, groups, epsilon, seed)?;
    Ok(DesignMatrix::from_design(&design)?)
}

/// The total variation between masses, which may be any numbers, and a distribution.
pub(super) fn distance(masses: &[f64], truth: &Pmf) -> f64 {
    let pairs = masses.iter().zip(truth.masses());
    pairs.map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0
}

/// Decodes counts.
pub(super) fn decode(
    decoder: Decoder,
    matrix: &DesignMatrix,
    counts: &CountMatrix,
    gamma: Gamma,
) -> Result<Estimate, ExperimentError> {
    let observation = Observation::from_counts(matrix, counts)?;
    Ok(decoder.decode(matrix, &observation, gamma)?)
}
