//! What a client of a design sends.

use rand_chacha::rand_core::CryptoRng;

use super::{DesignTag, GroupClient};
use crate::error::RobustStatsError;
use crate::mechanism::Mechanism;

/// A report: a cell, and where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DesignReport {
    /// The design.
    pub design: DesignTag,
    /// Its epoch.
    pub epoch: u32,
    /// The group that the server assigned to the client.
    pub group: u32,
    /// The cell, perhaps randomized.
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
