//! Reports of a hash design.

use rand_chacha::rand_core::CryptoRng;

use super::{DesignTag, GroupClient};
use crate::error::RobustStatsError;
use crate::mechanism::Mechanism;

/// A report: a cell with its design, epoch and group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DesignReport {
    /// The design.
    pub design: DesignTag,
    /// Its epoch.
    pub epoch: u32,
    /// The client's assigned group.
    pub group: u32,
    /// The cell, randomized if the design is private.
    pub cell: u32,
}

impl DesignReport {
    /// Encodes a symbol as a client of its group.
    ///
    /// # Errors
    ///
    /// When the symbol is outside the domain.
    pub fn encode<R: CryptoRng + ?Sized>(
        client: &GroupClient,
        symbol: usize,
        rng: &mut R,
    ) -> Result<Self, RobustStatsError> {
        Ok(Self {
            design: client.tag(),
            epoch: client.epoch(),
            group: u32::try_from(client.group()).expect("a design has 32-bit groups"),
            cell: client.encode(symbol, rng)?,
        })
    }
}
