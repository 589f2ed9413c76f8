//! Dense numbering of the pages of a trace, in order of first appearance.

use std::hint::black_box;

use crate::request::PageId;

/// Marks a free slot, and an unseen id in a block.
const FREE: PageId = PageId::MAX;

/// Ids per block, a power of two.
const WIDTH: usize = 16;

/// Minimum average number of seen ids per block; below it, blocks are abandoned.
const DENSE: usize = 3;

/// A map from ids to dense numbers.
///
/// Numbering dominates the time of loading a trace, and memory latency dominates numbering. Traces of
/// blocks and addresses contain runs of neighboring ids, so the hash table (linear probing) maps
/// blocks of 16 consecutive ids to their 16 numbers: one lookup serves a run, and the table is small.
/// If the ids turn out to be scattered, the table maps single ids instead. A batch is processed in two
/// passes, of which the first only touches the table's cache lines, so that their misses overlap.
pub(super) struct Numbering {
    /// At most two thirds full.
    slots: Vec<Slot>,
    taken: usize,
    /// The numbers by block; `None` if ids are scattered.
    blocks: Option<Vec<[PageId; WIDTH]>>,
}

#[derive(Clone, Copy)]
struct Slot {
    /// The id, or the id divided by `WIDTH`.
    key: u64,
    /// The number, or the index of the block.
    value: u32,
}

impl Default for Numbering {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            taken: 0,
            blocks: Some(Vec::new()),
        }
    }
}

impl Numbering {
    /// Appends the numbers of a batch of ids to `pages`, and new ids to `ids`, whose index is their
    /// number.
    pub(super) fn number(
        &mut self,
        batch: impl Iterator<Item = u64> + Clone,
        ids: &mut Vec<u64>,
        pages: &mut Vec<PageId>,
    ) {
        // Reserve for the worst case of all-new ids, so that the passes below never rehash.
        let (_, upper) = batch.size_hint();
        self.reserve(upper.unwrap_or(0), ids);
        let Self {
            slots,
            taken,
            blocks,
        } = self;
        if let Some(blocks) = blocks {
            // Pass 1: touch the home slots of the whole batch.
            let keys = batch.clone().map(|id| id / WIDTH as u64);
            prefetch(slots, keys);
            // Pass 2: look up each id in order. Runs within one block skip the hash table; keys are below
            // 2^60, so `u64::MAX` matches none.
            let mut last = (u64::MAX, 0);
            for id in batch {
                let key = id / WIDTH as u64;
                if key != last.0 {
                    let next = blocks.len() as u32;
                    // The index of the next block is fresh, so getting it back means insertion.
                    let value = find_or_insert(slots, key, next);
                    if value == next {
                        blocks.push([FREE; WIDTH]);
                        *taken += 1;
                    }
                    last = (key, value);
                }
                // Within the block, the id's low bits select its number.
                let number = &mut blocks[last.1 as usize][id as usize % WIDTH];
                if *number == FREE {
                    *number = ids.len() as PageId;
                    ids.push(id);
                }
                pages.push(*number);
            }
        } else {
            prefetch(slots, batch.clone());
            for id in batch {
                let next = ids.len() as PageId;
                let page = find_or_insert(slots, id, next);
                if page == next {
                    ids.push(id);
                    *taken += 1;
                }
                pages.push(page);
            }
        }
    }

    /// Reserves capacity for `more` new keys. Switches to single ids if the blocks are mostly empty.
    #[inline]
    fn reserve(&mut self, more: usize, ids: &[u64]) {
        let mut needed = (self.taken + more) * 3 / 2 + 1;
        if needed <= self.slots.len() {
            return;
        }
        let free = Slot {
            key: 0,
            value: FREE,
        };
        // The table must grow. If blocks hold fewer than `DENSE` ids on average, rebuild it by single
        // ids from the list of ids, whose indices are their numbers.
        if self.taken > 0 && self.blocks.is_some() && ids.len() < DENSE * self.taken {
            self.blocks = None;
            self.taken = ids.len();
            needed = (self.taken + more) * 3 / 2 + 1;
            self.slots = vec![free; needed.next_power_of_two()];
            for (page, &id) in ids.iter().enumerate() {
                find_or_insert(&mut self.slots, id, page as PageId);
            }
            return;
        }
        // Otherwise rehash into a larger table with the same kind of keys.
        let len = needed.next_power_of_two().max(1 << 11);
        for slot in std::mem::replace(&mut self.slots, vec![free; len]) {
            if slot.value != FREE {
                find_or_insert(&mut self.slots, slot.key, slot.value);
            }
        }
    }
}

/// Loads the home slots of these keys into the processor's caches.
#[inline]
fn prefetch(slots: &[Slot], keys: impl Iterator<Item = u64>) {
    let mask = slots.len().wrapping_sub(1);
    // The sum makes the loads observable; they are independent, so the processor overlaps them.
    let fetched = keys.map(|key| slots[home(key, mask)].value);
    black_box(fetched.fold(0, u32::wrapping_add));
}

/// The value of a key, after inserting `value` if the key is absent.
#[inline]
fn find_or_insert(slots: &mut [Slot], key: u64, value: u32) -> u32 {
    let mask = slots.len().wrapping_sub(1);
    let mut index = home(key, mask);
    loop {
        let slot = &mut slots[index];
        if slot.value == FREE {
            *slot = Slot { key, value };
            return value;
        }
        if slot.key == key {
            return slot.value;
        }
        index = (index + 1) & mask;
    }
}

/// The home slot of a key. Keys that differ in the lowest two bits only have neighboring home slots:
/// neighboring keys often occur together, and then share a cache line.
#[inline]
fn home(key: u64, mask: usize) -> usize {
    const MULTIPLIER: u128 = 0x9e37_79b9_7f4a_7c15;
    let product = u128::from(key >> 2) * MULTIPLIER;
    let mixed = (product as u64) ^ (product >> 64) as u64;
    ((mixed << 2) | (key & 3)) as usize & mask
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
