//! Numbering the pages of a trace densely, in the order of first appearance.

use std::hint::black_box;

use crate::request::PageId;

/// Marks a free slot. No page has this number.
const FREE: PageId = PageId::MAX;

/// From ids to numbers: a table with linear probing, at most two thirds full.
///
/// Numbering is most of the time that loading a trace takes, and waiting for memory is most of
/// numbering. So a slot holds a number only, four bytes, and the list of ids tells whose it is;
/// and a block of ids is numbered in passes, of which all but the last have the processor fetch
/// the memory for the whole block at once. Ids in the slots (one look-up instead of two) were no
/// faster, and took four times the memory.
#[derive(Default)]
pub(super) struct Numbering {
    slots: Vec<PageId>,
}

impl Numbering {
    /// Appends the numbers of these ids to `pages`, and ids that are new to `ids`, where their
    /// place is their number.
    pub(super) fn number(
        &mut self,
        block: impl Iterator<Item = u64> + Clone,
        ids: &mut Vec<u64>,
        pages: &mut Vec<PageId>,
    ) {
        let (_, upper) = block.size_hint();
        self.reserve(ids, upper.unwrap_or(0));
        let mask = self.slots.len().wrapping_sub(1);
        let slots = block.clone().map(|id| self.slots[home(id, mask)]);
        black_box(slots.clone().fold(0, PageId::wrapping_add));
        let owners = slots.map(|page| ids.get(page as usize).copied().unwrap_or(0));
        black_box(owners.fold(0, u64::wrapping_add));
        for id in block {
            pages.push(self.number_one(id, mask, ids));
        }
    }

    #[inline]
    fn number_one(&mut self, id: u64, mask: usize, ids: &mut Vec<u64>) -> PageId {
        let mut index = home(id, mask);
        loop {
            let page = self.slots[index];
            match ids.get(page as usize) {
                Some(&owner) if owner == id => return page,
                Some(_) => index = (index + 1) & mask,
                None => {
                    let page = ids.len() as PageId;
                    self.slots[index] = page;
                    ids.push(id);
                    return page;
                }
            }
        }
    }

    /// Makes room for this many new ids.
    fn reserve(&mut self, ids: &[u64], more: usize) {
        let needed = (ids.len() + more) * 3 / 2 + 1;
        if needed <= self.slots.len() {
            return;
        }
        let len = needed.next_power_of_two().max(1 << 12);
        // The ids are at hand: the old table goes before the new one comes.
        self.slots = Vec::new();
        self.slots = vec![FREE; len];
        let mask = len - 1;
        for (page, &id) in ids.iter().enumerate() {
            let mut index = home(id, mask);
            while self.slots[index] != FREE {
                index = (index + 1) & mask;
            }
            self.slots[index] = page as PageId;
        }
    }
}

/// The slot where the search for an id begins. Ids that differ in the lowest four bits only begin
/// at neighbouring slots: traces of blocks run through consecutive ids, which then share cache
/// lines.
#[inline]
fn home(id: u64, mask: usize) -> usize {
    const MULTIPLIER: u128 = 0x9e37_79b9_7f4a_7c15;
    let product = u128::from(id >> 4) * MULTIPLIER;
    let mixed = (product as u64) ^ (product >> 64) as u64;
    ((mixed << 4) | (id & 15)) as usize & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_a_map() {
        let mut numbering = Numbering::default();
        let (mut ids, mut pages) = (Vec::new(), Vec::new());
        let mut map = std::collections::HashMap::new();
        let mut state = 1_u64;
        let stream: Vec<u64> = (0..100_000_u64)
            .map(|index| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                match index % 4 {
                    0 => state,
                    1 => state >> 50,
                    2 => (state >> 52) << 40,
                    _ => u64::MAX - (state >> 54),
                }
            })
            .collect();
        for block in stream.chunks(777) {
            numbering.number(block.iter().copied(), &mut ids, &mut pages);
        }
        for (id, page) in stream.iter().zip(&pages) {
            let next = map.len() as PageId;
            assert_eq!(*map.entry(*id).or_insert(next), *page);
            assert_eq!(ids[*page as usize], *id);
        }
        assert_eq!(map.len(), ids.len());
    }
}
