//! SIEVE.

use super::Policy;
use super::page_set::PageSet;
use super::table::{List, Slot, Table};
use crate::request::{PageId, Request};

/// SIEVE (Zhang et al., NSDI 2024): a queue in insertion order with a hand that moves from the oldest
/// to the newest object, clears visited bits, and evicts the first unvisited object. Objects never
/// move within the queue. Amortized O(1).
#[derive(Clone, Debug)]
pub struct Sieve {
    capacity: u64,
    /// Membership and visited bits are stored apart from the queue, so that a hit touches two
    /// bitmaps only.
    resident: PageSet,
    /// Objects requested since the hand last passed them.
    visited: PageSet,
    table: Table<()>,
    queue: List,
    /// Start of the next search for a victim; the oldest object if `None`.
    hand: Option<Slot>,
}

impl Sieve {
    /// An empty cache.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self {
            capacity,
            resident: PageSet::default(),
            visited: PageSet::default(),
            table: Table::default(),
            queue: List::default(),
            hand: None,
        }
    }

    fn evict(&mut self, evicted: &mut Vec<PageId>) {
        // The scan clears visited bits and wraps from the newest to the oldest object, so it ends
        // after at most one round.
        let Some(mut victim) = self.hand.or(self.queue.oldest()) else {
            return;
        };
        while self.visited.remove(self.table.get(victim).page) {
            victim = match self.table.newer(victim).or(self.queue.oldest()) {
                Some(slot) => slot,
                None => return,
            };
        }
        // The next search continues behind the victim.
        self.hand = self.table.newer(victim);
        self.table.unlink(&mut self.queue, victim);
        let page = self.table.remove(victim);
        self.resident.remove(page);
        evicted.push(page);
    }
}

impl Policy for Sieve {
    fn name(&self) -> String {
        "SIEVE".into()
    }

    #[inline]
    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        if self.resident.contains(request.page) {
            self.visited.insert(request.page);
            return true;
        }
        let size = u64::from(request.size);
        if size > self.capacity {
            return false;
        }
        while self.queue.size() + size > self.capacity {
            self.evict(evicted);
        }
        let slot = self.table.insert(request.page, request.size, ());
        self.resident.insert(request.page);
        self.table.push_newest(&mut self.queue, slot);
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.resident.contains(page)
    }
}
