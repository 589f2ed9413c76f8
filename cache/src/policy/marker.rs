//! The randomized marking algorithm.

use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;

use super::slots::{SlotSet, Slots};
use super::{Needs, Policy};
use crate::request::{PageId, Request};

/// Marker (Fiat et al., 1991): a request marks its page, and a miss evicts a uniformly drawn unmarked
/// page. A miss with all pages marked begins a new phase, which clears all marks. 2 H_k-competitive.
/// O(1), and O(k) at the start of a phase.
#[derive(Clone, Debug)]
pub struct Marker {
    slots: Slots,
    unmarked: SlotSet,
    rng: ChaCha8Rng,
}

impl Marker {
    /// An empty cache of `capacity` slots.
    #[must_use]
    pub fn new(capacity: usize, seed: &SeedTree) -> Self {
        Self {
            slots: Slots::new(capacity),
            unmarked: SlotSet::default(),
            rng: seed.child("marker").rng(),
        }
    }
}

impl Policy for Marker {
    fn name(&self) -> String {
        "Marker".into()
    }

    fn needs(&self) -> Needs {
        Needs::PAGING
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        if let Some(slot) = self.slots.find(request.page) {
            // A hit marks the page.
            self.unmarked.remove(slot);
            return true;
        }
        if self.slots.fill_empty(request.page).is_some() {
            return false;
        }
        // All pages are marked: a new phase.
        if self.unmarked.is_empty() {
            self.unmarked.fill(self.slots.len());
        }
        if let Some(slot) = self.unmarked.draw(&mut self.rng) {
            self.slots.replace(slot, request.page, evicted);
            self.unmarked.remove(slot);
        }
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.slots.contains(page)
    }
}
