//! Decoders: from aggregated counts to an estimate with a bound on the effect of manipulation.
//!
//! Decoders take the counts of a hash design, never raw reports. [`Decoder::MinL1`] is robust and the
//! default; the others are baselines.
//!
//! ```
//! use septet_robust_stats::Gamma;
//! use septet_robust_stats::aggregate::CountMatrix;
//! use septet_robust_stats::decode::{Decoder, Observation};
//! use septet_robust_stats::design::DesignMatrix;
//!
//! // Four symbols in three groups of two cells, and 300 reports.
//! let partitions = [[0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0]];
//! let matrix = DesignMatrix::new(4, 2, 3, |group, symbol| partitions[group][symbol])?;
//! let counts = CountMatrix::from_counts(3, 2, vec![70, 30, 60, 40, 50, 50])?;
//! let observation = Observation::from_counts(&matrix, &counts)?;
//!
//! let estimate = Decoder::default().decode(&matrix, &observation, Gamma::new(0.01)?)?;
//! assert!((estimate.masses[0] - 0.4).abs() < 1e-3);
//! assert_eq!(estimate.gamma_lower_bound, 0.0);
//! # Ok::<(), septet_robust_stats::RobustStatsError>(())
//! ```

mod bound;
mod estimate;
mod likelihood;
mod linear;
pub mod min_l1;
mod observation;
pub mod projection;
mod recover;
mod server;

pub use bound::ManipulationBound;
pub use estimate::{Convergence, Estimate};
pub use min_l1::{MinL1Options, MinL1Solution};
pub use observation::Observation;
pub use projection::Projection;
pub use recover::ldp_recover;

use serde::{Deserialize, Serialize};

use crate::design::DesignMatrix;
use crate::error::RobustStatsError;
use crate::parameter::Gamma;

/// A decoder of message frequencies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decoder {
    /// Least absolute deviations over the simplex. Manipulation that leaves the model (frequencies
    /// that no distribution has) loses most of its influence; within the model it shifts the estimate
    /// by at most about twice the coupling bound.
    MinL1(MinL1Options),
    /// Least squares, then a projection.
    LeastSquares(Projection),
    /// Averages over groups, then a projection. Biased for fixed partitions.
    Linear(Projection),
    /// Maximum likelihood by expectation maximization.
    MaximumLikelihood {
        /// Maximum number of iterations.
        max_iterations: usize,
        /// Stop if the masses change by at most this in `L1`.
        tolerance: f64,
    },
    /// Least squares, then LDPRecover with this ratio of malicious to genuine clients.
    LdpRecover {
        /// Ratio of malicious to genuine clients.
        ratio: f64,
    },
    /// The coordinatewise median of least squares estimates of blocks of groups, then a projection.
    BlockMedian {
        /// Number of blocks.
        blocks: usize,
        /// The final projection.
        projection: Projection,
    },
}

impl Default for Decoder {
    fn default() -> Self {
        Self::MinL1(MinL1Options::default())
    }
}

impl Decoder {
    /// All decoders with default settings and their names, the robust one first.
    #[must_use]
    pub fn all() -> [(&'static str, Self); 10] {
        [
            ("min-l1", Self::default()),
            ("least squares", Self::LeastSquares(Projection::None)),
            (
                "least squares, simplex",
                Self::LeastSquares(Projection::Simplex),
            ),
            (
                "least squares, norm-sub",
                Self::LeastSquares(Projection::NormSub),
            ),
            (
                "least squares, base-cut",
                Self::LeastSquares(Projection::BaseCut),
            ),
            (
                "least squares, minimum subtracted",
                Self::LeastSquares(Projection::SubtractMinimum),
            ),
            ("linear, simplex", Self::Linear(Projection::Simplex)),
            (
                "maximum likelihood",
                Self::MaximumLikelihood {
                    max_iterations: 2_000,
                    tolerance: 1e-6,
                },
            ),
            ("LDPRecover", Self::LdpRecover { ratio: 0.2 }),
            (
                "median of 3 blocks, simplex",
                Self::BlockMedian {
                    blocks: 3,
                    projection: Projection::Simplex,
                },
            ),
        ]
    }

    /// Decodes an observation. `gamma`, the fraction of reports that may be manipulated, determines
    /// the stated bound only, not the estimate.
    ///
    /// # Errors
    ///
    /// When the observation does not match the matrix, or a setting of the decoder is out of range.
    /// Missing convergence is not an error; see [`Estimate::convergence`].
    pub fn decode(
        &self,
        matrix: &DesignMatrix,
        observation: &Observation,
        gamma: Gamma,
    ) -> Result<Estimate, RobustStatsError> {
        // The observation must have the shape of the matrix.
        let expected = matrix.groups() * matrix.cells();
        if observation.frequencies().len() != expected
            || observation.weights().len() != matrix.groups()
        {
            return Err(RobustStatsError::mismatch(
                "frequencies",
                observation.frequencies().len(),
                expected,
            ));
        }
        let exact = Convergence {
            converged: true,
            iterations: 0,
            gap: 0.0,
        };
        let finish = |mut masses: Vec<f64>, projection: Projection, convergence| {
            // The threshold of base-cut: the noise of a zero mass, at 5 % over all symbols
            // (Bonferroni).
            let level = 1.0 - 0.05 / matrix.symbols() as f64;
            let threshold = crate::theory::normal_quantile(level)
                * estimate::typical_deviation(matrix, observation);
            projection.apply(&mut masses, threshold);
            estimate::describe(matrix, observation, gamma, masses, None, convergence)
        };
        match *self {
            Self::MinL1(options) => {
                // The noise of the objective, in terms of cell masses, sets the required accuracy.
                let noise = 2.0 * observation.noise_bound(matrix) / matrix.attenuation();
                let solution = min_l1::minimize(
                    matrix,
                    &observation.cell_estimates(matrix),
                    observation.weights(),
                    noise,
                    &options,
                )?;
                // Convert from cell masses to messages, and from L1 to total variation.
                let scale = 0.5 * matrix.attenuation();
                let convergence = Convergence {
                    converged: solution.converged,
                    iterations: solution.iterations,
                    gap: scale * solution.gap(),
                };
                let facts = estimate::MinL1Facts {
                    options,
                    objective: solution.objective,
                    lower_bound: solution.lower_bound,
                    noise,
                };
                Ok(estimate::describe(
                    matrix,
                    observation,
                    gamma,
                    solution.masses,
                    Some(&facts),
                    convergence,
                ))
            }
            Self::LeastSquares(projection) => {
                let solution = linear::least_squares(matrix, observation);
                let convergence = Convergence::of(&solution);
                Ok(finish(solution.masses, projection, convergence))
            }
            Self::Linear(projection) => Ok(finish(
                linear::average(matrix, observation),
                projection,
                exact,
            )),
            Self::MaximumLikelihood {
                max_iterations,
                tolerance,
            } => {
                let solution = likelihood::maximize(matrix, observation, max_iterations, tolerance);
                let convergence = Convergence::of(&solution);
                Ok(finish(solution.masses, Projection::None, convergence))
            }
            Self::LdpRecover { ratio } => {
                let solution = linear::least_squares(matrix, observation);
                let convergence = Convergence::of(&solution);
                // In a hash design a malicious report supports one symbol in expectation, hence the sum 1.
                let masses = ldp_recover(&solution.masses, ratio, 1.0)?;
                Ok(finish(masses, Projection::None, convergence))
            }
            Self::BlockMedian { blocks, projection } => {
                let masses = linear::block_median(matrix, observation, blocks)?;
                Ok(finish(masses, projection, exact))
            }
        }
    }
}
