//! Random balanced partitions.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

use super::{DesignId, DesignParameters};
use crate::mechanism::uniform_below;

/// Writes the cell of each symbol in the partition of `group`, which is uniform among the partitions
/// with cell sizes that differ by at most one.
///
/// It is determined by the id of the design, hence by every parameter, and the group. Equivalent to a
/// keyed random permutation modulo the number of cells.
pub(super) fn draw(parameters: &DesignParameters, id: &DesignId, group: usize, cells: &mut [u16]) {
    let count = parameters.cells();
    let mut next = 0_u16;
    for cell in &mut *cells {
        *cell = next;
        // With 2^16 cells the addition wraps to 0 as required.
        next = next.wrapping_add(1);
        if usize::from(next) == count {
            next = 0;
        }
    }
    if count == parameters.domain() {
        // Every symbol has its own cell, so the order of the cells is irrelevant.
        return;
    }
    let seed = Sha256::new()
        .chain_update(b"septet partition 1")
        .chain_update(id.0)
        .chain_update((group as u64).to_le_bytes())
        .finalize();
    let mut rng = ChaCha8Rng::from_seed(seed.into());
    // Fisher-Yates shuffle of the balanced cells.
    for left in (1..parameters.domain()).rev() {
        let bound = u32::try_from(left + 1).expect("a domain has at most 2^32 - 1 symbols");
        let other = uniform_below(&mut rng, bound) as usize;
        cells.swap(left, other);
    }
}
