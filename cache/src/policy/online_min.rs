//! OnlineMin: the optimal randomized competitive ratio, without predictions.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;

use super::layers::Layers;
use super::slots::Slots;
use super::{Needs, Policy};
use crate::request::{PageId, Request};

/// OnlineMin (Brodal, Moruz, Negoescu): H_k-competitive paging, the optimal ratio. The cache is always
/// a possible cache of an optimal algorithm, selected by random priorities. O(k log k) per miss.
///
/// The support (the pages that the optimum may hold) is limited to `support_factor` times k. A new
/// page at the limit drops the first layer (forgiveness).
#[derive(Clone, Debug)]
pub struct OnlineMin {
    core: Core,
}

impl OnlineMin {
    /// An empty cache of `capacity` slots, with a support of up to 100 k pages.
    #[must_use]
    pub fn new(capacity: usize, seed: &SeedTree) -> Self {
        Self {
            core: Core::new(capacity, 100, seed),
        }
    }
}

impl Policy for OnlineMin {
    fn name(&self) -> String {
        "OnlineMin".into()
    }

    fn needs(&self) -> Needs {
        Needs::PAGING
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        let missing = self.core.slots.find(request.page).is_none();
        if let Some(miss) = self.core.advance(request.page) {
            debug_assert!(missing);
            let victim = self.core.minimum(miss.candidates);
            self.core.replace(victim, request.page, evicted);
        }
        !missing
    }

    fn contains(&self, page: PageId) -> bool {
        self.core.slots.contains(page)
    }
}

/// A miss in a full cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Miss {
    /// The page was outside the support, and no layer was dropped.
    pub(crate) outside: bool,
    /// Number of eviction candidates: a prefix of the cached pages in layer order.
    pub(crate) candidates: usize,
}

/// The state shared with the learning-augmented variant.
#[derive(Clone, Debug)]
pub(crate) struct Core {
    pub(crate) slots: Slots,
    pub(crate) layers: Layers,
    support_limit: usize,
    /// By page: its random priority, drawn when it enters the support.
    priority: Vec<u64>,
    rng: ChaCha8Rng,
    /// The cached pages in layer order; computed on a miss.
    sorted: Vec<PageId>,
}

impl Core {
    pub(crate) fn new(capacity: usize, support_factor: usize, seed: &SeedTree) -> Self {
        Self {
            slots: Slots::new(capacity),
            layers: Layers::new(capacity),
            support_limit: capacity.saturating_mul(support_factor).max(capacity + 1),
            priority: Vec::new(),
            rng: seed.child("online min").rng(),
            sorted: Vec::new(),
        }
    }

    /// Updates the layers by one request and fills an empty slot. On a miss in a full cache, returns
    /// the eviction candidates, one of which the caller must evict.
    pub(crate) fn advance(&mut self, page: PageId) -> Option<Miss> {
        let resident = self.slots.contains(page);
        let rank = self.layers.rank(page);
        // A page that (re)enters the support gets a new priority.
        if rank.is_none() {
            self.draw_priority(page);
        }
        let full = self.slots.len() == self.slots.capacity();
        if resident || !full {
            self.layers.request(page);
            if !resident {
                self.slots.fill_empty(page);
            }
            return None;
        }
        if self.slots.capacity() == 0 {
            return None;
        }
        // At its limit the support does not grow: the first layer is dropped, which bounds memory.
        let forgive = rank.is_none() && self.layers.support() >= self.support_limit;
        let candidates = match rank {
            // A page outside the support: any cached page may be the victim, since the optimum misses.
            None if !forgive => {
                self.sort_by_layer();
                self.slots.capacity()
            }
            // A page of the support: only pages up to the boundary may be evicted, so that the cache
            // stays a possible optimal one. Layers are taken as of before the request.
            rank => {
                self.sort_by_layer();
                self.boundary(rank.unwrap_or(0))
            }
        };
        if forgive {
            self.layers.forgive(page);
        } else {
            self.layers.request(page);
        }
        Some(Miss {
            outside: rank.is_none() && !forgive,
            candidates,
        })
    }

    /// The page of minimum priority among the candidates.
    pub(crate) fn minimum(&self, candidates: usize) -> PageId {
        self.candidates(candidates)
            .iter()
            .copied()
            .min_by_key(|&page| self.priority[page as usize])
            .unwrap_or(0)
    }

    /// The first `count` cached pages in layer order, as of before the request.
    pub(crate) fn candidates(&self, count: usize) -> &[PageId] {
        &self.sorted[..count.min(self.sorted.len())]
    }

    pub(crate) fn replace(&mut self, victim: PageId, page: PageId, evicted: &mut Vec<PageId>) {
        if let Some(slot) = self.slots.find(victim) {
            self.slots.replace(slot, page, evicted);
        }
    }

    /// Minimum j > rank such that the j-th cached page, counted from 1, is in the j-th layer: the
    /// first j cached pages exhaust the capacity of layers 1..j.
    fn boundary(&self, rank: usize) -> usize {
        (rank + 1..=self.sorted.len())
            .find(|&j| self.layers.rank(self.sorted[j - 1]) == Some(j - 1))
            .unwrap_or(self.sorted.len())
    }

    fn sort_by_layer(&mut self) {
        let mut sorted = std::mem::take(&mut self.sorted);
        sorted.clear();
        sorted.extend(self.slots.pages());
        sorted.sort_by_key(|&page| self.layers.rank(page));
        self.sorted = sorted;
    }

    fn draw_priority(&mut self, page: PageId) {
        let index = page as usize;
        if index >= self.priority.len() {
            self.priority.resize((index + 1).next_power_of_two(), 0);
        }
        self.priority[index] = self.rng.random();
    }
}
