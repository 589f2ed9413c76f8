//! GreedyDual-Size with frequency.

use std::collections::BTreeSet;

use super::Policy;
use super::table::Table;
use crate::request::{PageId, Request};

/// GDSF (Cherkasova, 1998): evicts the object of minimum priority L + requests / size, where L is the
/// priority of the last victim. Favors small, popular and recent objects. O(log n).
#[derive(Clone, Debug)]
pub struct Gdsf {
    capacity: u64,
    used: u64,
    inflation: f64,
    table: Table<Rank>,
    order: BTreeSet<(u64, u32, PageId)>,
}

#[derive(Clone, Copy, Debug)]
struct Rank {
    requests: u64,
    /// Bits of the priority. It is positive, so the bits have the same order.
    priority: u64,
    /// Breaks ties by least recency.
    last_request: u32,
}

impl Gdsf {
    /// An empty cache.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self {
            capacity,
            used: 0,
            inflation: 0.0,
            table: Table::default(),
            order: BTreeSet::new(),
        }
    }

    fn rank(&self, requests: u64, request: &Request) -> Rank {
        // The constant factor, as in libCacheSim, scales all priorities alike.
        let priority = self.inflation + requests as f64 * 1e6 / f64::from(request.size.max(1));
        Rank {
            requests,
            priority: priority.to_bits(),
            last_request: request.now,
        }
    }
}

impl Policy for Gdsf {
    fn name(&self) -> String {
        "GDSF".into()
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        let page = request.page;
        if let Some(slot) = self.table.find(page) {
            let old = self.table.get(slot).data;
            // Re-rank with the current L, which is how recency enters the priority.
            self.order.remove(&(old.priority, old.last_request, page));
            let new = self.rank(old.requests + 1, request);
            self.table.get_mut(slot).data = new;
            self.order.insert((new.priority, new.last_request, page));
            return true;
        }
        if u64::from(request.size) > self.capacity {
            return false;
        }
        // The new object competes: it may be the victim itself.
        let rank = self.rank(1, request);
        self.table.insert(page, request.size, rank);
        self.order.insert((rank.priority, rank.last_request, page));
        self.used += u64::from(request.size);
        while self.used > self.capacity {
            let Some((priority, _, victim)) = self.order.pop_first() else {
                break;
            };
            // L is monotone: the minimum priority never falls below the last victim's.
            self.inflation = f64::from_bits(priority);
            if let Some(slot) = self.table.find(victim) {
                self.used -= u64::from(self.table.get(slot).size);
                self.table.remove(slot);
                if victim != page {
                    evicted.push(victim);
                }
            }
        }
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.table.find(page).is_some()
    }
}
