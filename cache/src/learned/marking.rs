//! The state shared by the learning-augmented marking algorithms: slots, marks, predictions, and
//! the pages cached at the start of the phase.

use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;

use super::furthest::{Furthest, Ties};
use crate::policy::page_set::PageSet;
use crate::policy::slots::{SlotSet, Slots};
use crate::request::{PageId, Request};

/// A paging cache with marks. A miss with all pages marked begins a new phase.
#[derive(Clone, Debug)]
pub(crate) struct Marking {
    pub(crate) slots: Slots,
    pub(crate) unmarked: SlotSet,
    /// By slot: the last prediction of its page.
    pub(crate) predicted: Vec<f64>,
    /// The unmarked slots by prediction.
    furthest: Furthest,
    /// Pages that were cached at the start of the phase.
    stale: PageSet,
    stale_pages: Vec<PageId>,
    pub(crate) rng: ChaCha8Rng,
}

/// The outcome of a lookup.
pub(crate) enum Lookup {
    Hit,
    /// A miss that filled an empty slot.
    Filled,
    /// A miss in a full cache, which has at least one unmarked slot.
    Full {
        /// The miss began a phase.
        new_phase: bool,
        /// The page was cached at the start of the phase.
        stale: bool,
    },
}

impl Marking {
    pub(crate) fn new(capacity: usize, seed: &SeedTree) -> Self {
        Self {
            slots: Slots::new(capacity),
            unmarked: SlotSet::default(),
            predicted: Vec::new(),
            furthest: Furthest::new(Ties::HighestSlot),
            stale: PageSet::default(),
            stale_pages: Vec::new(),
            rng: seed.child("marking").rng(),
        }
    }

    /// Marks the page on a hit, fills an empty slot if there is one, and begins a new phase if all
    /// pages are marked.
    pub(crate) fn lookup(&mut self, request: &Request) -> Lookup {
        if let Some(slot) = self.slots.find(request.page) {
            self.mark(slot, request.predicted);
            return Lookup::Hit;
        }
        if let Some(slot) = self.slots.fill_empty(request.page) {
            self.mark(slot, request.predicted);
            return Lookup::Filled;
        }
        let new_phase = self.unmarked.is_empty();
        if new_phase {
            self.begin_phase();
        }
        Lookup::Full {
            new_phase,
            stale: self.stale.contains(request.page),
        }
    }

    pub(crate) fn was_cached_at_phase_start(&self, page: PageId) -> bool {
        self.stale.contains(page)
    }

    /// Replaces the page in `slot` by the requested one, marks it, and returns the victim.
    pub(crate) fn replace(
        &mut self,
        slot: u32,
        request: &Request,
        evicted: &mut Vec<PageId>,
    ) -> Option<PageId> {
        let victim = self.slots.page(slot);
        self.slots.replace(slot, request.page, evicted);
        self.mark(slot, request.predicted);
        victim
    }

    /// An unmarked slot drawn uniformly.
    pub(crate) fn draw_unmarked(&mut self) -> Option<u32> {
        self.unmarked.draw(&mut self.rng)
    }

    /// The unmarked slot whose page has the furthest prediction.
    pub(crate) fn furthest_unmarked(&mut self) -> Option<u32> {
        self.furthest.peek()
    }

    /// Clears all marks and records which pages are cached.
    pub(crate) fn begin_phase(&mut self) {
        self.unmarked.fill(self.slots.len());
        // Resetting only the listed pages costs O(k) instead of O(pages).
        for page in self.stale_pages.drain(..) {
            self.stale.remove(page);
        }
        self.stale_pages.extend(self.slots.pages());
        for &page in &self.stale_pages {
            self.stale.insert(page);
        }
        for (slot, &predicted) in self.predicted.iter().enumerate() {
            self.furthest.insert(slot as u32, predicted);
        }
    }

    fn mark(&mut self, slot: u32, predicted: f64) {
        let index = slot as usize;
        if index >= self.predicted.len() {
            self.predicted.resize(index + 1, f64::INFINITY);
        }
        self.predicted[index] = predicted;
        self.unmarked.remove(slot);
        self.furthest.remove(slot);
    }
}
