//! The counts of a hash design: one row a group, one column a cell.

use crate::error::RobustStatsError;

/// How many reports of each group named each cell: `groups x cells`, all that decoders and tests see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountMatrix {
    groups: usize,
    cells: usize,
    /// Group after group.
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

    /// A matrix of counts given group after group.
    ///
    /// # Errors
    ///
    /// When there is not one count for each cell of each group, or they sum to more than
    /// [`MOST_REPORTS`](super::MOST_REPORTS).
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

    /// How many groups there are.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// How many cells a group has.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.cells
    }

    /// All counts, group after group.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The counts of a group, one for each cell.
    ///
    /// # Panics
    ///
    /// When the group is out of range.
    #[must_use]
    pub fn group(&self, group: usize) -> &[u64] {
        &self.counts[group * self.cells..(group + 1) * self.cells]
    }

    /// The same, to be written to.
    ///
    /// # Panics
    ///
    /// When the group is out of range.
    pub fn group_mut(&mut self, group: usize) -> &mut [u64] {
        &mut self.counts[group * self.cells..(group + 1) * self.cells]
    }

    /// How many reports a group sent: `n_j`.
    ///
    /// # Panics
    ///
    /// When the group is out of range.
    #[must_use]
    pub fn group_reports(&self, group: usize) -> u64 {
        self.group(group).iter().sum()
    }

    /// How many reports there are in all: `n`.
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

    /// Adds the counts of another part of the same population.
    ///
    /// # Errors
    ///
    /// When the shapes differ, or there would be more than [`MOST_REPORTS`](super::MOST_REPORTS).
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
