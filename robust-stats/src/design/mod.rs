//! Public-coin hash designs: the server draws many random partitions of the domain into cells, assigns
//! one to every client, and the client reports the cell of its value.
//!
//! With `groups = C k / L` random balanced partitions of `k` symbols into `L` cells, an adversary that
//! controls a fraction `gamma` of the messages shifts the estimate by about `gamma sqrt(k / L)`
//! (measured by [`DesignMatrix::audit`]; the rate of Acharya, Sun and Zhang). If clients choose their
//! own hash function, the shift is `gamma k`. Therefore the server assigns the group and rejects
//! reports for other groups. The partitions are random, not algebraic: if they were rows of a Hadamard
//! matrix, an adversary could take over one row, and no decoder could undo it.
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
#[cfg(feature = "std")]
mod audit;
#[cfg(feature = "std")]
mod certificate;
mod client;
#[cfg(feature = "std")]
mod draw;
#[cfg(feature = "std")]
mod gram;
#[cfg(feature = "std")]
mod matrix;
mod parameters;
mod partition;
mod report;
#[cfg(feature = "std")]
mod weakest_direction;

pub use assignment::Assignment;
#[cfg(feature = "std")]
pub use audit::DesignAudit;
#[cfg(feature = "std")]
pub use certificate::{Certificate, MAX_CERTIFIED_SYMBOLS};
pub use client::GroupClient;
#[cfg(feature = "std")]
pub use draw::DrawnDesign;
#[cfg(feature = "std")]
pub(crate) use gram::Gram;
#[cfg(feature = "std")]
pub use matrix::DesignMatrix;
pub use parameters::{DesignId, DesignParameters, DesignTag, GROUPS_FACTOR, MAX_CELLS};
pub use report::DesignReport;
#[cfg(feature = "std")]
pub use weakest_direction::WeakestDirection;

use alloc::vec;
use alloc::vec::Vec;

use crate::error::RobustStatsError;
use crate::mechanism::{RandomizedResponse, Support};

/// Maximum number of table entries of a design, `groups * domain`.
pub(crate) const MAX_TABLE_ENTRIES: u64 = 1 << 31;

/// A design with all its partitions, as held by the server.
#[derive(Clone, Debug, PartialEq)]
pub struct HashDesign {
    parameters: DesignParameters,
    id: DesignId,
    response: Option<RandomizedResponse>,
    /// The cells by group and symbol.
    cells: Vec<u16>,
}

impl HashDesign {
    /// Generates the partitions: `O(groups * domain)` time, and two bytes of memory per entry.
    ///
    /// # Errors
    ///
    /// When the table would have more than `2^31` entries.
    pub fn new(parameters: DesignParameters) -> Result<Self, RobustStatsError> {
        let (groups, domain) = (parameters.groups(), parameters.domain());
        let entries = groups as u64 * domain as u64;
        if entries > MAX_TABLE_ENTRIES {
            return Err(RobustStatsError::parameter(
                "groups",
                alloc::format!("groups * domain at most {MAX_TABLE_ENTRIES}"),
                alloc::format!("{groups} * {domain}"),
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

    /// The parameters of the design.
    #[must_use]
    pub fn parameters(&self) -> &DesignParameters {
        &self.parameters
    }

    /// The hash of the parameters that reports carry.
    #[must_use]
    pub fn id(&self) -> DesignId {
        self.id
    }

    /// Number of symbols.
    #[must_use]
    pub fn domain(&self) -> usize {
        self.parameters.domain()
    }

    /// Number of cells per partition.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.parameters.cells()
    }

    /// Number of groups, hence of partitions.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.parameters.groups()
    }

    /// The cell of a symbol in a group's partition.
    ///
    /// # Panics
    ///
    /// When the group or the symbol is out of range.
    #[must_use]
    pub fn cell(&self, group: usize, symbol: usize) -> usize {
        usize::from(self.partition(group)[symbol])
    }

    /// The partition of a group: cells by symbol.
    ///
    /// # Panics
    ///
    /// When the group is out of range.
    #[must_use]
    pub fn partition(&self, group: usize) -> &[u16] {
        let domain = self.domain();
        &self.cells[group * domain..(group + 1) * domain]
    }

    /// The randomized response of the clients, if the design is private.
    #[must_use]
    pub fn response(&self) -> Option<&RandomizedResponse> {
        self.response.as_ref()
    }

    /// The probabilities that a client sends its own cell, `p*`, and a given other one, `q*`; 1 and 0
    /// without privacy.
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

    /// The message distribution of a group for values with the given masses: `(p* - q*) A_j p + q*`.
    ///
    /// # Errors
    ///
    /// When there is not one mass for each symbol.
    ///
    /// # Panics
    ///
    /// When the group is out of range.
    pub fn message_distribution(
        &self,
        group: usize,
        masses: &[f64],
    ) -> Result<Vec<f64>, RobustStatsError> {
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
