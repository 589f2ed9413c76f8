//! Server-side aggregation: integer counts that merge in any order.
//!
//! [`Aggregate`] counts the reports of any mechanism. [`DesignAggregator`] counts those of a hash
//! design and validates them against the assignment. Counts are integers and merging is addition, so
//! any number of shards, merged in any order, gives bit-identical counts and estimates. Both reject
//! repeated reports of a client on request.
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
mod clients;
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
pub use reject::{RejectCounts, RejectReason};

use clients::Clients;

use crate::error::RobustStatsError;

/// Maximum number of reports of an aggregate. Counts are at most the number of reports, so sums of
/// them cannot overflow.
pub const MAX_REPORTS: u64 = 1 << 56;

/// Maximum number of counts of an aggregate: two gigabytes, including the recent counts.
pub const MAX_SLOTS: usize = 1 << 27;

/// The sum of counts, at most [`MAX_REPORTS`].
///
/// # Errors
///
/// When the sum is larger.
pub fn checked_total(counts: &[u64]) -> Result<u64, RobustStatsError> {
    let sum = counts.iter().try_fold(0_u64, |sum, &n| sum.checked_add(n));
    sum.filter(|&sum| sum <= MAX_REPORTS).ok_or_else(|| {
        RobustStatsError::parameter(
            "counts",
            format!("a sum of at most {MAX_REPORTS}"),
            match sum {
                Some(sum) => sum.to_string(),
                None => "more than 64 bits".to_owned(),
            },
        )
    })
}

/// Checks that `slots` is at most [`MAX_SLOTS`].
pub(crate) fn check_slots(slots: usize) -> Result<usize, RobustStatsError> {
    if slots <= MAX_SLOTS {
        return Ok(slots);
    }
    Err(RobustStatsError::parameter(
        "number of counts",
        format!("at most {MAX_SLOTS}; reduce the domain, the family or the number of groups"),
        slots,
    ))
}

/// Whether every report was counted in exactly one slot.
fn counts_each_once(counts: &[u64], reports: u64) -> bool {
    checked_total(counts).is_ok_and(|total| total == reports)
}

/// Whether rows of counts, each starting with its number of reports, contain every report in exactly
/// one row, with no count above that number.
fn counts_by_row(counts: &[u64], width: usize, reports: u64) -> bool {
    let rows = counts.chunks_exact(width + 1);
    let heads: Vec<u64> = rows.clone().map(|row| row[0]).collect();
    counts_each_once(&heads, reports)
        && rows
            .into_iter()
            .all(|row| row.iter().all(|&count| count <= row[0]))
}

/// Checks that the sum of two parts is at most [`MAX_REPORTS`].
fn check_reports(left: u64, right: u64) -> Result<(), RobustStatsError> {
    match left.checked_add(right) {
        Some(sum) if sum <= MAX_REPORTS => Ok(()),
        _ => Err(RobustStatsError::parameter(
            "reports",
            format!("at most {MAX_REPORTS}"),
            format!("{left} + {right}"),
        )),
    }
}

/// How the reports of a mechanism are counted.
pub trait Countable: Clone + PartialEq {
    /// The message of one client.
    type Report;

    /// Number of counts; saturates at `usize::MAX`.
    fn slots(&self) -> usize;

    /// Whether `counts` are possible counts of `reports` reports. The caller has checked their number
    /// and that none exceeds `reports`.
    fn is_consistent(&self, counts: &[u64], reports: u64) -> bool;

    /// Adds a report: at most 1 to any count, or nothing if it is rejected.
    ///
    /// # Errors
    ///
    /// When no client of this mechanism can send the report.
    fn count(&self, report: &Self::Report, counts: &mut [u32]) -> Result<(), RejectReason>;
}

/// A mechanism with unbiased frequency estimates from its counts.
pub trait FrequencyOracle: Countable {
    /// The estimates by symbol; they may be negative and need not sum to 1. All 0 without reports.
    fn estimates(&self, counts: &[u64], reports: u64) -> Vec<f64>;

    /// The variance of the estimate of `symbol` if the clients' values have the relative frequencies
    /// `masses`: over the randomness of the mechanism and of shared hash functions, but not over the
    /// sampling of clients (which would add `p (1-p) / n`).
    fn variance(&self, masses: &[f64], symbol: usize, reports: u64) -> f64;
}

/// Counts of the reports of a mechanism.
///
/// With [`Aggregate::with_duplicate_detection`] a second report of a client is rejected. Detection is per
/// shard: all reports of a client must go to the same shard, or duplicates be removed upstream.
#[derive(Clone, Debug)]
pub struct Aggregate<M> {
    mechanism: M,
    reports: u64,
    /// The counts of all but the pending reports.
    settled: Vec<u64>,
    /// The counts of the latest `pending` reports, in 32 bits: twice as many per SIMD vector.
    recent: Vec<u32>,
    pending: u32,
    rejected: RejectCounts,
    clients: Option<Clients>,
}

impl<M: Countable> Aggregate<M> {
    /// An empty aggregate.
    ///
    /// # Panics
    ///
    /// When the mechanism has more than [`MAX_SLOTS`] counts; see [`Aggregate::try_new`].
    #[must_use]
    pub fn new(mechanism: M) -> Self {
        Self::try_new(mechanism).expect("a mechanism whose counts fit into memory")
    }

    /// An empty aggregate of an untrusted mechanism.
    ///
    /// # Errors
    ///
    /// When the mechanism has more than [`MAX_SLOTS`] counts.
    pub fn try_new(mechanism: M) -> Result<Self, RobustStatsError> {
        let slots = check_slots(mechanism.slots())?;
        Ok(Self {
            mechanism,
            reports: 0,
            settled: vec![0; slots],
            recent: vec![0; slots],
            pending: 0,
            rejected: RejectCounts::default(),
            clients: None,
        })
    }

    /// Enables rejection of repeated reports, for reports that are counted with the names of their
    /// clients, by [`Aggregate::push_from`]. Memory: at least 16 bytes per client.
    ///
    /// Names are hashed with the key. It is random and secret: a client that knows it could search for
    /// a name by which the report of another one is rejected. Shards that are merged need the same key.
    #[must_use]
    pub fn with_duplicate_detection(self, key: [u8; 16]) -> Self {
        Self {
            clients: Some(Clients::new(key)),
            ..self
        }
    }

    /// An aggregate from stored counts.
    ///
    /// # Errors
    ///
    /// When the number of counts is not that of the mechanism, the counts are impossible for this
    /// number of reports, or it exceeds [`MAX_REPORTS`].
    pub fn from_counts(
        mechanism: M,
        reports: u64,
        counts: Vec<u64>,
        rejected: RejectCounts,
    ) -> Result<Self, RobustStatsError> {
        // The counts are untrusted: check their number, their bounds and their consistency.
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
                format!("at most the number of reports, {reports}"),
                count,
            ));
        }
        if !aggregate.mechanism.is_consistent(&counts, reports) {
            return Err(RobustStatsError::parameter(
                "counts",
                format!("possible counts of {reports} reports"),
                "inconsistent counts",
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

    /// Counts a report, whoever sent it.
    ///
    /// # Errors
    ///
    /// The reason of a rejection, which is counted too.
    pub fn push(&mut self, report: &M::Report) -> Result<(), RejectReason> {
        match self.mechanism.count(report, &mut self.recent) {
            Ok(()) => {
                self.reports += 1;
                self.pending += 1;
                // Each report adds at most 1 per count, so 32 bits cannot overflow before.
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

    /// Counts a report of a client, unless duplicate detection is enabled and the client has already
    /// sent one. A report that is rejected does not use up the client's name. The transport must
    /// authenticate the name.
    ///
    /// # Errors
    ///
    /// The reason of a rejection, which is counted too.
    pub fn push_from(&mut self, client: &[u8], report: &M::Report) -> Result<(), RejectReason> {
        let fingerprint = self.clients.as_ref().map(|known| known.fingerprint(client));
        if let (Some(known), Some(fingerprint)) = (&self.clients, fingerprint)
            && known.contains(fingerprint)
        {
            self.rejected.add(RejectReason::Duplicate);
            return Err(RejectReason::Duplicate);
        }
        self.push(report)?;
        if let (Some(known), Some(fingerprint)) = (&mut self.clients, fingerprint) {
            known.insert(fingerprint);
        }
        Ok(())
    }

    /// Counts a report that could not be parsed.
    pub fn reject(&mut self, reason: RejectReason) {
        self.rejected.add(reason);
    }

    fn settle(&mut self) {
        for (settled, recent) in self.settled.iter_mut().zip(&mut self.recent) {
            *settled += u64::from(std::mem::take(recent));
        }
        self.pending = 0;
    }

    /// Adds the counts of another shard. Associative and commutative. The sets of known clients are
    /// united if both shards detect duplicates; a client counted by both stays counted twice.
    ///
    /// # Errors
    ///
    /// When the mechanisms or the keys of the duplicate detection differ, or the sum exceeds
    /// [`MAX_REPORTS`].
    pub fn merge(&mut self, other: &Self) -> Result<(), RobustStatsError> {
        // Validate before changing anything: a failed merge leaves the aggregate unchanged.
        check_reports(self.reports, other.reports)?;
        if self.mechanism != other.mechanism {
            return Err(RobustStatsError::mismatch(
                "mechanism",
                "that of this aggregate",
                "another one",
            ));
        }
        if let (Some(known), Some(more)) = (&mut self.clients, &other.clients) {
            known.check_key(more)?;
            known.extend(more);
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

    /// Number of reports counted.
    #[must_use]
    pub fn reports(&self) -> u64 {
        self.reports
    }

    /// Number of rejected reports by reason.
    #[must_use]
    pub fn rejected(&self) -> &RejectCounts {
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
