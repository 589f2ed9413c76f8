//! LeCaR.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;

use super::ghost::Ghost;
use super::lfu::FrequencyOrder;
use super::table::{List, Table};
use super::{Needs, Policy};
use crate::request::{PageId, Request};

const LEARNING_RATE: f64 = 0.45;
/// Lower bound of the weights, which keeps both experts alive.
const FLOOR: f64 = 1e-10;

/// LeCaR (Vietri et al., HotStorage 2018): evicts by LRU or LFU at random. An expert's weight
/// decreases when a page that it evicted is requested again soon. Learning rate 0.45, discount
/// 0.005^(1/k), a history of half the capacity per expert. O(1).
#[derive(Clone, Debug)]
pub struct LeCar {
    capacity: u64,
    table: Table<()>,
    recency: List,
    frequency: FrequencyOrder,
    history: [Ghost; 2],
    weights: [f64; 2],
    ln_discount: f64,
    rng: ChaCha8Rng,
}

/// Indices of the two experts.
const LRU: usize = 0;
const LFU: usize = 1;

impl LeCar {
    /// An empty cache of `capacity` pages.
    #[must_use]
    pub fn new(capacity: usize, seed: &SeedTree) -> Self {
        let history = Ghost::new(capacity as u64 / 2);
        Self {
            capacity: capacity as u64,
            table: Table::default(),
            recency: List::default(),
            frequency: FrequencyOrder::default(),
            history: [history.clone(), history],
            weights: [0.5, 0.5],
            ln_discount: 0.005_f64.ln() / capacity.max(1) as f64,
            rng: seed.child("lecar").rng(),
        }
    }

    fn regret(&mut self, expert: usize, age: u32) {
        // The regret decays with the age of the mistake: weight *= exp(-rate * discount^age).
        let discounted = (self.ln_discount * f64::from(age)).exp();
        self.weights[expert] *= (-LEARNING_RATE * discounted).exp();
        let sum: f64 = self.weights.iter().map(|weight| weight + FLOOR).sum();
        for weight in &mut self.weights {
            *weight = (*weight + FLOOR) / sum;
        }
    }

    fn evict(&mut self, now: u32, evicted: &mut Vec<PageId>) {
        let (Some(oldest), Some(least_frequent)) =
            (self.recency.oldest(), self.frequency.least_frequent())
        else {
            return;
        };
        let oldest = self.table.get(oldest).page;
        let victim = if oldest == least_frequent {
            // The experts agree: neither can regret this eviction.
            oldest
        } else {
            // Draw the expert by weight. Only its history records the eviction.
            let (expert, victim) = if self.rng.random::<f64>() < self.weights[LRU] {
                (LRU, oldest)
            } else {
                (LFU, least_frequent)
            };
            self.history[expert].insert(victim, 1, now);
            victim
        };
        if let Some(slot) = self.table.find(victim) {
            self.table.unlink(&mut self.recency, slot);
            self.table.remove(slot);
        }
        self.frequency.remove(victim);
        evicted.push(victim);
    }
}

impl Policy for LeCar {
    fn name(&self) -> String {
        "LeCaR".into()
    }

    fn needs(&self) -> Needs {
        Needs::PAGING
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        let page = request.page;
        if let Some(slot) = self.table.find(page) {
            self.table.refresh(&mut self.recency, slot);
            self.frequency.touch(page);
            return true;
        }
        // A miss of a page in an expert's history is that expert's mistake.
        for expert in [LRU, LFU] {
            if let Some(evicted_at) = self.history[expert].remove(page) {
                self.regret(expert, request.now.saturating_sub(evicted_at));
            }
        }
        if self.capacity == 0 {
            return false;
        }
        if self.recency.size() + 1 > self.capacity {
            self.evict(request.now, evicted);
        }
        let slot = self.table.insert(page, 1, ());
        self.table.push_newest(&mut self.recency, slot);
        self.frequency.insert(page, 1);
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.table.find(page).is_some()
    }
}
