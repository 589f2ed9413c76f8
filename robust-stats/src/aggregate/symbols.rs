//! Counting symbols: generalized randomized response.

use super::{Countable, FrequencyOracle, RejectReason, counts_each_once};
use crate::mechanism::{Mechanism, PureMechanism, RandomizedResponse};

impl Countable for RandomizedResponse {
    type Report = u32;

    fn slots(&self) -> usize {
        self.domain()
    }

    fn is_consistent(&self, counts: &[u64], reports: u64) -> bool {
        counts_each_once(counts, reports)
    }

    fn count(&self, report: &u32, counts: &mut [u32]) -> Result<(), RejectReason> {
        let count = counts
            .get_mut(*report as usize)
            .ok_or(RejectReason::Range)?;
        *count += 1;
        Ok(())
    }
}

impl FrequencyOracle for RandomizedResponse {
    fn estimates(&self, counts: &[u64], reports: u64) -> Vec<f64> {
        let support = self.support();
        let estimate = |&count| support.estimate(count, reports);
        counts.iter().map(estimate).collect()
    }

    fn variance(&self, masses: &[f64], symbol: usize, reports: u64) -> f64 {
        self.support().variance(masses[symbol], reports)
    }
}
