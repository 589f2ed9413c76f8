//! Aggregation of a hash design, with validation of every report.

use std::collections::HashSet;

use super::{CountMatrix, RejectCounts, RejectReason};
use crate::design::{Assignment, DesignParameters, DesignReport, DesignTag};
use crate::error::RobustStatsError;

/// The counts of a design, as merged, stored, decoded and tested.
#[derive(Clone, Debug, PartialEq)]
pub struct DesignCounts {
    /// The design.
    pub parameters: DesignParameters,
    /// Numbers of reports by group and cell.
    pub matrix: CountMatrix,
    /// Number of rejected reports by reason.
    pub rejected: RejectCounts,
}

impl DesignCounts {
    /// Empty counts.
    ///
    /// # Errors
    ///
    /// When the matrix exceeds [`MAX_SLOTS`](super::MAX_SLOTS) counts.
    pub fn new(parameters: DesignParameters) -> Result<Self, RobustStatsError> {
        let (groups, cells) = (parameters.groups(), parameters.cells());
        super::check_slots(groups.saturating_mul(cells))?;
        Ok(Self {
            parameters,
            matrix: CountMatrix::new(groups, cells),
            rejected: RejectCounts::default(),
        })
    }

    /// Adds the counts of another shard. Associative and commutative.
    ///
    /// # Errors
    ///
    /// When the designs differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), RobustStatsError> {
        let (id, other_id) = (self.parameters.id(), other.parameters.id());
        if id != other_id {
            return Err(RobustStatsError::mismatch("design", id, other_id));
        }
        self.matrix.merge(&other.matrix)?;
        self.rejected.merge(&other.rejected);
        Ok(())
    }
}

/// Counts the reports of a design into its [`CountMatrix`].
///
/// A report is validated against the design, the epoch and the group assigned to the client. With
/// [`DesignAggregator::with_duplicate_detection`] a second report of a client is rejected. Detection is
/// per shard: all reports of a client must go to the same shard, or duplicates be removed upstream.
#[derive(Clone, Debug)]
pub struct DesignAggregator {
    tag: DesignTag,
    assignment: Assignment,
    seen: Option<HashSet<u128>>,
    counts: DesignCounts,
}

impl DesignAggregator {
    /// Empty counts.
    ///
    /// # Errors
    ///
    /// When the matrix exceeds [`MAX_SLOTS`](super::MAX_SLOTS) counts, or the assignment belongs to
    /// another design.
    pub fn new(
        parameters: DesignParameters,
        assignment: Assignment,
    ) -> Result<Self, RobustStatsError> {
        assignment.check(&parameters)?;
        Ok(Self {
            tag: parameters.id().tag(),
            assignment,
            seen: None,
            counts: DesignCounts::new(parameters)?,
        })
    }

    /// Enables rejection of repeated reports. Memory: at least 16 bytes per client.
    #[must_use]
    pub fn with_duplicate_detection(self) -> Self {
        Self {
            seen: Some(HashSet::new()),
            ..self
        }
    }

    /// Validates and counts a report. The transport must authenticate the client's name.
    ///
    /// # Errors
    ///
    /// The reason of a rejection, which is counted too.
    pub fn push(&mut self, client: &[u8], report: &DesignReport) -> Result<(), RejectReason> {
        let checked = self.check(client, report);
        match checked {
            Ok(()) => self
                .counts
                .matrix
                .add(report.group as usize, report.cell as usize),
            Err(reject) => self.counts.rejected.add(reject),
        }
        checked
    }

    /// Counts a report that could not be parsed.
    pub fn reject(&mut self, reason: RejectReason) {
        self.counts.rejected.add(reason);
    }

    fn check(&mut self, client: &[u8], report: &DesignReport) -> Result<(), RejectReason> {
        let parameters = &self.counts.parameters;
        // Public fields first; duplicates last, so that only valid reports use up a client's name.
        if report.epoch != parameters.epoch() {
            return Err(RejectReason::Epoch);
        }
        if report.design != self.tag {
            return Err(RejectReason::Design);
        }
        if report.group as usize >= parameters.groups()
            || report.cell as usize >= parameters.cells()
        {
            return Err(RejectReason::Range);
        }
        if report.group as usize != self.assignment.group(client) {
            return Err(RejectReason::Group);
        }
        if let Some(seen) = &mut self.seen
            && !seen.insert(self.assignment.fingerprint(client))
        {
            return Err(RejectReason::Duplicate);
        }
        Ok(())
    }

    /// Adds the counts of another shard. The sets of known clients are united if both shards detect
    /// duplicates; a client counted by both stays counted twice.
    ///
    /// # Errors
    ///
    /// When the designs differ, or both shards detect duplicates with different assignment keys.
    pub fn merge(&mut self, other: &Self) -> Result<(), RobustStatsError> {
        let both = self.seen.is_some() && other.seen.is_some();
        if both && !self.assignment.has_key_of(&other.assignment) {
            // A client has another fingerprint under another key, which itself stays secret.
            return Err(RobustStatsError::mismatch(
                "key of the assignment",
                "one",
                "another",
            ));
        }
        self.counts.merge(&other.counts)?;
        if let (Some(seen), Some(more)) = (&mut self.seen, &other.seen) {
            seen.extend(more);
        }
        Ok(())
    }

    /// The counts.
    #[must_use]
    pub fn counts(&self) -> &DesignCounts {
        &self.counts
    }

    /// The counts, without the set of known clients.
    #[must_use]
    pub fn into_counts(self) -> DesignCounts {
        self.counts
    }
}
