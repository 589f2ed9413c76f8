//! Size-aware Belady by sampling.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;

use super::table::Table;
use super::{Needs, Policy};
use crate::request::{NEVER, PageId, Request};

/// Number of sampled residents per eviction, as in libCacheSim.
const SAMPLE: usize = 128;

/// Evicts, of 128 sampled residents, the one with the largest product of size and distance to its
/// next request. Objects that are not requested again are never kept. A strong baseline for variable
/// sizes, where the optimum is NP-hard; not optimal. O(128) per eviction.
#[derive(Clone, Debug)]
pub struct BeladySize {
    capacity: u64,
    used: u64,
    table: Table<Resident>,
    residents: Vec<u32>,
    rng: ChaCha8Rng,
}

#[derive(Clone, Debug)]
struct Resident {
    next: u32,
    index: u32,
}

impl BeladySize {
    /// An empty cache.
    #[must_use]
    pub fn new(capacity: u64, seed: &SeedTree) -> Self {
        Self {
            capacity,
            used: 0,
            table: Table::default(),
            residents: Vec::new(),
            rng: seed.child("belady size").rng(),
        }
    }

    fn remove(&mut self, slot: u32) -> PageId {
        let index = self.table.get(slot).data.index;
        // The last resident takes the free index, so that sampling stays O(1).
        self.residents.swap_remove(index as usize);
        if let Some(&moved) = self.residents.get(index as usize) {
            self.table.get_mut(moved).data.index = index;
        }
        self.used -= u64::from(self.table.get(slot).size);
        self.table.remove(slot)
    }

    fn victim(&mut self, now: u32) -> Option<usize> {
        let count = self.residents.len();
        // A small cache is searched exhaustively; only larger ones draw from the generator.
        let whole = count <= SAMPLE;
        let candidates = if whole { count } else { SAMPLE };
        (0..candidates)
            .map(|candidate| {
                let index = if whole {
                    candidate
                } else {
                    self.rng.random_range(0..count)
                };
                let entry = self.table.get(self.residents[index]);
                let distance = entry.data.next.saturating_sub(now);
                (u64::from(distance) * u64::from(entry.size), index)
            })
            .max()
            .map(|(_, index)| index)
    }
}

impl Policy for BeladySize {
    fn name(&self) -> String {
        "BeladySize".into()
    }

    fn needs(&self) -> Needs {
        Needs {
            future: true,
            ..Needs::default()
        }
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        if let Some(slot) = self.table.find(request.page) {
            // The last request of an object: it cannot hit again.
            if request.next == NEVER {
                self.remove(slot);
                evicted.push(request.page);
            } else {
                self.table.get_mut(slot).data.next = request.next;
            }
            return true;
        }
        let size = u64::from(request.size);
        if size > self.capacity || request.next == NEVER {
            return false;
        }
        while self.used + size > self.capacity {
            let Some(index) = self.victim(request.now) else {
                break;
            };
            evicted.push(self.remove(self.residents[index]));
        }
        let resident = Resident {
            next: request.next,
            index: self.residents.len() as u32,
        };
        let slot = self.table.insert(request.page, request.size, resident);
        self.residents.push(slot);
        self.used += size;
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.table.find(page).is_some()
    }
}
