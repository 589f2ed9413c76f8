//! Counting the cells of a hash design, after checking that each report is where it belongs.

use std::collections::HashSet;

use super::{CountMatrix, Reject, RejectStatistics};
use crate::design::{Assignment, DesignParameters, DesignReport, DesignTag};
use crate::error::RobustStatsError;

/// The counts of a design: what decoders and tests see, what is merged and stored.
#[derive(Clone, Debug, PartialEq)]
pub struct DesignCounts {
    /// The design.
    pub parameters: DesignParameters,
    /// How many reports of each group named each cell.
    pub matrix: CountMatrix,
    /// How many reports were rejected, and why.
    pub rejected: RejectStatistics,
}

impl DesignCounts {
    /// No reports yet.
    ///
    /// # Errors
    ///
    /// When the matrix would have more than [`MOST_SLOTS`](super::MOST_SLOTS) counts.
    pub fn new(parameters: DesignParameters) -> Result<Self, RobustStatsError> {
        let (groups, cells) = (parameters.groups(), parameters.cells());
        super::check_slots(groups.saturating_mul(cells))?;
        Ok(Self {
            parameters,
            matrix: CountMatrix::new(groups, cells),
            rejected: RejectStatistics::default(),
        })
    }

    /// Adds the counts of another shard: associative and commutative.
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
/// A report is checked against design, epoch and the group that was assigned to the client. With
/// [`DesignAggregator::remembering_clients`] a second report of a client is rejected; the memory is of
/// this shard only, so that all reports of a client must go to the same shard, or the same client be
/// stopped before.
#[derive(Clone, Debug)]
pub struct DesignAggregator {
    tag: DesignTag,
    assignment: Assignment,
    seen: Option<HashSet<u128>>,
    counts: DesignCounts,
}

impl DesignAggregator {
    /// No reports yet.
    ///
    /// # Errors
    ///
    /// When the matrix would have more than [`MOST_SLOTS`](super::MOST_SLOTS) counts, or the assignment
    /// belongs to another design.
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

    /// The same, with memory of who has reported: 16 bytes and more for each client.
    #[must_use]
    pub fn remembering_clients(self) -> Self {
        Self {
            seen: Some(HashSet::new()),
            ..self
        }
    }

    /// Counts the report of a client, whose name the transport vouches for.
    ///
    /// # Errors
    ///
    /// When it is rejected; that is counted too.
    pub fn push(&mut self, client: &[u8], report: &DesignReport) -> Result<(), Reject> {
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

    /// Counts a report that was rejected before it could be read.
    pub fn reject(&mut self, reason: Reject) {
        self.counts.rejected.add(reason);
    }

    fn check(&mut self, client: &[u8], report: &DesignReport) -> Result<(), Reject> {
        let parameters = &self.counts.parameters;
        if report.epoch != parameters.epoch() {
            return Err(Reject::Epoch);
        }
        if report.design != self.tag {
            return Err(Reject::Design);
        }
        if report.group as usize >= parameters.groups()
            || report.cell as usize >= parameters.cells()
        {
            return Err(Reject::Range);
        }
        if report.group as usize != self.assignment.group(client) {
            return Err(Reject::Group);
        }
        if let Some(seen) = &mut self.seen
            && !seen.insert(self.assignment.fingerprint(client))
        {
            return Err(Reject::Duplicate);
        }
        Ok(())
    }

    /// Adds the counts of another shard. The memory of clients is joined where both have one; a client
    /// that both have counted stays counted twice.
    ///
    /// # Errors
    ///
    /// When the designs differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), RobustStatsError> {
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

    /// The counts, without the memory of clients.
    #[must_use]
    pub fn into_counts(self) -> DesignCounts {
        self.counts
    }
}
