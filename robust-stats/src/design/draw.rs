//! Drawing a design: several random ones, of which the best is kept.

use sha2::{Digest, Sha256};

use super::certificate::pass;
use super::{Certificate, DesignMatrix, DesignParameters, HashDesign};
use crate::error::RobustStatsError;

/// Maximum number of designs that are drawn.
const MAX_DRAWS: usize = 8;

/// The sizes `k^2 N + k^3` of all drawn designs together, above which fewer are drawn.
const EFFORT: usize = 1 << 27;

/// Number of further draws while no design identifies the distribution.
const RETRIES: usize = 56;

/// The parameters of a drawn design, with its certificate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DrawnDesign {
    /// The parameters, with the seed of the best design.
    pub parameters: DesignParameters,
    /// What the design provably keeps; `None` if it is too large for a proof.
    pub certificate: Option<Certificate>,
}

impl DesignParameters {
    /// Draws up to eight designs, the first from the seed itself and the others from seeds derived from
    /// it, and returns the one with the best certificate. Random partitions of few symbols often
    /// repeat or resemble each other: of designs with 4 symbols in 2 cells, one in nine does not
    /// identify the distribution, and the certificate of 12 symbols in 4 cells varies by a factor of 2.
    ///
    /// Deterministic. Time: some milliseconds for 20 symbols, a few seconds for 128 and more, for which
    /// fewer designs are drawn. A design too large to certify is returned as it is.
    ///
    /// # Errors
    ///
    /// When none of 64 designs identifies the distribution: there are too few groups or cells. Also
    /// when the design is too large ([`HashDesign::new`]).
    pub fn drawn(self) -> Result<DrawnDesign, RobustStatsError> {
        self.best(0.0)
    }

    /// As [`drawn`](Self::drawn), but draws on, up to 64 designs, until the certificate is at least
    /// `min_kept`: the [`kept`](crate::planner::Plan::kept) of a plan, on which its guarantee rests.
    ///
    /// # Errors
    ///
    /// As [`drawn`](Self::drawn), and when `min_kept` is outside `[0, 1]`, none of 64 designs reaches it,
    /// or the design is too large to certify.
    pub fn drawn_with(self, min_kept: f64) -> Result<DrawnDesign, RobustStatsError> {
        if !(0.0..=1.0).contains(&min_kept) {
            return Err(RobustStatsError::parameter(
                "min_kept",
                "a number in [0, 1]",
                min_kept,
            ));
        }
        let best = self.best(min_kept)?;
        match best.certificate {
            Some(Certificate { kept }) if kept >= min_kept => Ok(best),
            certificate => Err(RobustStatsError::parameter(
                "min_kept",
                certificate.map_or_else(
                    || "a design small enough to certify".to_owned(),
                    |best| {
                        format!(
                            "at most {}, the best of {} designs",
                            best.kept,
                            MAX_DRAWS + RETRIES
                        )
                    },
                ),
                min_kept,
            )),
        }
    }

    /// The best of up to eight designs, and of up to 64 while none identifies the distribution or is
    /// certified for `min_kept`.
    fn best(self, min_kept: f64) -> Result<DrawnDesign, RobustStatsError> {
        let pass = pass(self.domain(), self.groups(), self.cells());
        let draws = (EFFORT / pass.max(1)).clamp(1, MAX_DRAWS);
        let mut best: Option<DrawnDesign> = None;
        let mut best_kept = 0.0;
        for draw in 0..MAX_DRAWS + RETRIES {
            if draw >= draws && best.is_some() && best_kept >= min_kept {
                break;
            }
            let parameters = self.with_seed(derived(self.seed(), draw));
            let matrix = DesignMatrix::from_design(&HashDesign::new(parameters)?)?;
            let certificate = matrix.certify();
            let drawn = DrawnDesign {
                parameters,
                certificate,
            };
            match certificate {
                // Too large to certify: no draw is better than another.
                None => return Ok(drawn),
                Some(Certificate { kept }) => {
                    if kept > best_kept {
                        best = Some(drawn);
                        best_kept = kept;
                    }
                }
            }
        }
        best.ok_or_else(|| {
            RobustStatsError::parameter(
                "groups",
                format!(
                    "enough partitions to identify {} symbols by {} cells",
                    self.domain(),
                    self.cells()
                ),
                self.groups(),
            )
        })
    }
}

/// The seed of a draw.
fn derived(seed: &[u8; 32], draw: usize) -> [u8; 32] {
    if draw == 0 {
        return *seed;
    }
    Sha256::new()
        .chain_update(b"septet hash design draw 1")
        .chain_update(seed)
        .chain_update((draw as u64).to_le_bytes())
        .finalize()
        .into()
}
