//! A ghost queue: metadata of recently evicted pages, in FIFO order.

use super::table::{List, Table};
use crate::request::PageId;

/// The most recently evicted objects, up to a total size.
#[derive(Clone, Debug)]
pub(crate) struct Ghost {
    capacity: u64,
    /// Data: time of eviction, supplied by the caller.
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

    /// Adds an absent object with its time of eviction, dropping the oldest ones if full.
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

    /// Removes a page and returns its time of eviction, if present.
    #[inline]
    pub(crate) fn remove(&mut self, page: PageId) -> Option<u32> {
        let slot = self.table.find(page)?;
        let evicted_at = self.table.get(slot).data;
        self.table.unlink(&mut self.queue, slot);
        self.table.remove(slot);
        Some(evicted_at)
    }
}
