//! The parameters of a design, and its id.

use core::fmt;

use sha2::{Digest, Sha256};

use crate::error::RobustStatsError;
use crate::mechanism::{RandomizedResponse, check_domain};
use crate::parameter::Epsilon;

/// The default number of groups is this times `domain / cells`, rounded up: sufficient, by measurement,
/// for the isometry that the decoder requires ([`DesignParameters::drawn`]).
pub const GROUPS_FACTOR: usize = 4;

/// Maximum number of cells of a partition.
pub const MAX_CELLS: usize = 1 << 16;

/// The parameters of a design. They determine every partition, and are all that a client requires.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DesignParameters {
    domain: u32,
    cells: u32,
    groups: u32,
    epsilon: Option<Epsilon>,
    epoch: u32,
    seed: [u8; 32],
}

impl DesignParameters {
    /// A design without privacy, in epoch 0, with the default number of groups. The seed is public and
    /// must be drawn after the parameters are fixed.
    ///
    /// With at least as many cells as symbols, every symbol is its own cell, and there is one group.
    /// The default number of groups saturates at `2^32 - 1`.
    ///
    /// # Errors
    ///
    /// When the domain is empty or has more than `2^32 - 1` symbols, or there are no cells or more
    /// than [`MAX_CELLS`].
    pub fn new(domain: usize, cells: usize, seed: [u8; 32]) -> Result<Self, RobustStatsError> {
        let symbols = check_domain(domain)?;
        let cells = cells.min(domain);
        if cells == 0 || cells > MAX_CELLS {
            return Err(RobustStatsError::parameter(
                "cells",
                alloc::format!("from 1 to {MAX_CELLS}"),
                cells,
            ));
        }
        let groups = if cells == domain {
            1
        } else {
            (u64::from(symbols) * GROUPS_FACTOR as u64).div_ceil(cells as u64)
        };
        Ok(Self {
            domain: symbols,
            cells: u32::try_from(cells).expect("checked to be at most 2^16"),
            // A saturated number is an error later, where partitions are drawn or reports counted,
            // unless another number is set before.
            groups: u32::try_from(groups).unwrap_or(u32::MAX),
            epsilon: None,
            epoch: 0,
            seed,
        })
    }

    /// Sets the number of groups.
    ///
    /// # Errors
    ///
    /// When there is no group, or more than `2^32 - 1`.
    pub fn with_groups(self, groups: usize) -> Result<Self, RobustStatsError> {
        match u32::try_from(groups) {
            Ok(groups) if groups > 0 => Ok(Self { groups, ..self }),
            _ => Err(RobustStatsError::parameter(
                "groups",
                "from 1 to 4294967295",
                groups,
            )),
        }
    }

    /// The same design from another seed.
    #[cfg(feature = "std")]
    pub(super) fn with_seed(self, seed: [u8; 32]) -> Self {
        Self { seed, ..self }
    }

    /// Sets the privacy parameter: cells are sent by randomized response.
    ///
    /// # Errors
    ///
    /// When epsilon is above [`MAX_EPSILON`](crate::mechanism::MAX_EPSILON).
    pub fn with_epsilon(self, epsilon: Epsilon) -> Result<Self, RobustStatsError> {
        let parameters = Self {
            epsilon: Some(epsilon),
            ..self
        };
        parameters.response()?;
        Ok(parameters)
    }

    /// Sets the epoch, which changes the partitions. A client that reports in several epochs spends
    /// its epsilon in each.
    #[must_use]
    pub fn with_epoch(self, epoch: u32) -> Self {
        Self { epoch, ..self }
    }

    /// Number of symbols.
    #[must_use]
    pub fn domain(&self) -> usize {
        self.domain as usize
    }

    /// Number of cells per partition, at most the domain.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.cells as usize
    }

    /// Number of groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups as usize
    }

    /// The privacy parameter of a report; `None` if cells are sent in the clear.
    #[must_use]
    pub fn epsilon(&self) -> Option<Epsilon> {
        self.epsilon
    }

    /// The epoch in which the design is used.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The public seed of the partitions.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// The id of the design: a hash of all parameters, each of fixed width.
    #[must_use]
    pub fn id(&self) -> DesignId {
        let epsilon = self.epsilon.map_or(0, |epsilon| epsilon.get().to_bits());
        let hash = Sha256::new()
            .chain_update(b"septet hash design 1")
            .chain_update(self.domain.to_le_bytes())
            .chain_update(self.cells.to_le_bytes())
            .chain_update(self.groups.to_le_bytes())
            .chain_update(epsilon.to_le_bytes())
            .chain_update(self.epoch.to_le_bytes())
            .chain_update(self.seed)
            .finalize();
        DesignId(hash.into())
    }

    /// The randomized response on cells.
    pub(super) fn response(&self) -> Result<Option<RandomizedResponse>, RobustStatsError> {
        let response = |epsilon| RandomizedResponse::new(self.cells(), epsilon);
        self.epsilon.map(response).transpose()
    }
}

/// The SHA-256 of a design's parameters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DesignId(pub [u8; 32]);

impl fmt::Display for DesignId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DesignId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl DesignId {
    /// The first eight bytes, which reports carry. They detect mistakes; an adversary gains nothing
    /// from a collision.
    #[must_use]
    pub fn tag(&self) -> DesignTag {
        let mut tag = [0; 8];
        tag.copy_from_slice(&self.0[..8]);
        DesignTag(tag)
    }
}

/// The first bytes of a [`DesignId`], or of the hash of a mechanism's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DesignTag(pub [u8; 8]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_groups_is_checked_late() {
        let seed = [0; 32];
        let design = DesignParameters::new(1 << 31, 1, seed).unwrap();
        assert_eq!(design.with_groups(3).unwrap().groups(), 3);
        #[cfg(feature = "std")]
        {
            assert!(crate::design::HashDesign::new(design).is_err());
            assert!(crate::aggregate::DesignCounts::new(design).is_err());
        }
    }
}
