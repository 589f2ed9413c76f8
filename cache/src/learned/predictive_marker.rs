//! `PredictiveMarker`: marking with eviction chains.

use hashbrown::HashMap;
use septet_core::seed::SeedTree;

use super::marking::{Lookup, Marking};
use crate::policy::{Needs, Policy};
use crate::request::{PageId, Request};

/// `PredictiveMarker` (Lykouris and Vassilvitskii, 2018): each clean page of a phase starts a chain
/// of evictions. The prediction selects the victims of a chain up to length H_k; later ones are drawn
/// uniformly. O(log k) amortized.
#[derive(Clone, Debug)]
pub struct PredictiveMarker {
    marking: Marking,
    /// By evicted page: length of the chain that ends with it.
    chain_of: HashMap<PageId, u32, foldhash::fast::FixedState>,
    max_chain_length: f64,
}

impl PredictiveMarker {
    /// An empty cache of `capacity` slots.
    #[must_use]
    pub fn new(capacity: usize, seed: &SeedTree) -> Self {
        Self {
            marking: Marking::new(capacity, seed),
            chain_of: HashMap::default(),
            max_chain_length: harmonic(capacity),
        }
    }
}

/// H_k; for k >= 1000 by its asymptotic expansion, with an error below 1e-7.
fn harmonic(k: usize) -> f64 {
    const EULER: f64 = 0.577_215_664_901_532_9;
    if k < 1_000 {
        (1..=k).map(|i| 1.0 / i as f64).sum()
    } else {
        let k = k as f64;
        k.ln() + EULER + 0.5 / k
    }
}

impl Policy for PredictiveMarker {
    fn name(&self) -> String {
        "PredictiveMarker".into()
    }

    fn needs(&self) -> Needs {
        Needs::PREDICTED_PAGING
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        let stale = match self.marking.lookup(request) {
            Lookup::Hit => return true,
            Lookup::Filled => return false,
            Lookup::Full { new_phase, stale } => {
                if new_phase {
                    self.chain_of.clear();
                }
                stale
            }
        };
        // A stale page that is missing was evicted in this phase, so it ends a chain.
        let length = match self.chain_of.remove(&request.page) {
            Some(length) if stale => length + 1,
            _ => 1,
        };
        let slot = if f64::from(length) <= self.max_chain_length {
            self.marking.furthest_unmarked()
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
