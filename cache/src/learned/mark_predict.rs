//! Mark&Predict: marking with one bit of prediction.

use septet_core::seed::SeedTree;

use super::marking::{Marking, Met};
use crate::policy::{Needs, Policy};
use crate::request::{PageId, Request};

/// Mark&Predict (Antoniadis et al., ICML 2023): Marker that draws its victim among the unmarked
/// pages whose bit says that the optimum would evict them before their next request, and among all
/// unmarked pages when there is none. O(k) a miss.
///
/// The bit is set when the prediction is infinite, as [`crate::predict::belady_bits`] gives it.
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
        match self.marking.meet(request) {
            Met::Hit => return true,
            Met::Filled => {}
            Met::Full { .. } => {
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
