//! Least recently used.

use super::Policy;
use super::table::{List, Table};
use crate::request::{PageId, Request};

/// Least recently used: evicts the object with the oldest last request. O(1).
///
/// ```
/// use septet_cache::policy::{Lru, Policy};
/// use septet_cache::trace::Trace;
///
/// let trace = Trace::from_ids([1, 2, 3, 1, 4, 1]);
/// let tally = Lru::new(3).replay(&trace)?;
/// assert_eq!(tally.hits(), 2);
/// # Ok::<(), septet_cache::CacheError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lru {
    capacity: u64,
    table: Table<()>,
    recency: List,
}

impl Lru {
    /// An empty cache.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self {
            capacity,
            table: Table::default(),
            recency: List::default(),
        }
    }
}

impl Policy for Lru {
    fn name(&self) -> String {
        "LRU".into()
    }

    #[inline]
    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        if let Some(slot) = self.table.find(request.page) {
            self.table.refresh(&mut self.recency, slot);
            return true;
        }
        let size = u64::from(request.size);
        if size > self.capacity {
            return false;
        }
        while self.recency.size() + size > self.capacity {
            let Some(victim) = self.table.pop_oldest(&mut self.recency) else {
                break;
            };
            evicted.push(self.table.remove(victim));
        }
        let slot = self.table.insert(request.page, request.size, ());
        self.table.push_newest(&mut self.recency, slot);
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.table.find(page).is_some()
    }
}
