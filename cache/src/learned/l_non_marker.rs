//! `LNonMarker`: predictions without full marking.

use hashbrown::HashMap;
use septet_core::seed::SeedTree;

use super::marking::{Lookup, Marking};
use crate::policy::page_set::PageSet;
use crate::policy::{Needs, Policy};
use crate::request::{PageId, Request};

/// The core of `LNonMarker` (Rohatgi, 2020). A phase has k distinct requested pages. A clean miss
/// evicts the unmarked page with the furthest prediction; a miss of a stale page that a clean page had
/// evicted evicts a page drawn from all, marked or not; other misses evict a random unmarked page. Not
/// robust by itself: combine it with [`crate::policy::Marker`]. O(log k) amortized.
#[derive(Clone, Debug)]
pub struct LNonMarker {
    marking: Marking,
    requested: PageSet,
    requested_pages: Vec<PageId>,
    /// By page evicted in this phase: the requested page that replaced it.
    evictor: HashMap<PageId, PageId, foldhash::fast::FixedState>,
}

impl LNonMarker {
    /// An empty cache of `capacity` slots.
    #[must_use]
    pub fn new(capacity: usize, seed: &SeedTree) -> Self {
        Self {
            marking: Marking::new(capacity, seed),
            requested: PageSet::default(),
            requested_pages: Vec::new(),
            evictor: HashMap::default(),
        }
    }

    fn note_arrival(&mut self, page: PageId) {
        if self.requested.contains(page) {
            return;
        }
        // The (k + 1)-th distinct page begins a new phase, independently of misses.
        if self.requested_pages.len() >= self.marking.slots.capacity() {
            for page in self.requested_pages.drain(..) {
                self.requested.remove(page);
            }
            self.evictor.clear();
            self.marking.begin_phase();
        }
        self.requested.insert(page);
        self.requested_pages.push(page);
    }

    fn choose(&mut self, page: PageId, stale: bool) -> Option<u32> {
        if !stale {
            return self.marking.furthest_unmarked();
        }
        // A stale page evicted by a clean one returns: any page may go, even a marked one. Other stale
        // misses evict as Marker does.
        let evicted_by_clean = self
            .evictor
            .get(&page)
            .is_some_and(|&by| !self.marking.was_cached_at_phase_start(by));
        if evicted_by_clean {
            let count = self.marking.slots.len() as u32;
            Some(rand::Rng::random_range(&mut self.marking.rng, 0..count))
        } else {
            self.marking.draw_unmarked()
        }
    }
}

impl Policy for LNonMarker {
    fn name(&self) -> String {
        "LNonMarker".into()
    }

    fn needs(&self) -> Needs {
        Needs::PREDICTED_PAGING
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        self.note_arrival(request.page);
        let stale = match self.marking.lookup(request) {
            Lookup::Hit => return true,
            Lookup::Filled => return false,
            Lookup::Full { stale, .. } => stale,
        };
        if let Some(slot) = self.choose(request.page, stale)
            && let Some(victim) = self.marking.replace(slot, request, evicted)
        {
            self.evictor.insert(victim, request.page);
        }
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.marking.slots.contains(page)
    }
}
