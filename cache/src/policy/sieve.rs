//! SIEVE.

use super::Policy;
use super::table::{List, Slot, Table};
use crate::request::{PageId, Request};

/// SIEVE (Zhang et al., NSDI 2024): one queue in order of insertion and a hand that moves from the
/// oldest object to the newest, clears the visited bits that it meets, and evicts the first object
/// without one; objects stay where they are. Amortised O(1).
#[derive(Clone, Debug)]
pub struct Sieve {
    capacity: u64,
    /// The flag says that the object was requested since the hand last passed it.
    table: Table<bool>,
    queue: List,
    /// Where the search for a victim goes on; the oldest object when there is no such place.
    hand: Option<Slot>,
}

impl Sieve {
    /// An empty cache.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self {
            capacity,
            table: Table::default(),
            queue: List::default(),
            hand: None,
        }
    }

    fn evict(&mut self, evicted: &mut Vec<PageId>) {
        let Some(mut victim) = self.hand.or(self.queue.oldest()) else {
            return;
        };
        while self.table.get(victim).data {
            self.table.get_mut(victim).data = false;
            victim = match self.table.newer(victim).or(self.queue.oldest()) {
                Some(slot) => slot,
                None => return,
            };
        }
        self.hand = self.table.newer(victim);
        self.table.unlink(&mut self.queue, victim);
        evicted.push(self.table.remove(victim));
    }
}

impl Policy for Sieve {
    fn name(&self) -> String {
        "SIEVE".into()
    }

    #[inline]
    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        if let Some(slot) = self.table.find(request.page) {
            self.table.get_mut(slot).data = true;
            return true;
        }
        let size = u64::from(request.size);
        if size > self.capacity {
            return false;
        }
        while self.queue.size() + size > self.capacity {
            self.evict(evicted);
        }
        let slot = self.table.insert(request.page, request.size, false);
        self.table.push_newest(&mut self.queue, slot);
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.table.find(page).is_some()
    }
}
