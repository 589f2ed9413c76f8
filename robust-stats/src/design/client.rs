//! The client side of a design: one partition.

use alloc::vec;
use alloc::vec::Vec;

use rand_chacha::rand_core::CryptoRng;

use super::{DesignId, DesignParameters, DesignTag, partition};
use crate::error::RobustStatsError;
use crate::mechanism::{Channel, ExactProbability, Mechanism, RandomizedResponse, Support};
use crate::mechanism::{bits_of, check_symbol};
use crate::parameter::Epsilon;

/// The client state of one group: its partition, two bytes per symbol.
///
/// A message is a cell, plain or by randomized response. Encoding reads the partition at an index that
/// depends on the value; its time is otherwise independent of the value.
#[derive(Clone, Debug)]
pub struct GroupClient {
    id: DesignId,
    tag: DesignTag,
    epoch: u32,
    group: usize,
    cell_count: usize,
    response: Option<RandomizedResponse>,
    cells: Vec<u16>,
}

impl GroupClient {
    /// Generates the partition of the assigned group: `O(domain)`.
    ///
    /// # Errors
    ///
    /// When the design has no such group.
    pub fn new(parameters: &DesignParameters, group: usize) -> Result<Self, RobustStatsError> {
        if group >= parameters.groups() {
            return Err(RobustStatsError::parameter(
                "group",
                alloc::format!("a number below {}", parameters.groups()),
                group,
            ));
        }
        let id = parameters.id();
        let mut cells = vec![0; parameters.domain()];
        partition::draw(parameters, &id, group, &mut cells);
        Ok(Self {
            id,
            tag: id.tag(),
            epoch: parameters.epoch(),
            group,
            cell_count: parameters.cells(),
            response: parameters.response()?,
            cells,
        })
    }

    /// The design.
    #[must_use]
    pub fn id(&self) -> DesignId {
        self.id
    }

    /// The tag that reports carry.
    pub(super) fn tag(&self) -> DesignTag {
        self.tag
    }

    /// The epoch.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The group.
    #[must_use]
    pub fn group(&self) -> usize {
        self.group
    }

    /// The support probabilities averaged over the random partition: another symbol shares the cell
    /// with probability `(k/L - 1)/(k - 1)`, exactly if `L` divides `k`.
    #[must_use]
    pub fn support(&self) -> Support {
        let (own, other) = self
            .response
            .map_or((1.0, 0.0), |response| response.probabilities());
        let (domain, cells) = (self.cells.len() as f64, self.cell_count as f64);
        let shared = if domain > 1.0 {
            (domain / cells - 1.0) / (domain - 1.0)
        } else {
            0.0
        };
        Support {
            own,
            other: shared * own + (1.0 - shared) * other,
        }
    }
}

impl Mechanism for GroupClient {
    type Report = u32;

    fn domain(&self) -> usize {
        self.cells.len()
    }

    fn epsilon(&self) -> Option<Epsilon> {
        self.response.and_then(|response| response.epsilon())
    }

    /// The size of the cell; the server knows the group.
    fn message_bits(&self) -> f64 {
        bits_of(self.cell_count as u64)
    }

    fn encode<R: CryptoRng + ?Sized>(
        &self,
        symbol: usize,
        rng: &mut R,
    ) -> Result<u32, RobustStatsError> {
        let domain =
            u32::try_from(self.cells.len()).expect("a domain has at most 2^32 - 1 symbols");
        check_symbol(symbol, domain)?;
        let cell = u32::from(self.cells[symbol]);
        Ok(self
            .response
            .map_or(cell, |response| response.respond(cell, rng)))
    }
}

impl Channel for GroupClient {
    fn messages(&self) -> u64 {
        self.cell_count as u64
    }

    /// Conditional on the group, which is independent of the value.
    fn probability(&self, symbol: usize, message: u64) -> ExactProbability {
        let cell = self.cells[symbol];
        match &self.response {
            Some(response) => response.probability(usize::from(cell), message),
            None if u64::from(cell) == message => ExactProbability::one(),
            None => ExactProbability::zero(),
        }
    }
}
