//! What the server adds up: integer counts that merge in any order.
//!
//! [`Aggregate`] counts the reports of any mechanism, and [`DesignAggregator`] those of a hash design,
//! which it also checks against the assignment. Counts are integers and merging adds them, so that
//! any number of shards, merged in any order, give bit-identical counts and estimates.
//!
//! ```
//! use septet_robust_stats::Epsilon;
//! use septet_robust_stats::aggregate::Aggregate;
//! use septet_robust_stats::mechanism::{Mechanism, UnaryEncoding, client_generator};
//!
//! let mechanism = UnaryEncoding::optimized(3, Epsilon::new(4.0)?)?;
//! let mut aggregate = Aggregate::new(mechanism);
//! let mut rng = client_generator()?;
//! for client in 0..2_000 {
//!     let report = mechanism.encode(client % 2, &mut rng)?;
//!     aggregate.push(&report).expect("an honest report");
//! }
//! let estimates = aggregate.estimates();
//! assert!((estimates[0] - 0.5).abs() < 0.2 && estimates[2].abs() < 0.2);
//! # Ok::<(), septet_robust_stats::RobustStatsError>(())
//! ```

mod bit_counts;
mod count_matrix;
mod design;
mod hadamard;
mod local_hashing;
mod rappor;
mod reject;
mod sketch;
mod symbols;

pub use count_matrix::CountMatrix;
pub use design::{DesignAggregator, DesignCounts};
pub use hadamard::transform;
pub use reject::{Reject, RejectStatistics};

use crate::error::RobustStatsError;

/// The most reports that an aggregate holds. Counts are at most the number of reports, so that sums of
/// them stay far from where integers end.
pub const MOST_REPORTS: u64 = 1 << 56;

/// The most counts that an aggregate holds: two gigabytes with what adding them up takes.
pub const MOST_SLOTS: usize = 1 << 27;

/// The sum of counts, as long as it is a number of reports: at most [`MOST_REPORTS`].
///
/// # Errors
///
/// When the sum is larger.
pub fn checked_total(counts: &[u64]) -> Result<u64, RobustStatsError> {
    let sum = counts.iter().try_fold(0_u64, |sum, &n| sum.checked_add(n));
    sum.filter(|&sum| sum <= MOST_REPORTS).ok_or_else(|| {
        RobustStatsError::parameter(
            "counts",
            format!("a sum of at most {MOST_REPORTS}"),
            match sum {
                Some(sum) => sum.to_string(),
                None => "one of more than 64 bits".to_owned(),
            },
        )
    })
}

/// Checks that so many counts can be held.
pub(crate) fn check_slots(slots: usize) -> Result<usize, RobustStatsError> {
    if slots <= MOST_SLOTS {
        return Ok(slots);
    }
    Err(RobustStatsError::parameter(
        "number of counts",
        format!("at most {MOST_SLOTS}: a smaller domain, family or number of groups"),
        slots,
    ))
}

/// Whether every report was counted in one slot.
fn counts_each_once(counts: &[u64], reports: u64) -> bool {
    checked_total(counts).is_ok_and(|total| total == reports)
}

/// Whether rows of counts, each beginning with the number of its reports, hold every report in one row
/// and no count above the row's reports.
fn counts_by_row(counts: &[u64], width: usize, reports: u64) -> bool {
    let rows = counts.chunks_exact(width + 1);
    let heads: Vec<u64> = rows.clone().map(|row| row[0]).collect();
    counts_each_once(&heads, reports)
        && rows
            .into_iter()
            .all(|row| row.iter().all(|&count| count <= row[0]))
}

/// Checks that two parts together are not too many.
fn check_reports(left: u64, right: u64) -> Result<(), RobustStatsError> {
    match left.checked_add(right) {
        Some(sum) if sum <= MOST_REPORTS => Ok(()),
        _ => Err(RobustStatsError::parameter(
            "reports",
            format!("at most {MOST_REPORTS} in all"),
            format!("{left} and {right}"),
        )),
    }
}

/// How the reports of a mechanism are counted.
pub trait Countable: Clone + PartialEq {
    /// The message of one client.
    type Report;

    /// How many counts there are; `usize::MAX` when it is more than a number can say.
    fn slots(&self) -> usize;

    /// Whether so many reports can have given these counts, as many as there are slots and none above
    /// the number of reports.
    fn consistent(&self, counts: &[u64], reports: u64) -> bool;

    /// Adds a report: at most 1 to any count, and nothing when it is rejected.
    ///
    /// # Errors
    ///
    /// When no client of this mechanism sends such a report.
    fn count(&self, report: &Self::Report, counts: &mut [u32]) -> Result<(), Reject>;
}

/// A mechanism whose counts give an unbiased estimate of every symbol's frequency.
pub trait FrequencyOracle: Countable {
    /// The estimates, one for each symbol: they may be negative, and need not sum to 1. All 0 without
    /// reports.
    fn estimates(&self, counts: &[u64], reports: u64) -> Vec<f64>;

    /// The variance of the estimate of `symbol` when the clients' values have the relative frequencies
    /// `masses`: over the mechanism's randomness, and over that of shared hash functions where there
    /// are any, but not over the choice of the clients (which would add `p (1-p) / n`).
    fn variance(&self, masses: &[f64], symbol: usize, reports: u64) -> f64;
}

/// The counts of a mechanism's reports.
#[derive(Clone, Debug)]
pub struct Aggregate<M> {
    mechanism: M,
    reports: u64,
    /// The counts of all but the latest reports.
    settled: Vec<u64>,
    /// The counts of the latest `pending` reports, in half the width: twice as many fit into a vector.
    recent: Vec<u32>,
    pending: u32,
    rejected: RejectStatistics,
}

impl<M: Countable> Aggregate<M> {
    /// No reports yet.
    ///
    /// # Panics
    ///
    /// When the mechanism has more than [`MOST_SLOTS`] counts; [`Aggregate::try_new`] says so instead.
    #[must_use]
    pub fn new(mechanism: M) -> Self {
        Self::try_new(mechanism).expect("a mechanism whose counts fit into memory")
    }

    /// No reports yet, of a mechanism that may come from somebody else.
    ///
    /// # Errors
    ///
    /// When the mechanism has more than [`MOST_SLOTS`] counts.
    pub fn try_new(mechanism: M) -> Result<Self, RobustStatsError> {
        let slots = check_slots(mechanism.slots())?;
        Ok(Self {
            mechanism,
            reports: 0,
            settled: vec![0; slots],
            recent: vec![0; slots],
            pending: 0,
            rejected: RejectStatistics::default(),
        })
    }

    /// From counts that were kept elsewhere.
    ///
    /// # Errors
    ///
    /// When there are not as many counts as the mechanism has, no such number of reports can have given
    /// them, or there are more than [`MOST_REPORTS`].
    pub fn from_counts(
        mechanism: M,
        reports: u64,
        counts: Vec<u64>,
        rejected: RejectStatistics,
    ) -> Result<Self, RobustStatsError> {
        let mut aggregate = Self::try_new(mechanism)?;
        if counts.len() != aggregate.settled.len() {
            return Err(RobustStatsError::mismatch(
                "number of counts",
                aggregate.settled.len(),
                counts.len(),
            ));
        }
        check_reports(reports, 0)?;
        if let Some(count) = counts.iter().find(|&&count| count > reports) {
            return Err(RobustStatsError::parameter(
                "counts",
                format!("at most the {reports} reports"),
                count,
            ));
        }
        if !aggregate.mechanism.consistent(&counts, reports) {
            return Err(RobustStatsError::parameter(
                "counts",
                format!("counts that {reports} reports can have given"),
                "others",
            ));
        }
        aggregate.reports = reports;
        aggregate.settled = counts;
        aggregate.rejected = rejected;
        Ok(aggregate)
    }

    /// The mechanism.
    #[must_use]
    pub fn mechanism(&self) -> &M {
        &self.mechanism
    }

    /// Counts a report.
    ///
    /// # Errors
    ///
    /// When it is rejected; that is counted too.
    pub fn push(&mut self, report: &M::Report) -> Result<(), Reject> {
        match self.mechanism.count(report, &mut self.recent) {
            Ok(()) => {
                self.reports += 1;
                self.pending += 1;
                if self.pending == u32::MAX {
                    self.settle();
                }
                Ok(())
            }
            Err(reject) => {
                self.rejected.add(reject);
                Err(reject)
            }
        }
    }

    /// Counts a report that was rejected before it could be read.
    pub fn reject(&mut self, reason: Reject) {
        self.rejected.add(reason);
    }

    fn settle(&mut self) {
        for (settled, recent) in self.settled.iter_mut().zip(&mut self.recent) {
            *settled += u64::from(std::mem::take(recent));
        }
        self.pending = 0;
    }

    /// Adds the counts of another part of the same population: associative and commutative.
    ///
    /// # Errors
    ///
    /// When the mechanisms differ, or there would be more than [`MOST_REPORTS`].
    pub fn merge(&mut self, other: &Self) -> Result<(), RobustStatsError> {
        check_reports(self.reports, other.reports)?;
        if self.mechanism != other.mechanism {
            return Err(RobustStatsError::mismatch(
                "mechanism",
                "that of this aggregate",
                "another one",
            ));
        }
        self.settle();
        for (settled, more) in self.settled.iter_mut().zip(other.counts()) {
            *settled += more;
        }
        self.reports += other.reports;
        self.rejected.merge(&other.rejected);
        Ok(())
    }

    /// The counts.
    #[must_use]
    pub fn counts(&self) -> Vec<u64> {
        let recent = self.recent.iter().map(|&recent| u64::from(recent));
        let both = self.settled.iter().zip(recent);
        both.map(|(settled, recent)| settled + recent).collect()
    }

    /// How many reports were counted.
    #[must_use]
    pub fn reports(&self) -> u64 {
        self.reports
    }

    /// How many reports were rejected, and why.
    #[must_use]
    pub fn rejected(&self) -> &RejectStatistics {
        &self.rejected
    }
}

impl<M: FrequencyOracle> Aggregate<M> {
    /// The estimated relative frequency of every symbol.
    #[must_use]
    pub fn estimates(&self) -> Vec<f64> {
        self.mechanism.estimates(&self.counts(), self.reports)
    }
}

impl<M: Countable> PartialEq for Aggregate<M> {
    fn eq(&self, other: &Self) -> bool {
        self.mechanism == other.mechanism
            && self.reports == other.reports
            && self.rejected == other.rejected
            && self.counts() == other.counts()
    }
}
