//! ARC, the adaptive replacement cache.

use super::Policy;
use super::table::{List, Slot, Table};
use crate::request::{PageId, Request};

/// ARC (Megiddo and Modha, FAST 2003): two LRU lists, of objects seen once and of objects seen
/// repeatedly, each with a ghost list of objects evicted from it. A request of a ghost adapts the
/// target size of the first list. O(1).
#[derive(Clone, Debug)]
pub struct AdaptiveReplacement {
    capacity: u64,
    /// Target size of T1, the parameter p of the paper.
    target: f64,
    table: Table<Place>,
    /// By [`Place`].
    lists: [List; 4],
}

/// The list that an object is in: T1, T2, B1, B2 of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Once,
    Again,
    EvictedOnce,
    EvictedAgain,
}

impl AdaptiveReplacement {
    /// An empty cache.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self {
            capacity,
            target: 0.0,
            table: Table::default(),
            lists: Default::default(),
        }
    }

    fn size(&self, place: Place) -> u64 {
        self.lists[place as usize].size()
    }

    /// Moves a slot into another list.
    fn relocate(&mut self, slot: Slot, to: Place) {
        let from = std::mem::replace(&mut self.table.get_mut(slot).data, to);
        self.table.unlink(&mut self.lists[from as usize], slot);
        self.table.push_newest(&mut self.lists[to as usize], slot);
    }

    fn forget(&mut self, slot: Slot) -> PageId {
        let place = self.table.get(slot).data;
        self.table.unlink(&mut self.lists[place as usize], slot);
        self.table.remove(slot)
    }

    fn forget_oldest(&mut self, place: Place) -> Option<PageId> {
        let slot = self.lists[place as usize].oldest()?;
        Some(self.forget(slot))
    }

    /// Evicts one object into its ghost list (REPLACE in the paper).
    fn replace(&mut self, requested_from: Option<Place>, evicted: &mut Vec<PageId>) {
        // REPLACE of the paper (Figure 1): evict from T1 while it exceeds its target, and also at the
        // target if the request hit B2, because that request is about to grow T2.
        let once = self.size(Place::Once) as f64;
        let ghost_of_again = requested_from == Some(Place::EvictedAgain);
        let from_once = once > self.target || (ghost_of_again && once >= self.target);
        let oldest_once = self.lists[Place::Once as usize].oldest();
        let oldest_again = self.lists[Place::Again as usize].oldest();
        // With objects of several sizes the preferred list may be empty; then the other one gives
        // the victim. `make_room` runs only while something is resident.
        let (slot, to) = match (oldest_once, oldest_again) {
            (Some(slot), again) if from_once || again.is_none() => (Some(slot), Place::EvictedOnce),
            (_, again) => (again, Place::EvictedAgain),
        };
        if let Some(slot) = slot {
            evicted.push(self.table.get(slot).page);
            self.relocate(slot, to);
        }
    }

    fn make_room(&mut self, size: u64, from: Option<Place>, evicted: &mut Vec<PageId>) {
        while self.size(Place::Once) + self.size(Place::Again) + size > self.capacity {
            // Cases II and III of the paper: the requested object is a ghost.
            if from.is_some() {
                self.replace(from, evicted);
            } else if self.size(Place::Once) + self.size(Place::EvictedOnce) + size > self.capacity
            {
                // Case IV A: T1 and B1 together fill the capacity. Drop a ghost of B1, or, if T1
                // alone fills it, evict from T1 without keeping a ghost.
                if self.lists[Place::EvictedOnce as usize].is_empty() {
                    evicted.extend(self.forget_oldest(Place::Once));
                } else {
                    self.forget_oldest(Place::EvictedOnce);
                    self.replace(from, evicted);
                }
            } else {
                // Case IV B: bound the directory, residents and ghosts, to twice the capacity.
                let remembered = self.size(Place::EvictedOnce) + self.size(Place::EvictedAgain);
                if self.size(Place::Once) + self.size(Place::Again) + remembered
                    >= 2 * self.capacity
                {
                    self.forget_oldest(Place::EvictedAgain);
                }
                self.replace(from, evicted);
            }
        }
    }

    /// Adapts the target after a request of a ghost in this list.
    fn adapt(&mut self, place: Place) {
        // The step is the ratio of the ghost lists, at least 1: the shorter list, in which a hit is
        // stronger evidence, moves the target further. The list that was hit is not empty.
        let once = self.size(Place::EvictedOnce) as f64;
        let again = self.size(Place::EvictedAgain) as f64;
        self.target = match place {
            Place::EvictedOnce => (self.target + (again / once).max(1.0)).min(self.capacity as f64),
            _ => (self.target - (once / again).max(1.0)).max(0.0),
        };
    }
}

impl Policy for AdaptiveReplacement {
    fn name(&self) -> String {
        "ARC".into()
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        let mut from = None;
        if let Some(slot) = self.table.find(request.page) {
            match self.table.get(slot).data {
                // Case I: a hit moves the object to the newest end of T2.
                Place::Again => {
                    self.table
                        .refresh(&mut self.lists[Place::Again as usize], slot);
                    return true;
                }
                Place::Once => {
                    self.relocate(slot, Place::Again);
                    return true;
                }
                place => {
                    // A ghost hit: the object will be inserted anew, into T2, because its size may have
                    // changed since its eviction.
                    self.adapt(place);
                    self.forget(slot);
                    from = Some(place);
                }
            }
        }
        let size = u64::from(request.size);
        if size > self.capacity {
            return false;
        }
        self.make_room(size, from, evicted);
        let place = if from.is_some() {
            Place::Again
        } else {
            Place::Once
        };
        let slot = self.table.insert(request.page, request.size, place);
        self.table
            .push_newest(&mut self.lists[place as usize], slot);
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.table
            .find(page)
            .is_some_and(|slot| matches!(self.table.get(slot).data, Place::Once | Place::Again))
    }
}
