//! The counts of a hash design: one row per group, one column per cell.

use crate::error::RobustStatsError;

/// Numbers of reports by group and cell, `groups x cells`: the input of decoders and tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountMatrix {
    groups: usize,
    cells: usize,
    /// In row-major order.
    counts: Vec<u64>,
}

impl CountMatrix {
    /// A matrix of zeros.
    #[must_use]
    pub fn new(groups: usize, cells: usize) -> Self {
        Self {
            groups,
            cells,
            counts: vec![0; groups * cells],
        }
    }

    /// A matrix from counts in row-major order.
    ///
    /// # Errors
    ///
    /// When the number of counts is not `groups * cells`, or their sum exceeds
    /// [`MAX_REPORTS`](super::MAX_REPORTS).
    pub fn from_counts(
        groups: usize,
        cells: usize,
        counts: Vec<u64>,
    ) -> Result<Self, RobustStatsError> {
        if groups.checked_mul(cells) != Some(counts.len()) {
            return Err(RobustStatsError::parameter(
                "counts",
                format!("{groups} times {cells} numbers"),
                counts.len(),
            ));
        }
        super::checked_total(&counts)?;
        Ok(Self {
            groups,
            cells,
            counts,
        })
    }

    /// Number of groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Number of cells per group.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.cells
    }

    /// All counts in row-major order.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The counts of a group by cell.
    ///
    /// # Panics
    ///
    /// When the group is out of range.
    #[must_use]
    pub fn group(&self, group: usize) -> &[u64] {
        &self.counts[group * self.cells..(group + 1) * self.cells]
    }

    /// The counts of a group by cell, mutable.
    ///
    /// # Panics
    ///
    /// When the group is out of range.
    pub fn group_mut(&mut self, group: usize) -> &mut [u64] {
        &mut self.counts[group * self.cells..(group + 1) * self.cells]
    }

    /// Number of reports of a group, `n_j`.
    ///
    /// # Panics
    ///
    /// When the group is out of range.
    #[must_use]
    pub fn group_reports(&self, group: usize) -> u64 {
        self.group(group).iter().sum()
    }

    /// Total number of reports, `n`.
    #[must_use]
    pub fn reports(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Counts one report.
    ///
    /// # Panics
    ///
    /// When the group or the cell is out of range.
    pub fn add(&mut self, group: usize, cell: usize) {
        self.group_mut(group)[cell] += 1;
    }

    /// Adds the counts of another shard.
    ///
    /// # Errors
    ///
    /// When the shapes differ, or the sum exceeds [`MAX_REPORTS`](super::MAX_REPORTS).
    pub fn merge(&mut self, other: &Self) -> Result<(), RobustStatsError> {
        if (self.groups, self.cells) != (other.groups, other.cells) {
            return Err(RobustStatsError::mismatch(
                "shape of the count matrix",
                format!("{} x {}", self.groups, self.cells),
                format!("{} x {}", other.groups, other.cells),
            ));
        }
        super::check_reports(self.reports(), other.reports())?;
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        Ok(())
    }
}
