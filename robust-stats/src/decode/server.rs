//! The estimate of a server, in one call.

use super::{Decoder, Estimate, Observation};
use crate::aggregate::{DesignAggregator, DesignCounts};
use crate::design::{Certificate, DesignMatrix, HashDesign};
use crate::error::RobustStatsError;
use crate::parameter::Gamma;

impl DesignCounts {
    /// The min-L1 estimate of the clients' distribution, with bounds for a fraction `gamma` of manipulated
    /// reports. The bounds rest on the `certificate` of the design, as
    /// [`DesignParameters::drawn`](crate::design::DesignParameters::drawn) returns it; without one,
    /// the design is certified here, which takes milliseconds for tens of symbols and seconds for
    /// hundreds.
    ///
    /// # Errors
    ///
    /// When there are no reports, or the design is too large ([`HashDesign::new`]).
    pub fn estimate(
        &self,
        certificate: Option<Certificate>,
        gamma: Gamma,
    ) -> Result<Estimate, RobustStatsError> {
        let matrix = DesignMatrix::from_design(&HashDesign::new(self.parameters)?)?;
        let matrix = match certificate {
            Some(certificate) => matrix.with_certificate(certificate),
            None => matrix.certified(),
        };
        let observation = Observation::from_counts(&matrix, &self.matrix)?;
        Decoder::default().decode(&matrix, &observation, gamma)
    }
}

impl DesignAggregator {
    /// The min-L1 estimate of the clients' distribution, as [`DesignCounts::estimate`].
    ///
    /// # Errors
    ///
    /// When there are no reports, or the design is too large.
    pub fn estimate(
        &self,
        certificate: Option<Certificate>,
        gamma: Gamma,
    ) -> Result<Estimate, RobustStatsError> {
        self.counts().estimate(certificate, gamma)
    }
}
