//! Guard: predictions with protection of mispredicted pages.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;

use super::furthest::{Furthest, Ties};
use crate::policy::page_set::PageSet;
use crate::policy::slots::{SlotSet, Slots};
use crate::policy::{Needs, Policy};
use crate::request::{PageId, Request};

/// Which prediction errors guard a page.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Relaxation {
    /// All errors: the variant with the proven guarantee.
    #[default]
    None,
    /// Errors from this one on, counted from 1 in each phase.
    FromError(u32),
    /// Each error with this probability.
    Probability(f64),
}

/// Guard (Chen et al., NeurIPS 2025) around `FtP`: evicts the unguarded page with the furthest
/// prediction. A request of a page evicted earlier in the phase is a prediction error: the victim is
/// then drawn uniformly from the pages not requested in this phase, and the requested page is guarded
/// until the phase ends. Optimal with perfect predictions, 2 `H_(k-1)` + 2 competitive with any.
/// O(log k), and O(k) at the start of a phase.
#[derive(Clone, Debug)]
pub struct Guard {
    slots: Slots,
    predicted: Vec<f64>,
    /// Slots whose page was not requested in this phase.
    untouched: SlotSet,
    /// Unguarded slots.
    unguarded: Furthest,
    evicted_in_phase: PageSet,
    evicted_pages: Vec<PageId>,
    errors: u32,
    relaxation: Relaxation,
    rng: ChaCha8Rng,
}

impl Guard {
    /// An empty cache of `capacity` slots.
    #[must_use]
    pub fn new(capacity: usize, relaxation: Relaxation, seed: &SeedTree) -> Self {
        Self {
            slots: Slots::new(capacity),
            predicted: Vec::new(),
            untouched: SlotSet::default(),
            unguarded: Furthest::new(Ties::LowestSlot),
            evicted_in_phase: PageSet::default(),
            evicted_pages: Vec::new(),
            errors: 0,
            relaxation,
            rng: seed.child("guard").rng(),
        }
    }

    fn begin_phase(&mut self) {
        // All pages become unrequested and unguarded, and the record of evictions starts anew.
        self.untouched.fill(self.slots.len());
        for (slot, &predicted) in self.predicted.iter().enumerate() {
            self.unguarded.insert(slot as u32, predicted);
        }
        for page in self.evicted_pages.drain(..) {
            self.evicted_in_phase.remove(page);
        }
        self.errors = 0;
    }

    /// Whether this request reveals a prediction error that guards the page.
    fn guards(&mut self, page: PageId) -> bool {
        if !self.evicted_in_phase.contains(page) {
            return false;
        }
        self.errors += 1;
        match self.relaxation {
            Relaxation::None => true,
            Relaxation::FromError(first) => self.errors >= first,
            Relaxation::Probability(probability) => self.rng.random::<f64>() < probability,
        }
    }

    fn touch(&mut self, slot: u32, predicted: f64) {
        let index = slot as usize;
        if index >= self.predicted.len() {
            self.predicted.resize(index + 1, f64::INFINITY);
        }
        self.predicted[index] = predicted;
        self.untouched.remove(slot);
    }
}

impl Policy for Guard {
    fn name(&self) -> String {
        "Guard".into()
    }

    fn needs(&self) -> Needs {
        Needs::PREDICTED_PAGING
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        if let Some(slot) = self.slots.find(request.page) {
            self.touch(slot, request.predicted);
            // A hit refreshes the prediction of an unguarded page; guarded pages stay out of the order.
            if self.unguarded.contains(slot) {
                self.unguarded.insert(slot, request.predicted);
            }
            return true;
        }
        if let Some(slot) = self.slots.fill_empty(request.page) {
            self.touch(slot, request.predicted);
            self.unguarded.insert(slot, request.predicted);
            return false;
        }
        if self.untouched.is_empty() {
            self.begin_phase();
        }
        // After a prediction error the victim is random among the pages not requested in this phase.
        let guard = self.guards(request.page);
        let slot = if guard {
            self.untouched.draw(&mut self.rng)
        } else {
            // Every slot may be guarded.
            self.unguarded
                .peek()
                .or_else(|| self.untouched.draw(&mut self.rng))
        };
        let Some(slot) = slot else {
            return false;
        };
        if let Some(victim) = self.slots.page(slot)
            && self.evicted_in_phase.insert(victim)
        {
            self.evicted_pages.push(victim);
        }
        let was_unguarded = self.unguarded.contains(slot);
        self.slots.replace(slot, request.page, evicted);
        self.touch(slot, request.predicted);
        // The requested page takes over the slot: guarded after an error, otherwise in the order.
        if guard {
            self.unguarded.remove(slot);
        } else if was_unguarded {
            self.unguarded.insert(slot, request.predicted);
        }
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.slots.contains(page)
    }
}
