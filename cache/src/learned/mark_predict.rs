//! Mark&Predict: marking with binary predictions.

use septet_core::seed::SeedTree;

use super::marking::{Lookup, Marking};
use crate::policy::{Needs, Policy};
use crate::request::{PageId, Request};

/// Mark&Predict (Antoniadis et al., ICML 2023): Marker that draws its victim from the unmarked pages
/// predicted to be evicted by the optimum before their next request, and from all unmarked pages if
/// there is none. O(k) per miss.
///
/// An infinite prediction is a set bit, as in [`crate::predict::belady_bits`].
#[derive(Clone, Debug)]
pub struct MarkPredict {
    marking: Marking,
    candidates: Vec<u32>,
}

impl MarkPredict {
    /// An empty cache of `capacity` slots.
    #[must_use]
    pub fn new(capacity: usize, seed: &SeedTree) -> Self {
        Self {
            marking: Marking::new(capacity, seed),
            candidates: Vec::new(),
        }
    }

    fn choose(&mut self) -> Option<u32> {
        self.candidates.clear();
        for slot in self.marking.unmarked.iter() {
            if self.marking.predicted[slot as usize] == f64::INFINITY {
                self.candidates.push(slot);
            }
        }
        if self.candidates.is_empty() {
            return self.marking.draw_unmarked();
        }
        let index = rand::Rng::random_range(&mut self.marking.rng, 0..self.candidates.len());
        Some(self.candidates[index])
    }
}

impl Policy for MarkPredict {
    fn name(&self) -> String {
        "Mark&Predict".into()
    }

    fn needs(&self) -> Needs {
        Needs::PREDICTED_PAGING
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        match self.marking.lookup(request) {
            Lookup::Hit => return true,
            Lookup::Filled => {}
            Lookup::Full { .. } => {
                if let Some(slot) = self.choose() {
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
