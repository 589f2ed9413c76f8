//! `AdaptiveQuery`: marking with few predictor queries.

use hashbrown::HashMap;
use septet_core::seed::SeedTree;

use super::marking::{Lookup, Marking};
use crate::policy::{Needs, Policy};
use crate::request::{PageId, Request};

/// `AdaptiveQuery-b` (Im et al., ICML 2022): Marker that on a miss samples b unmarked pages, queries
/// only their predictions, and evicts the furthest. Eviction chains longer than log2 k continue with
/// uniform draws. O(b).
#[derive(Clone, Debug)]
pub struct AdaptiveQuery {
    marking: Marking,
    sample: usize,
    chain_of: HashMap<PageId, u32, foldhash::fast::FixedState>,
    queries: u64,
}

impl AdaptiveQuery {
    /// An empty cache of `capacity` slots that queries `sample` predictions per eviction (at least
    /// one).
    #[must_use]
    pub fn new(capacity: usize, sample: usize, seed: &SeedTree) -> Self {
        Self {
            marking: Marking::new(capacity, seed),
            sample: sample.max(1),
            chain_of: HashMap::default(),
            queries: 0,
        }
    }

    /// Number of queried predictions.
    #[must_use]
    pub fn queries(&self) -> u64 {
        self.queries
    }

    fn choose(&mut self) -> Option<u32> {
        let drawn = self
            .marking
            .unmarked
            .draw_distinct(self.sample, &mut self.marking.rng);
        self.queries += drawn.len() as u64;
        drawn
            .into_iter()
            .max_by_key(|&slot| super::furthest::order(self.marking.predicted[slot as usize]))
    }
}

impl Policy for AdaptiveQuery {
    fn name(&self) -> String {
        format!("AdaptiveQuery-{}", self.sample)
    }

    fn needs(&self) -> Needs {
        Needs::PREDICTED_PAGING
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        match self.marking.lookup(request) {
            Lookup::Hit => return true,
            Lookup::Filled => return false,
            Lookup::Full {
                new_phase: true, ..
            } => self.chain_of.clear(),
            Lookup::Full { .. } => {}
        }
        // A page evicted in this phase continues its chain; any other starts a new one.
        let length = self
            .chain_of
            .remove(&request.page)
            .map_or(1, |length| length + 1);
        let slot = if length <= self.marking.slots.capacity().max(2).ilog2() {
            self.choose()
        } else {
            self.marking.draw_unmarked()
        };
        if let Some(slot) = slot
            && let Some(victim) = self.marking.replace(slot, request, evicted)
        {
            self.chain_of.insert(victim, length);
        }
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.marking.slots.contains(page)
    }
}
