//! First in, first out.

use std::collections::VecDeque;

use super::Policy;
use super::page_set::PageSet;
use crate::request::{PageId, Request};

/// First in, first out: evicts the earliest inserted object. O(1).
#[derive(Clone, Debug)]
pub struct Fifo {
    capacity: u64,
    used: u64,
    resident: PageSet,
    queue: VecDeque<(PageId, u32)>,
}

impl Fifo {
    /// An empty cache.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self {
            capacity,
            used: 0,
            resident: PageSet::default(),
            queue: VecDeque::new(),
        }
    }
}

impl Policy for Fifo {
    fn name(&self) -> String {
        "FIFO".into()
    }

    #[inline]
    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        if self.resident.contains(request.page) {
            return true;
        }
        let size = u64::from(request.size);
        if size > self.capacity {
            return false;
        }
        while self.used + size > self.capacity {
            let Some((page, size)) = self.queue.pop_front() else {
                break;
            };
            self.resident.remove(page);
            self.used -= u64::from(size);
            evicted.push(page);
        }
        self.resident.insert(request.page);
        self.queue.push_back((request.page, request.size));
        self.used += size;
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.resident.contains(page)
    }
}
