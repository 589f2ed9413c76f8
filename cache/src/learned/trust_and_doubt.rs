//! Trust&Doubt: cache-state predictions, trusted for growing intervals.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;

use super::follow_prediction::FollowPrediction;
use crate::combine::{EvictionOrder, Follower};
use crate::policy::page_set::PageSet;
use crate::policy::slots::Slots;
use crate::policy::{Needs, Policy};
use crate::request::{PageId, Request};

/// Whether a new charge restarts the interval of doubt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntervalStart {
    /// The interval restarts, as in the corrected version of 2022.
    #[default]
    Restarted,
    /// The interval continues, as in the code of the 2021 study.
    Kept,
}

/// Trust&Doubt (Antoniadis et al., ICML 2020) on the predicted cache of `FtP`. Each clean page of a
/// phase charges one page that the predicted cache does not hold. A trusted charge keeps its page out
/// of the cache; a request of the page makes the charge doubted, for an interval that doubles each
/// time. The real cache lazily follows this virtual one. O(k) per miss and clean page of the phase.
///
/// A charged page is evicted immediately, not at the end of its first interval: on BrightKite with
/// perfect predictions this gives 1.190 times the optimum, as published; the other order gives 1.246.
#[derive(Clone, Debug)]
pub struct TrustAndDoubt {
    capacity: usize,
    interval_start: IntervalStart,
    predicted: FollowPrediction,
    cache: Slots,
    follower: Follower,
    /// By page: time of its last request, from 1.
    last_request: Vec<u32>,
    clock: u32,
    /// Pages cached at the start of the phase that the previous phase did not request.
    ancient: Vec<PageId>,
    /// Pages cached at the start of the phase that the previous phase requested.
    stale: PageSet,
    stale_pages: Vec<PageId>,
    /// Stale pages not requested in this phase, in ascending order of random priority.
    unmarked: Vec<PageId>,
    marked: PageSet,
    marked_pages: Vec<PageId>,
    clean: Vec<Clean>,
    rng: ChaCha8Rng,
    virtual_evictions: Vec<PageId>,
}

/// A clean page of the phase.
#[derive(Clone, Copy, Debug)]
struct Clean {
    charged: Option<PageId>,
    trusted: bool,
    interval: usize,
    started: usize,
}

impl TrustAndDoubt {
    /// An empty cache of `capacity` slots.
    #[must_use]
    pub fn new(capacity: usize, interval_start: IntervalStart, seed: &SeedTree) -> Self {
        Self {
            capacity,
            interval_start,
            predicted: FollowPrediction::new(capacity),
            cache: Slots::new(capacity),
            follower: Follower::new(capacity, EvictionOrder::Recency, 1),
            last_request: Vec::new(),
            clock: 0,
            ancient: Vec::new(),
            stale: PageSet::default(),
            stale_pages: Vec::new(),
            unmarked: Vec::new(),
            marked: PageSet::default(),
            marked_pages: Vec::new(),
            clean: Vec::new(),
            rng: seed.child("trust and doubt").rng(),
            virtual_evictions: Vec::new(),
        }
    }

    fn note_request(&mut self, page: PageId) {
        let index = page as usize;
        if index >= self.last_request.len() {
            self.last_request.resize((index + 1).next_power_of_two(), 0);
        }
        self.clock += 1;
        self.last_request[index] = self.clock;
    }

    fn begin_phase(&mut self) {
        // Pages marked in the phase that ends become stale, the other cached ones ancient.
        for page in self.stale_pages.drain(..) {
            self.stale.remove(page);
        }
        self.ancient.clear();
        for page in self.cache.pages() {
            if self.marked.contains(page) {
                self.stale.insert(page);
                self.stale_pages.push(page);
            } else {
                self.ancient.push(page);
            }
        }
        for page in self.marked_pages.drain(..) {
            self.marked.remove(page);
        }
        // The shuffled order is the random priority of the stale pages.
        self.unmarked.clone_from(&self.stale_pages);
        self.unmarked.shuffle(&mut self.rng);
        self.clean.clear();
    }

    /// One step of the virtual cache.
    fn step(&mut self, page: PageId, evicted: &mut Vec<PageId>) {
        // 1. Mark the page; the (k + 1)-th distinct page begins a new phase.
        let first_arrival = !self.marked.contains(page);
        if first_arrival && self.marked_pages.len() >= self.capacity {
            self.begin_phase();
        }
        if first_arrival {
            self.marked.insert(page);
            self.marked_pages.push(page);
            self.unmarked.retain(|&other| other != page);
        }
        // 2. While ancient pages remain, they are the victims, and nothing is charged.
        if !self.ancient.is_empty() {
            self.step_with_ancient(page, evicted);
            return;
        }
        // 3. Make the requested page resident.
        if !self.cache.contains(page) && self.cache.fill_empty(page).is_none() {
            self.replace_unmarked(page, evicted);
        }
        // 4. A clean page charges a page that the predicted cache does not hold.
        if first_arrival && !self.stale.contains(page) {
            let charged = self.choose_charge();
            self.clean.push(Clean {
                charged,
                trusted: true,
                interval: 1,
                started: self.marked_pages.len(),
            });
            self.evict_charged(self.clean.len() - 1, evicted);
        }
        // 5. A request of a charged page casts doubt on its charge; arrivals end intervals.
        self.doubt(page);
        if first_arrival {
            self.end_intervals(evicted);
        }
    }

    fn step_with_ancient(&mut self, page: PageId, evicted: &mut Vec<PageId>) {
        if let Some(index) = self.ancient.iter().position(|&other| other == page) {
            self.ancient.remove(index);
        }
        if self.cache.contains(page) || self.cache.fill_empty(page).is_some() {
            return;
        }
        // Prefer pages that the predicted cache does not hold; break ties by least recency.
        let choice = (0..self.ancient.len()).min_by_key(|&index| {
            let page = self.ancient[index];
            (
                self.predicted.contains(page),
                self.last_request[page as usize],
            )
        });
        if let Some(index) = choice {
            let victim = self.ancient.remove(index);
            self.exchange(victim, page, evicted);
        }
    }

    fn replace_unmarked(&mut self, page: PageId, evicted: &mut Vec<PageId>) {
        // The cached unmarked page of lowest priority, or the least recent page if all are marked.
        let lowest = self
            .unmarked
            .iter()
            .copied()
            .find(|&other| self.cache.contains(other));
        let victim = lowest.or_else(|| {
            self.cache
                .pages()
                .min_by_key(|&other| self.last_request[other as usize])
        });
        if let Some(victim) = victim {
            self.exchange(victim, page, evicted);
        }
    }

    fn exchange(&mut self, victim: PageId, page: PageId, evicted: &mut Vec<PageId>) {
        if let Some(slot) = self.cache.find(victim) {
            self.cache.replace(slot, page, evicted);
        }
    }

    /// The least recent page of this or the previous phase that is neither in the predicted cache
    /// nor charged by another clean page.
    fn choose_charge(&self) -> Option<PageId> {
        if self.cache.len() < self.capacity {
            return None;
        }
        self.unmarked
            .iter()
            .chain(&self.marked_pages)
            .copied()
            .filter(|&page| {
                !self.predicted.contains(page)
                    && self.clean.iter().all(|clean| clean.charged != Some(page))
            })
            .min_by_key(|&page| self.last_request[page as usize])
    }

    /// A request of a charged page refutes the charge: it moves to another page and is doubted.
    fn doubt(&mut self, page: PageId) {
        for index in 0..self.clean.len() {
            if self.clean[index].charged == Some(page) {
                let charged = self.choose_charge();
                let clean = &mut self.clean[index];
                clean.charged = charged;
                clean.trusted = false;
                if self.interval_start == IntervalStart::Restarted {
                    clean.started = self.marked_pages.len();
                }
            }
        }
    }

    /// Processes the intervals that end now: a doubted charge becomes trusted, for twice as long.
    fn end_intervals(&mut self, evicted: &mut Vec<PageId>) {
        let arrivals = self.marked_pages.len();
        for index in 0..self.clean.len() {
            let clean = &mut self.clean[index];
            if arrivals - clean.started != clean.interval {
                continue;
            }
            clean.started = arrivals;
            if !clean.trusted {
                clean.interval *= 2;
                clean.trusted = true;
            }
            self.evict_charged(index, evicted);
        }
    }

    /// Replaces a cached charged page by the absent unmarked page of highest priority.
    fn evict_charged(&mut self, index: usize, evicted: &mut Vec<PageId>) {
        let Some(charged) = self.clean[index].charged else {
            return;
        };
        if !self.cache.contains(charged) {
            return;
        }
        // Pages with a trusted charge must stay out, so they are not reloaded.
        let trusted_charge = |page| {
            self.clean
                .iter()
                .any(|clean| clean.trusted && clean.charged == Some(page))
        };
        let reload = self
            .unmarked
            .iter()
            .rev()
            .copied()
            .find(|&page| !self.cache.contains(page) && !trusted_charge(page));
        if let Some(page) = reload {
            self.exchange(charged, page, evicted);
        }
    }
}

impl Policy for TrustAndDoubt {
    fn name(&self) -> String {
        "Trust&Doubt".into()
    }

    fn needs(&self) -> Needs {
        Needs::PREDICTED_PAGING
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        let page = request.page;
        let mut virtual_evictions = std::mem::take(&mut self.virtual_evictions);
        virtual_evictions.clear();
        // Advance the predicted cache, then the virtual cache of the algorithm; the real cache follows
        // the latter.
        self.predicted.access(request, &mut virtual_evictions);
        virtual_evictions.clear();
        self.note_request(page);
        self.step(page, &mut virtual_evictions);
        for &page in &virtual_evictions {
            self.follower.note_virtual_eviction(0, page);
        }
        self.virtual_evictions = virtual_evictions;
        let cache = &self.cache;
        self.follower
            .serve(page, 0, |_, page| cache.contains(page), evicted)
    }

    fn contains(&self, page: PageId) -> bool {
        self.follower.contains(page)
    }
}
