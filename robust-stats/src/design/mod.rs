//! Public-coin hash designs: the server splits the domain into cells in many random ways, assigns one
//! of them to every client, and the client says in which cell its value lies.
//!
//! With `groups = C k / L` random balanced partitions of `k` symbols into `L` cells, whoever controls
//! a fraction `gamma` of the messages shifts the estimate by about `gamma sqrt(k / L)`
//! (measured by [`HashDesign::isometry`]; the rate of Acharya, Sun and Zhang), while a client that
//! chooses its own hash function shifts it by `gamma k`.
//! Hence the server assigns the group, and a report for another group is rejected and not re-binned.
//! The partitions are random and not algebraic: with the rows of a Hadamard matrix in their place,
//! one row can be taken over, and no decoder can undo it.
//!
//! ```
//! use septet_robust_stats::design::{Assignment, DesignParameters, HashDesign};
//!
//! let design = HashDesign::new(DesignParameters::new(1_000, 4, [7; 32])?)?;
//! let assignment = Assignment::new([1; 16], design.parameters());
//! let group = assignment.group(b"client 17");
//! let cell = design.cell(group, 42);
//! assert!(cell < 4);
//! # Ok::<(), septet_robust_stats::RobustStatsError>(())
//! ```

mod assignment;
mod client;
#[cfg(feature = "std")]
mod isometry;
mod parameters;
mod partition;
mod report;

pub use assignment::Assignment;
pub use client::GroupClient;
#[cfg(feature = "std")]
pub use isometry::IsometryReport;
pub use parameters::{DesignId, DesignParameters, DesignTag, GROUPS_FACTOR, LARGEST_CELLS};
pub use report::DesignReport;

use alloc::vec;
use alloc::vec::Vec;

use crate::error::RobustStatsError;
use crate::mechanism::{RandomizedResponse, Support};

/// How many cells of table a design may hold: `groups * domain`.
pub(crate) const LARGEST_TABLE: u64 = 1 << 31;

/// A design with all its partitions: what the server holds.
#[derive(Clone, Debug, PartialEq)]
pub struct HashDesign {
    parameters: DesignParameters,
    id: DesignId,
    response: Option<RandomizedResponse>,
    /// The cell of each symbol, group after group.
    cells: Vec<u16>,
}

impl HashDesign {
    /// Draws the partitions: `O(groups * domain)` time and two bytes of memory for each.
    ///
    /// # Errors
    ///
    /// When the table would have more than `2^31` entries.
    pub fn new(parameters: DesignParameters) -> Result<Self, RobustStatsError> {
        let (groups, domain) = (parameters.groups(), parameters.domain());
        let entries = groups as u64 * domain as u64;
        if entries > LARGEST_TABLE {
            return Err(RobustStatsError::parameter(
                "groups",
                alloc::format!("groups times domain at most {LARGEST_TABLE}"),
                alloc::format!("{groups} times {domain}"),
            ));
        }
        let id = parameters.id();
        let mut cells = vec![0; groups * domain];
        for (group, cells) in cells.chunks_exact_mut(domain).enumerate() {
            partition::draw(&parameters, &id, group, cells);
        }
        Ok(Self {
            response: parameters.response()?,
            parameters,
            id,
            cells,
        })
    }

    /// What the design was made of.
    #[must_use]
    pub fn parameters(&self) -> &DesignParameters {
        &self.parameters
    }

    /// The hash of the parameters that reports carry.
    #[must_use]
    pub fn id(&self) -> DesignId {
        self.id
    }

    /// How many symbols there are.
    #[must_use]
    pub fn domain(&self) -> usize {
        self.parameters.domain()
    }

    /// Into how many cells each group splits the domain.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.parameters.cells()
    }

    /// How many groups there are: each is one partition of the domain.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.parameters.groups()
    }

    /// The cell in which a group's partition puts a symbol.
    ///
    /// # Panics
    ///
    /// When the group or the symbol is out of range.
    #[must_use]
    pub fn cell(&self, group: usize, symbol: usize) -> usize {
        usize::from(self.partition(group)[symbol])
    }

    /// The partition of a group: the cell of each symbol.
    ///
    /// # Panics
    ///
    /// When the group is out of range.
    #[must_use]
    pub fn partition(&self, group: usize) -> &[u16] {
        let domain = self.domain();
        &self.cells[group * domain..(group + 1) * domain]
    }

    /// The randomized response that clients answer with, when the design is private.
    #[must_use]
    pub fn response(&self) -> Option<&RandomizedResponse> {
        self.response.as_ref()
    }

    /// The probability that a client sends its own cell, `p*`, and that it sends a given other one,
    /// `q*`: 1 and 0 for a design without privacy.
    #[must_use]
    pub fn cell_probabilities(&self) -> Support {
        self.response.map_or(
            Support {
                own: 1.0,
                other: 0.0,
            },
            |response| {
                let (own, other) = response.probabilities();
                Support { own, other }
            },
        )
    }

    /// The law of a group's messages when values have the given masses: `(p* - q*) A_j p + q*`.
    ///
    /// # Errors
    ///
    /// When there is not one mass for each symbol.
    ///
    /// # Panics
    ///
    /// When the group is out of range.
    pub fn message_law(&self, group: usize, masses: &[f64]) -> Result<Vec<f64>, RobustStatsError> {
        if masses.len() != self.domain() {
            return Err(RobustStatsError::mismatch(
                "domain",
                self.domain(),
                masses.len(),
            ));
        }
        let mut law = vec![0.0; self.cells()];
        for (&cell, mass) in self.partition(group).iter().zip(masses) {
            law[usize::from(cell)] += mass;
        }
        let Support { own, other } = self.cell_probabilities();
        for mass in &mut law {
            *mass = (own - other) * *mass + other;
        }
        Ok(law)
    }
}
