//! OnlineMin: the optimal randomized competitive ratio, without predictions.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;

use super::layers::Layers;
use super::slots::Slots;
use super::{Needs, Policy};
use crate::request::{PageId, Request};

/// OnlineMin (Brodal, Moruz, Negoescu): H_k-competitive paging, the best possible. The cache is
/// always one that an optimal algorithm may have, drawn by random priorities. O(k log k) a miss.
///
/// The support (the pages that the optimum may hold) is capped at `support_factor` times k; a new
/// page at the cap makes the algorithm forget the oldest layer.
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
    /// The page was outside the support, and no layer had to be forgotten.
    pub(crate) outside: bool,
    /// The victim is one of the first pages of the cache in the order of layers: this many.
    pub(crate) candidates: usize,
}

/// The state that OnlineMin shares with its learning-augmented form.
#[derive(Clone, Debug)]
pub(crate) struct Core {
    pub(crate) slots: Slots,
    pub(crate) layers: Layers,
    support_limit: usize,
    /// By page, drawn when it enters the support.
    priority: Vec<u64>,
    rng: ChaCha8Rng,
    /// The cached pages in the order of their layers, made on a miss.
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

    /// Moves the layers on by one request. On a miss in a full cache it says which pages may go;
    /// the caller evicts one of them. An empty slot is filled here.
    pub(crate) fn advance(&mut self, page: PageId) -> Option<Miss> {
        let resident = self.slots.contains(page);
        let rank = self.layers.rank(page);
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
        let forgive = rank.is_none() && self.layers.support() >= self.support_limit;
        let candidates = match rank {
            None if !forgive => {
                self.sort_by_layer();
                self.slots.capacity()
            }
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

    /// The page of least priority among the first pages in the order of layers.
    pub(crate) fn minimum(&self, candidates: usize) -> PageId {
        self.candidates(candidates)
            .iter()
            .copied()
            .min_by_key(|&page| self.priority[page as usize])
            .unwrap_or(0)
    }

    /// The first pages of the cache in the order of layers, as they were before the request.
    pub(crate) fn candidates(&self, count: usize) -> &[PageId] {
        &self.sorted[..count.min(self.sorted.len())]
    }

    pub(crate) fn replace(&mut self, victim: PageId, page: PageId, evicted: &mut Vec<PageId>) {
        if let Some(slot) = self.slots.find(victim) {
            self.slots.replace(slot, page, evicted);
        }
    }

    /// Smallest j > rank such that the j-th cached page, counted from 1, is in the j-th layer: the
    /// first j pages of the cache use up what layers 1..j may hold.
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
