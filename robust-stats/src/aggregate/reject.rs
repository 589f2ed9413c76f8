//! Reasons for rejecting reports.

use std::fmt;

/// The reason for rejecting a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RejectReason {
    /// The report is truncated.
    Truncated,
    /// Unknown format, an integer not in its shortest form, or trailing bytes.
    Malformed,
    /// Unknown version of the format.
    Version,
    /// The report belongs to another mechanism or design.
    Design,
    /// The report belongs to another epoch.
    Epoch,
    /// The report has a group other than the client's assigned one.
    Group,
    /// A cell, symbol, seed, row or bit length is out of range.
    Range,
    /// The client has already sent a report.
    Duplicate,
}

impl RejectReason {
    /// All reasons, in order of [`RejectCounts`].
    pub const ALL: [Self; 8] = [
        Self::Truncated,
        Self::Malformed,
        Self::Version,
        Self::Design,
        Self::Epoch,
        Self::Group,
        Self::Range,
        Self::Duplicate,
    ];

    /// A one-word name of the reason.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::Version => "version",
            Self::Design => "design",
            Self::Epoch => "epoch",
            Self::Group => "group",
            Self::Range => "range",
            Self::Duplicate => "duplicate",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for RejectReason {}

/// Numbers of rejected reports by reason: telemetry about attacks and faults. Sums saturate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RejectCounts([u64; RejectReason::ALL.len()]);

impl RejectCounts {
    /// From counts in order of [`RejectReason::ALL`].
    #[must_use]
    pub fn from_counts(counts: [u64; RejectReason::ALL.len()]) -> Self {
        Self(counts)
    }

    /// The counts in order of [`RejectReason::ALL`].
    #[must_use]
    pub fn counts(&self) -> &[u64; RejectReason::ALL.len()] {
        &self.0
    }

    /// Number of reports rejected for this reason.
    #[must_use]
    pub fn get(&self, reason: RejectReason) -> u64 {
        self.0[reason as usize]
    }

    /// Total number of rejected reports.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, &n| sum.saturating_add(n))
    }

    /// Counts one rejected report.
    pub fn add(&mut self, reason: RejectReason) {
        let count = &mut self.0[reason as usize];
        *count = count.saturating_add(1);
    }

    /// Adds the counts of another shard.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(&other.0) {
            *count = count.saturating_add(*more);
        }
    }
}
