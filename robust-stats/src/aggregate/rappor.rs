//! RAPPOR: bit counts of Bloom filters by cohort.

use super::{Aggregate, Countable, RejectReason, bit_counts, counts_by_row};
use crate::mechanism::{Rappor, RapporReport};

impl Countable for Rappor {
    type Report = RapporReport;

    /// Per cohort the number of its reports, then the count of each bit: the rows of a RAPPOR counts
    /// file.
    fn slots(&self) -> usize {
        self.cohorts() * (self.bits() + 1)
    }

    fn is_consistent(&self, counts: &[u64], reports: u64) -> bool {
        counts_by_row(counts, self.bits(), reports)
    }

    fn count(&self, report: &RapporReport, counts: &mut [u32]) -> Result<(), RejectReason> {
        let bits = self.bits();
        if report.cohort as usize >= self.cohorts() || report.bits.len() != bits {
            return Err(RejectReason::Range);
        }
        let start = report.cohort as usize * (bits + 1);
        counts[start] += 1;
        bit_counts::add_bits(report.bits.words(), &mut counts[start + 1..=start + bits]);
        Ok(())
    }
}

impl Aggregate<Rappor> {
    /// The estimated number of clients whose value sets each bit, by cohort and bit:
    /// `t = (c - p* N) / (q* - p*)`, equal to the paper's
    /// `(c - (p + fq/2 - fp/2) N) / ((1-f)(q-p))`.
    #[must_use]
    pub fn bloom_counts(&self) -> Vec<f64> {
        let (set, clear) = self.mechanism().probabilities();
        let counts = self.counts();
        let cohorts = counts.chunks_exact(self.mechanism().bits() + 1);
        let estimates = cohorts.flat_map(|cohort| {
            let reports = cohort[0] as f64;
            let estimate = move |&count: &u64| (count as f64 - clear * reports) / (set - clear);
            cohort[1..].iter().map(estimate)
        });
        estimates.collect()
    }
}
