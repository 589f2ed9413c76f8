//! RPB-OM: OnlineMin with a budget for predictions.

use septet_core::seed::SeedTree;

use super::furthest::order;
use crate::policy::online_min::Core;
use crate::policy::{Needs, Policy};
use crate::request::{PageId, Request};

/// RPB-OM (ICML 2026): [`crate::policy::OnlineMin`] whose victims the prediction selects when the
/// optimum misses too, and otherwise while a budget lasts. The budget grows as the set of possible
/// optimal caches shrinks. Optimal with perfect predictions, H_k + O(1) competitive with any.
/// O(k log k) per miss.
#[derive(Clone, Debug)]
pub struct RpbOnlineMin {
    core: Core,
    /// By page: the last prediction.
    predicted: Vec<f64>,
    initial_budget: u32,
    budget: u32,
    /// Number of uncertain layers (not trailing singletons) at the last miss.
    uncertain_before: f64,
}

impl RpbOnlineMin {
    /// An empty cache of `capacity` slots. Each miss of the optimum resets the budget to
    /// `initial_budget` evictions by prediction.
    #[must_use]
    pub fn new(capacity: usize, initial_budget: u32, seed: &SeedTree) -> Self {
        Self {
            core: Core::new(capacity, 100, seed),
            predicted: Vec::new(),
            initial_budget,
            budget: 0,
            uncertain_before: capacity as f64,
        }
    }

    fn furthest(&self, candidates: usize) -> Option<PageId> {
        self.core
            .candidates(candidates)
            .iter()
            .copied()
            .max_by_key(|&page| order(self.predicted[page as usize]))
    }
}

impl Policy for RpbOnlineMin {
    fn name(&self) -> String {
        "RPB-OM".into()
    }

    fn needs(&self) -> Needs {
        Needs::PREDICTED_PAGING
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        let index = request.page as usize;
        if index >= self.predicted.len() {
            self.predicted
                .resize((index + 1).next_power_of_two(), f64::INFINITY);
        }
        self.predicted[index] = request.predicted;
        let hit = self.core.slots.contains(request.page);
        let Some(miss) = self.core.advance(request.page) else {
            return hit;
        };
        // Trailing singleton layers are pages that every optimal cache holds.
        let uncertain =
            (self.core.slots.capacity() - self.core.layers.trailing_singletons()) as f64;
        // A miss of the optimum too: reset the budget and follow the prediction.
        let victim = if miss.outside {
            self.budget = self.initial_budget;
            self.furthest(miss.candidates)
        } else {
            // The number of uncertain layers fell by about the factor e since the last miss: grant
            // one more prediction.
            if uncertain <= (self.uncertain_before + 2.0) / std::f64::consts::E - 2.0 {
                self.budget += 1;
            }
            if self.budget >= 1 {
                self.budget -= 1;
                self.furthest(miss.candidates)
            } else {
                Some(self.core.minimum(miss.candidates))
            }
        };
        self.uncertain_before = uncertain;
        if let Some(victim) = victim {
            self.core.replace(victim, request.page, evicted);
        }
        hit
    }

    fn contains(&self, page: PageId) -> bool {
        self.core.slots.contains(page)
    }
}
