//! 2Q.

use super::Policy;
use super::ghost::Ghost;
use super::table::{List, Table};
use crate::request::{PageId, Request};

/// 2Q (Johnson and Shasha, 1994): new objects enter a FIFO queue (A1in) of a quarter of the capacity.
/// Those requested again while in the ghost queue (A1out, half the capacity) enter the main LRU queue
/// (Am). O(1).
#[derive(Clone, Debug)]
pub struct TwoQueue {
    capacity: u64,
    entry_capacity: u64,
    /// Data: whether the object is in the main queue.
    table: Table<bool>,
    entry: List,
    main: List,
    ghost: Ghost,
}

impl TwoQueue {
    /// An empty cache.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self {
            capacity,
            entry_capacity: (capacity / 4).max(1),
            table: Table::default(),
            entry: List::default(),
            main: List::default(),
            ghost: Ghost::new(capacity / 2),
        }
    }

    fn evict_from_main(&mut self, evicted: &mut Vec<PageId>) -> bool {
        let Some(slot) = self.table.pop_oldest(&mut self.main) else {
            return false;
        };
        evicted.push(self.table.remove(slot));
        true
    }
}

impl Policy for TwoQueue {
    fn name(&self) -> String {
        "2Q".into()
    }

    #[inline]
    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        if let Some(slot) = self.table.find(request.page) {
            // Hits in the entry queue do not count: correlated references say nothing about reuse.
            if self.table.get(slot).data {
                self.table.refresh(&mut self.main, slot);
            }
            return true;
        }
        let remembered = self.ghost.remove(request.page).is_some();
        let size = u64::from(request.size);
        if size > self.capacity {
            return false;
        }
        while self.entry.size() + self.main.size() + size > self.capacity {
            // While the entry queue is within its share, main gives the victim. Objects evicted from
            // main leave no ghost; those from the entry queue do.
            if self.entry.size() <= self.entry_capacity && self.evict_from_main(evicted) {
                continue;
            }
            match self.table.pop_oldest(&mut self.entry) {
                Some(slot) => {
                    let size = self.table.get(slot).size;
                    let page = self.table.remove(slot);
                    self.ghost.insert(page, size, request.now);
                    evicted.push(page);
                }
                None => {
                    self.evict_from_main(evicted);
                }
            }
        }
        let slot = self.table.insert(request.page, request.size, remembered);
        if remembered {
            // An object that returns from the ghost queue may displace others of the main queue, so that
            // main never takes the share of the entry queue.
            let main_capacity = self.capacity.saturating_sub(self.entry_capacity);
            while self.main.size() + size > main_capacity && self.evict_from_main(evicted) {}
            self.table.push_newest(&mut self.main, slot);
        } else {
            self.table.push_newest(&mut self.entry, slot);
        }
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.table.find(page).is_some()
    }
}
