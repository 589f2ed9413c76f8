//! Pages remembered after their eviction, oldest forgotten first.

use super::table::{List, Table};
use crate::request::PageId;

/// A queue of the last evicted objects, up to a total size.
#[derive(Clone, Debug)]
pub(crate) struct Ghost {
    capacity: u64,
    /// The number is the caller's: when the page was evicted.
    table: Table<u32>,
    queue: List,
}

impl Ghost {
    pub(crate) fn new(capacity: u64) -> Self {
        Self {
            capacity,
            table: Table::default(),
            queue: List::default(),
        }
    }

    /// Remembers an object that is not remembered, and when it was evicted.
    pub(crate) fn insert(&mut self, page: PageId, size: u32, evicted_at: u32) {
        if u64::from(size) > self.capacity {
            return;
        }
        while self.queue.size() + u64::from(size) > self.capacity {
            let Some(oldest) = self.table.pop_oldest(&mut self.queue) else {
                break;
            };
            self.table.remove(oldest);
        }
        let slot = self.table.insert(page, size, evicted_at);
        self.table.push_newest(&mut self.queue, slot);
    }

    /// Forgets a page, and says when it was evicted if it was remembered.
    #[inline]
    pub(crate) fn remove(&mut self, page: PageId) -> Option<u32> {
        let slot = self.table.find(page)?;
        let evicted_at = self.table.get(slot).data;
        self.table.unlink(&mut self.queue, slot);
        self.table.remove(slot);
        Some(evicted_at)
    }
}
