//! Mark0: eager eviction by binary predictions.

use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;

use crate::policy::slots::{SlotSet, Slots};
use crate::policy::{Needs, Policy};
use crate::request::{PageId, Request};

/// Mark0 (Antoniadis et al., ICML 2023): a page predicted to be evicted by the optimum before its
/// next request leaves the cache right after it is served. A miss without an empty slot evicts a page
/// drawn uniformly from those not requested in this phase. O(1), and O(k) at the start of a phase.
///
/// An infinite prediction is a set bit, as in [`crate::predict::belady_bits`].
#[derive(Clone, Debug)]
pub struct MarkZero {
    slots: Slots,
    unmarked: SlotSet,
    rng: ChaCha8Rng,
}

impl MarkZero {
    /// An empty cache of `capacity` slots.
    #[must_use]
    pub fn new(capacity: usize, seed: &SeedTree) -> Self {
        Self {
            slots: Slots::new(capacity),
            unmarked: SlotSet::default(),
            rng: seed.child("mark zero").rng(),
        }
    }

    fn admit(&mut self, page: PageId, evicted: &mut Vec<PageId>) {
        if let Some(slot) = self.slots.fill_empty(page) {
            self.unmarked.remove(slot);
            return;
        }
        if self.unmarked.is_empty() {
            // No slot is empty here, so every slot holds a page of the old phase.
            self.unmarked.fill(self.slots.len());
        }
        if let Some(slot) = self.unmarked.draw(&mut self.rng) {
            self.slots.replace(slot, page, evicted);
            self.unmarked.remove(slot);
        }
    }
}

impl Policy for MarkZero {
    fn name(&self) -> String {
        "Mark0".into()
    }

    fn needs(&self) -> Needs {
        Needs::PREDICTED_PAGING
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        let hit = match self.slots.find(request.page) {
            Some(slot) => {
                self.unmarked.remove(slot);
                true
            }
            None => {
                self.admit(request.page, evicted);
                false
            }
        };
        // A set bit: leave right after being served.
        if request.predicted == f64::INFINITY
            && let Some(slot) = self.slots.find(request.page)
        {
            self.slots.empty(slot, evicted);
            if !hit {
                // Not cached before the request, hence not an eviction.
                evicted.pop();
            }
        }
        hit
    }

    fn contains(&self, page: PageId) -> bool {
        self.slots.contains(page)
    }
}
