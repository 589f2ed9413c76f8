//! The bound on the effect of manipulated reports on a min-L1 estimate.
//!
//! Let `F'` be the deviation that min-L1 minimizes over distributions `p`, the mean over reports of
//! `||A_j p - y'_j||_1`, and `F` that of the honest reports, both divided by the number of received
//! reports. Replacing, adding or suppressing `m` of `n` received reports changes the deviation of every `p`
//! by at most `2 m / n`. Of the clients a fraction `gamma` at most is corrupted, so that
//! `m <= gamma (n + m)`: with `g = gamma / (1 - gamma)`, `m / n <= g`. With the estimates
//! `x` from honest reports and `x'` from all, the minimality of `x` gives
//!
//! ```text
//! ||A (x - x')|| <= F'(x) + F'(x') <= F(x) + 2 g + F'(x') <= F(x') + 2 g + F'(x') <= 2 F'(x') + 4 g
//! ```
//!
//! and the design keeps at least a certified fraction of `||x - x'||_1`. For the true distribution `p`
//! in place of `x`, `F(p)` is the noise of the honest reports, which has a bound for every `p`.

use serde::{Deserialize, Serialize};

use super::min_l1::MinL1Options;
use super::observation::Observation;
use crate::design::DesignMatrix;
use crate::parameter::Gamma;

/// The smallest share of a group, relative to the mean, for which the certificate of equal groups is
/// scaled. Below, the observed groups are certified anew.
const MIN_SHARE: f64 = 0.5;

/// Designs of at most this many additions for each round are certified while decoding.
const MAX_DECODING_PASS: usize = 1 << 28;

/// A bound on the total variation between the estimate and the estimate from honest reports alone.
/// A theorem for every adversary, not an average: it holds in every run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManipulationBound {
    /// The part that is proportional to the fraction of manipulated reports, in `[0, 1]`.
    pub manipulation: f64,
    /// The part by which noise lets manipulated reports move the estimate further: proportional to
    /// the observed residual, hence to `1 / sqrt(n)` for honest reports. In `[0, 1]`; 0 if the
    /// fraction allows no manipulated report.
    pub noise: f64,
}

impl ManipulationBound {
    /// The bound: the sum of both parts, at most 1.
    #[must_use]
    pub fn total(&self) -> f64 {
        (self.manipulation + self.noise).min(1.0)
    }
}

/// The guarantees of a min-L1 estimate.
pub(super) struct Guarantee {
    pub(super) manipulation: ManipulationBound,
    pub(super) error: f64,
}

/// The fraction of distances that the groups provably keep with these weights, which sum to 1; `None`
/// if nothing is certified.
pub(super) fn kept(matrix: &DesignMatrix, weights: &[f64]) -> Option<f64> {
    let certificate = matrix.certificate()?;
    let groups = matrix.groups() as f64;
    let smallest = groups * weights.iter().copied().fold(f64::INFINITY, f64::min);
    // With every group at least this share of its weight, the bound of equal groups shrinks by it.
    let scaled = certificate.kept * smallest.min(1.0);
    if smallest >= MIN_SHARE || matrix.pass() > MAX_DECODING_PASS {
        return Some(scaled);
    }
    let anew = matrix.certify_weighted(weights);
    Some(anew.map_or(scaled, |anew| anew.kept.max(scaled)))
}

/// The guarantees for a residual `objective` of the estimate, in `L1` of cell masses. `error_noise`
/// bounds the same residual of the true distribution under honest reports, with the confidence of the
/// error bound; `mean_noise` is the solver's measure of noise.
pub(super) fn guarantee(
    matrix: &DesignMatrix,
    observation: &Observation,
    gamma: Gamma,
    options: &MinL1Options,
    objective: f64,
    (mean_noise, error_noise): (f64, f64),
) -> Option<Guarantee> {
    let kept = kept(matrix, observation.weights())?;
    // Only whole reports can be manipulated; those that were suppressed count too, and are not received.
    let reports = observation.reports();
    let share = gamma.get() / (1.0 - gamma.get());
    let manipulated = (share * reports * (1.0 + 1e-12)).floor() / reports;
    let changed = 2.0 * manipulated / matrix.attenuation();
    // Suppressed reports have noise as well. That of a group is at most the sum of those of its received
    // and its suppressed reports, and the latter are largest when spread evenly (Cauchy and Schwarz).
    let (groups, cells) = (matrix.groups() as f64, matrix.cells() as f64);
    let missing = ((cells - 1.0) * groups * manipulated / reports).sqrt() / matrix.attenuation();
    // The solver stops at this distance from the minimum of the honest deviation.
    let tolerance = (options.relative_tolerance / (1.0 - options.relative_tolerance)
        * (objective + changed))
        .max(options.noise_tolerance * (mean_noise + missing));
    let part = |value: f64| {
        if value <= 0.0 {
            0.0
        } else if kept > 0.0 {
            (value / kept).min(1.0)
        } else {
            1.0
        }
    };
    let manipulation = if manipulated > 0.0 {
        ManipulationBound {
            manipulation: part(changed),
            noise: part(objective + 0.5 * tolerance),
        }
    } else {
        ManipulationBound {
            manipulation: 0.0,
            noise: 0.0,
        }
    };
    Some(Guarantee {
        manipulation,
        error: part(
            0.5 * (error_noise * (1.0 + manipulated).sqrt() + missing + changed + objective),
        ),
    })
}
