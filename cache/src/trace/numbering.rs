//! Numbering the pages of a trace densely, in the order of first appearance.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::request::PageId;

/// From ids to numbers.
///
/// The table holds numbers only, and looks at the list of ids to compare: five bytes a slot, so
/// that more of it stays in the processor's caches than of a map from ids to numbers.
#[derive(Default)]
pub(super) struct Numbering {
    table: HashTable<PageId>,
}

impl Numbering {
    /// The number of an id, whose place in `ids` it is; a new id is appended there.
    #[inline]
    pub(super) fn number(&mut self, id: u64, ids: &mut Vec<u64>) -> PageId {
        let entry = self.table.entry(
            hash(id),
            |&page| ids[page as usize] == id,
            |&page| hash(ids[page as usize]),
        );
        match entry {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let page = ids.len() as PageId;
                entry.insert(page);
                ids.push(id);
                page
            }
        }
    }
}

/// Ids that differ in the lowest four bits only hash to neighbouring slots: traces of blocks run
/// through consecutive ids, which then share cache lines.
#[inline]
fn hash(id: u64) -> u64 {
    const MULTIPLIER: u128 = 0x9e37_79b9_7f4a_7c15;
    let product = u128::from(id >> 4) * MULTIPLIER;
    let mixed = (product as u64) ^ (product >> 64) as u64;
    let low = id & 15;
    // The table tells slots apart by the top seven bits.
    (mixed ^ low << 57).wrapping_add(low)
}
