//! Why reports are rejected.

use std::fmt;

/// The reason why a report is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reject {
    /// The bytes end before the report does.
    Truncated,
    /// The bytes follow no known format, or a number is not in its shortest form, or bytes are left
    /// over.
    Malformed,
    /// The format has a version that this library does not know.
    Version,
    /// The report belongs to another mechanism or design.
    Design,
    /// The report belongs to another epoch.
    Epoch,
    /// The report claims a group that is not the one assigned to the client.
    Group,
    /// A cell, symbol, seed, row or number of bits is out of range.
    Range,
    /// The client has sent a report already.
    Duplicate,
}

impl Reject {
    /// All reasons, in the order of [`RejectStatistics`].
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

    /// The reason in one word.
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

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for Reject {}

/// How many reports were rejected for each reason: telemetry about attacks and faults. Sums end at the
/// largest number there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RejectStatistics([u64; Reject::ALL.len()]);

impl RejectStatistics {
    /// From one number for each reason, in the order of [`Reject::ALL`].
    #[must_use]
    pub fn from_counts(counts: [u64; Reject::ALL.len()]) -> Self {
        Self(counts)
    }

    /// One number for each reason, in the order of [`Reject::ALL`].
    #[must_use]
    pub fn counts(&self) -> &[u64; Reject::ALL.len()] {
        &self.0
    }

    /// How many were rejected for this reason.
    #[must_use]
    pub fn get(&self, reason: Reject) -> u64 {
        self.0[reason as usize]
    }

    /// How many were rejected.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, &n| sum.saturating_add(n))
    }

    /// Counts one more.
    pub fn add(&mut self, reason: Reject) {
        let count = &mut self.0[reason as usize];
        *count = count.saturating_add(1);
    }

    /// Adds the numbers of another part.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(&other.0) {
            *count = count.saturating_add(*more);
        }
    }
}
