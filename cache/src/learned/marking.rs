//! What the learning-augmented marking algorithms share: k slots, marks, predictions, and the pages
//! that were cached when the phase began.

use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;

use super::furthest::{Furthest, Ties};
use crate::policy::page_set::PageSet;
use crate::policy::slots::{SlotSet, Slots};
use crate::request::{PageId, Request};

/// A paging cache with marks. A phase begins when a miss finds every page marked.
#[derive(Clone, Debug)]
pub(crate) struct Marking {
    pub(crate) slots: Slots,
    pub(crate) unmarked: SlotSet,
    /// By slot: the last prediction of its page.
    pub(crate) predicted: Vec<f64>,
    /// The unmarked slots by prediction.
    furthest: Furthest,
    /// Pages that were cached when the phase began.
    stale: PageSet,
    stale_pages: Vec<PageId>,
    pub(crate) rng: ChaCha8Rng,
}

/// How a request met the cache.
pub(crate) enum Met {
    Hit,
    /// A miss that filled an empty slot.
    Filled,
    /// A miss in a full cache, which has an unmarked slot now.
    Full {
        /// The miss began a phase.
        new_phase: bool,
        /// The page was cached when the phase began.
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

    /// Marks the page if it is there, fills an empty slot if there is one, and begins a phase if
    /// one is due.
    pub(crate) fn meet(&mut self, request: &Request) -> Met {
        if let Some(slot) = self.slots.find(request.page) {
            self.mark(slot, request.predicted);
            return Met::Hit;
        }
        if let Some(slot) = self.slots.fill_empty(request.page) {
            self.mark(slot, request.predicted);
            return Met::Filled;
        }
        let new_phase = self.unmarked.is_empty();
        if new_phase {
            self.begin_phase();
        }
        Met::Full {
            new_phase,
            stale: self.stale.contains(request.page),
        }
    }

    pub(crate) fn was_cached_at_phase_start(&self, page: PageId) -> bool {
        self.stale.contains(page)
    }

    /// Puts the requested page in the place of the victim, marks it, and returns the victim.
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

    /// The unmarked slot whose page is predicted to come last.
    pub(crate) fn furthest_unmarked(&mut self) -> Option<u32> {
        self.furthest.peek()
    }

    /// Takes all marks off and remembers which pages are cached.
    pub(crate) fn begin_phase(&mut self) {
        self.unmarked.fill(self.slots.len());
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
