//! The k numbered slots of a paging cache, and sets of slots.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::request::PageId;

/// No slot.
const NONE: u32 = u32::MAX;

/// k slots of one page each, filled in order of their numbers.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    capacity: usize,
    page_of: Vec<Option<PageId>>,
    slot_of: Vec<u32>,
    /// Slots emptied after having been filled.
    emptied: Vec<u32>,
}

impl Slots {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            page_of: Vec::new(),
            slot_of: Vec::new(),
            emptied: Vec::new(),
        }
    }

    /// Number of slots, k.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Number of slots that have been filled at least once.
    pub(crate) fn len(&self) -> usize {
        self.page_of.len()
    }

    #[inline]
    pub(crate) fn find(&self, page: PageId) -> Option<u32> {
        match self.slot_of.get(page as usize) {
            Some(&slot) if slot != NONE => Some(slot),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn contains(&self, page: PageId) -> bool {
        self.find(page).is_some()
    }

    /// The page in a slot.
    pub(crate) fn page(&self, slot: u32) -> Option<PageId> {
        self.page_of[slot as usize]
    }

    /// Pages in the order of their slots.
    pub(crate) fn pages(&self) -> impl Iterator<Item = PageId> + '_ {
        self.page_of.iter().flatten().copied()
    }

    /// Puts a non-resident page into an empty slot, if any.
    pub(crate) fn fill_empty(&mut self, page: PageId) -> Option<u32> {
        let slot = match self.emptied.pop() {
            Some(slot) => slot,
            None if self.page_of.len() < self.capacity => {
                self.page_of.push(None);
                (self.page_of.len() - 1) as u32
            }
            None => return None,
        };
        self.put(slot, page);
        Some(slot)
    }

    /// Replaces the page of a filled slot by a non-resident page.
    pub(crate) fn replace(&mut self, slot: u32, page: PageId, evicted: &mut Vec<PageId>) {
        if let Some(victim) = self.page_of[slot as usize] {
            self.slot_of[victim as usize] = NONE;
            evicted.push(victim);
        }
        self.put(slot, page);
    }

    /// Empties a filled slot.
    pub(crate) fn empty(&mut self, slot: u32, evicted: &mut Vec<PageId>) {
        if let Some(victim) = self.page_of[slot as usize].take() {
            self.slot_of[victim as usize] = NONE;
            self.emptied.push(slot);
            evicted.push(victim);
        }
    }

    fn put(&mut self, slot: u32, page: PageId) {
        let index = page as usize;
        if index >= self.slot_of.len() {
            self.slot_of.resize((index + 1).next_power_of_two(), NONE);
        }
        self.slot_of[index] = slot;
        self.page_of[slot as usize] = Some(page);
    }
}

/// A set of slots with uniform draws in O(1).
#[derive(Clone, Debug, Default)]
pub(crate) struct SlotSet {
    members: Vec<u32>,
    /// By slot: its index in `members`.
    index_of: Vec<u32>,
}

impl SlotSet {
    /// All slots from 0 to `count` (exclusive).
    pub(crate) fn fill(&mut self, count: usize) {
        self.members.clear();
        self.members.extend(0..count as u32);
        self.index_of.clear();
        self.index_of.extend(0..count as u32);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn insert(&mut self, slot: u32) {
        let at = slot as usize;
        if at >= self.index_of.len() {
            self.index_of.resize(at + 1, NONE);
        }
        if self.index_of[at] == NONE {
            self.index_of[at] = self.members.len() as u32;
            self.members.push(slot);
        }
    }

    pub(crate) fn remove(&mut self, slot: u32) {
        let Some(&index) = self.index_of.get(slot as usize) else {
            return;
        };
        if index == NONE {
            return;
        }
        self.members.swap_remove(index as usize);
        if let Some(&moved) = self.members.get(index as usize) {
            self.index_of[moved as usize] = index;
        }
        self.index_of[slot as usize] = NONE;
    }

    /// A member drawn uniformly.
    pub(crate) fn draw(&self, rng: &mut ChaCha8Rng) -> Option<u32> {
        if self.members.is_empty() {
            return None;
        }
        Some(self.members[rng.random_range(0..self.members.len())])
    }

    /// Up to `count` different members, drawn uniformly.
    pub(crate) fn draw_distinct(&self, count: usize, rng: &mut ChaCha8Rng) -> Vec<u32> {
        rand::seq::index::sample(rng, self.members.len(), count.min(self.members.len()))
            .into_iter()
            .map(|index| self.members[index])
            .collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.members.iter().copied()
    }
}
