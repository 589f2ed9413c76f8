//! Numbering the pages of a trace densely, in the order of first appearance.

use std::hint::black_box;

use crate::request::PageId;

/// Marks a free slot.
const FREE: PageId = PageId::MAX;

/// From ids to numbers: a table with linear probing, at most two thirds full.
///
/// Numbering is most of the time that loading a trace takes, and waiting for memory is most of
/// numbering. So ids stand in the table itself (one cache line a look-up instead of two), and a
/// block of ids is numbered in two passes, the first of which has the processor fetch the lines of
/// all of them at once.
#[derive(Default)]
pub(super) struct Numbering {
    slots: Vec<Slot>,
    taken: usize,
}

#[derive(Clone, Copy)]
struct Slot {
    id: u64,
    page: PageId,
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
        self.reserve(upper.unwrap_or(0));
        let mask = self.slots.len().wrapping_sub(1);
        let fetched = block
            .clone()
            .map(|id| self.slots[home(id, mask)].page)
            .fold(0, PageId::wrapping_add);
        black_box(fetched);
        for id in block {
            pages.push(self.number_one(id, mask, ids));
        }
    }

    #[inline]
    fn number_one(&mut self, id: u64, mask: usize, ids: &mut Vec<u64>) -> PageId {
        let mut index = home(id, mask);
        loop {
            let slot = &mut self.slots[index];
            if slot.page == FREE {
                let page = ids.len() as PageId;
                *slot = Slot { id, page };
                ids.push(id);
                self.taken += 1;
                return page;
            }
            if slot.id == id {
                return slot.page;
            }
            index = (index + 1) & mask;
        }
    }

    /// Makes room for this many new ids.
    fn reserve(&mut self, more: usize) {
        let needed = (self.taken + more) * 3 / 2 + 1;
        if needed <= self.slots.len() {
            return;
        }
        let free = Slot { id: 0, page: FREE };
        let len = needed.next_power_of_two().max(1 << 12);
        let old = std::mem::replace(&mut self.slots, vec![free; len]);
        let mask = len - 1;
        for slot in old {
            if slot.page != FREE {
                let mut index = home(slot.id, mask);
                while self.slots[index].page != FREE {
                    index = (index + 1) & mask;
                }
                self.slots[index] = slot;
            }
        }
    }
}

/// The slot where the search for an id begins. Ids that differ in the lowest two bits only begin
/// at neighbouring slots: traces of blocks run through consecutive ids, which then share cache
/// lines.
#[inline]
fn home(id: u64, mask: usize) -> usize {
    const MULTIPLIER: u128 = 0x9e37_79b9_7f4a_7c15;
    let product = u128::from(id >> 2) * MULTIPLIER;
    let mixed = (product as u64) ^ (product >> 64) as u64;
    ((mixed << 2) | (id & 3)) as usize & mask
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
