//! `PredictiveMarker`: marking with eviction chains.

use hashbrown::HashMap;
use septet_core::seed::SeedTree;

use super::marking::{Marking, Met};
use crate::policy::{Needs, Policy};
use crate::request::{PageId, Request};

/// `PredictiveMarker` (Lykouris and Vassilvitskii, 2018): each clean page of a phase opens a chain
/// of evictions; the prediction chooses the victims of a chain until it is longer than H_k, then
/// they are drawn uniformly. O(log k) amortized.
#[derive(Clone, Debug)]
pub struct PredictiveMarker {
    marking: Marking,
    /// The length of the chain that each evicted page ends.
    chain_of: HashMap<PageId, u32, foldhash::fast::FixedState>,
    longest_trusted: f64,
}

impl PredictiveMarker {
    /// An empty cache of `capacity` slots.
    #[must_use]
    pub fn new(capacity: usize, seed: &SeedTree) -> Self {
        Self {
            marking: Marking::new(capacity, seed),
            chain_of: HashMap::default(),
            longest_trusted: harmonic(capacity),
        }
    }
}

/// H_k; from a thousand on by its asymptotic form, which is exact to 1e-7 there.
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
        let stale = match self.marking.meet(request) {
            Met::Hit => return true,
            Met::Filled => return false,
            Met::Full { new_phase, stale } => {
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
        let slot = if f64::from(length) <= self.longest_trusted {
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
