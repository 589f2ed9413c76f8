//! Belady's optimal policy for objects of one size.

use std::collections::BinaryHeap;

use super::table::Table;
use super::{Needs, Policy};
use crate::request::{PageId, Request};

/// Belady's policy (OPT, MIN): evicts the object with the furthest next request. Optimal for objects
/// of one size when every request must be admitted. O(log n) amortized, by a heap with lazy deletion.
#[derive(Clone, Debug)]
pub struct Belady {
    capacity: u64,
    used: u64,
    /// Data: index of the object's next request.
    table: Table<u32>,
    furthest: BinaryHeap<(u32, PageId)>,
}

impl Belady {
    /// An empty cache.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self {
            capacity,
            used: 0,
            table: Table::default(),
            furthest: BinaryHeap::new(),
        }
    }

    /// Removes the outdated entries that hits leave in the heap, which bounds its size.
    fn compact(&mut self) {
        let table = &self.table;
        self.furthest.retain(|&(next, page)| {
            table
                .find(page)
                .is_some_and(|slot| table.get(slot).data == next)
        });
    }
}

impl Policy for Belady {
    fn name(&self) -> String {
        "Belady".into()
    }

    fn needs(&self) -> Needs {
        Needs {
            future: true,
            ..Needs::default()
        }
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        let hit = self.table.find(request.page);
        if let Some(slot) = hit {
            self.table.get_mut(slot).data = request.next;
            self.furthest.push((request.next, request.page));
            // Compacting at four times the residents keeps the amortized cost O(log n).
            if self.furthest.len() > 4 * self.table.len() + 64 {
                self.compact();
            }
            return true;
        }
        let size = u64::from(request.size);
        if size > self.capacity {
            return false;
        }
        while self.used + size > self.capacity {
            let Some((next, page)) = self.furthest.pop() else {
                break;
            };
            // Lazy deletion: an entry counts only if it has the resident's current next request.
            if let Some(victim) = self.table.find(page)
                && self.table.get(victim).data == next
            {
                self.used -= u64::from(self.table.get(victim).size);
                evicted.push(self.table.remove(victim));
            }
        }
        self.table.insert(request.page, request.size, request.next);
        self.furthest.push((request.next, request.page));
        self.used += size;
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.table.find(page).is_some()
    }
}
