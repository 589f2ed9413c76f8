//! Marking with predictions on clean misses (LMarker), and on all of them.

use septet_core::seed::SeedTree;

use super::marking::{Lookup, Marking};
use crate::policy::{Needs, Policy};
use crate::request::{PageId, Request};

/// LMarker (Rohatgi, 2020): Marker that evicts the unmarked page with the furthest prediction if the
/// requested page is clean (not cached at the start of the phase), and a uniformly drawn unmarked
/// page otherwise. O(log k) amortized.
#[derive(Clone, Debug)]
pub struct LMarker {
    marking: Marking,
}

impl LMarker {
    /// An empty cache of `capacity` slots.
    #[must_use]
    pub fn new(capacity: usize, seed: &SeedTree) -> Self {
        Self {
            marking: Marking::new(capacity, seed),
        }
    }
}

impl Policy for LMarker {
    fn name(&self) -> String {
        "LMarker".into()
    }

    fn needs(&self) -> Needs {
        Needs::PREDICTED_PAGING
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        let slot = match self.marking.lookup(request) {
            Lookup::Hit => return true,
            Lookup::Filled => return false,
            Lookup::Full { stale: true, .. } => self.marking.draw_unmarked(),
            Lookup::Full { stale: false, .. } => self.marking.furthest_unmarked(),
        };
        if let Some(slot) = slot {
            self.marking.replace(slot, request, evicted);
        }
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.marking.slots.contains(page)
    }
}

/// FtPMarking: Marker that always evicts the unmarked page with the furthest prediction. It isolates
/// the cost of marking with a good predictor. O(log k) amortized.
#[derive(Clone, Debug)]
pub struct PredictionMarker {
    marking: Marking,
}

impl PredictionMarker {
    /// An empty cache of `capacity` slots.
    #[must_use]
    pub fn new(capacity: usize, seed: &SeedTree) -> Self {
        Self {
            marking: Marking::new(capacity, seed),
        }
    }
}

impl Policy for PredictionMarker {
    fn name(&self) -> String {
        "FtPMarking".into()
    }

    fn needs(&self) -> Needs {
        Needs::PREDICTED_PAGING
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        match self.marking.lookup(request) {
            Lookup::Hit => return true,
            Lookup::Filled => {}
            Lookup::Full { .. } => {
                if let Some(slot) = self.marking.furthest_unmarked() {
                    self.marking.replace(slot, request, evicted);
                }
            }
        }
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.marking.slots.contains(page)
    }
}
