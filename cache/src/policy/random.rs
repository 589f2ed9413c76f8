//! Random replacement.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;

use super::Policy;
use super::table::Table;
use crate::request::{PageId, Request};

/// Evicts an object drawn uniformly from the cache. O(1).
#[derive(Clone, Debug)]
pub struct Random {
    capacity: u64,
    used: u64,
    /// Data: the object's index in `residents`.
    table: Table<u32>,
    residents: Vec<u32>,
    rng: ChaCha8Rng,
}

impl Random {
    /// An empty cache.
    #[must_use]
    pub fn new(capacity: u64, seed: &SeedTree) -> Self {
        Self {
            capacity,
            used: 0,
            table: Table::default(),
            residents: Vec::new(),
            rng: seed.child("random").rng(),
        }
    }
}

impl Policy for Random {
    fn name(&self) -> String {
        "Random".into()
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        if self.table.find(request.page).is_some() {
            return true;
        }
        let size = u64::from(request.size);
        if size > self.capacity {
            return false;
        }
        while self.used + size > self.capacity && !self.residents.is_empty() {
            let index = self.rng.random_range(0..self.residents.len());
            // The last resident takes the victim's index.
            let victim = self.residents.swap_remove(index);
            if let Some(&moved) = self.residents.get(index) {
                self.table.get_mut(moved).data = index as u32;
            }
            self.used -= u64::from(self.table.get(victim).size);
            evicted.push(self.table.remove(victim));
        }
        let index = self.residents.len() as u32;
        let slot = self.table.insert(request.page, request.size, index);
        self.residents.push(slot);
        self.used += size;
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.table.find(page).is_some()
    }
}
