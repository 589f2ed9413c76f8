//! F&R: follow the predicted cache while it is no worse than the offline optimum so far.

use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;

use super::follow_prediction::FollowPrediction;
use crate::combine::{EvictionOrder, Follower};
use crate::policy::layers::Layers;
use crate::policy::page_set::PageSet;
use crate::policy::slots::{SlotSet, Slots};
use crate::policy::{Needs, Policy};
use crate::request::{PageId, Request};

/// Indices of the virtual caches that the real one follows.
const PREDICTED: usize = 0;
const ROBUST: usize = 1;

/// F&R (Abdel Sadek and Elias, 2024). In *follow* mode the cache lazily follows a predicted cache,
/// that of `FtP`, as long as the predicted cache has no more misses than the offline optimum on the
/// requests since the mode began. Then one *robust* phase of k distinct pages follows: it starts from
/// the k most recent pages, evicts unrequested pages uniformly at random, and at the arrivals
/// k - floor(k / 2^i) + 1 reloads unrequested pages that the predicted cache holds. Optimal with
/// perfect predictions; O(log k) queries of the predicted cache per robust phase. Worst-case time
/// O(k) per request.
#[derive(Clone, Debug)]
pub struct FollowAndRobust {
    capacity: usize,
    predicted: FollowPrediction,
    predicted_misses: u64,
    /// The work function since the mode began: the offline optimum on these requests.
    past: Layers,
    past_misses: u64,
    recent: Recent,
    robust: Option<RobustPhase>,
    follower: Follower,
    rng: ChaCha8Rng,
    virtual_evictions: Vec<PageId>,
}

impl FollowAndRobust {
    /// An empty cache of `capacity` slots.
    #[must_use]
    pub fn new(capacity: usize, seed: &SeedTree) -> Self {
        Self {
            capacity,
            predicted: FollowPrediction::new(capacity),
            predicted_misses: 0,
            past: Layers::new(capacity),
            past_misses: 0,
            recent: Recent::new(capacity),
            robust: None,
            follower: Follower::new(capacity, EvictionOrder::Recency, 2),
            rng: seed.child("follow and robust").rng(),
            virtual_evictions: Vec::new(),
        }
    }

    fn follow(&mut self, predicted_hit: bool, page: PageId) {
        self.predicted_misses += u64::from(!predicted_hit);
        self.past_misses += u64::from(self.past.request(page));
        // The predicted cache has fallen behind the optimum: start a robust phase from the most recent
        // pages. Its virtual cache is new, so the follower's candidates are rebuilt.
        if self.predicted_misses > self.past_misses {
            self.robust = Some(RobustPhase::new(self.capacity, &self.recent.pages));
            self.follower.reset(ROBUST);
        }
    }

    fn begin_to_follow(&mut self) {
        // A new follow mode starts with the predicted cache as the optimum's initial cache.
        self.predicted_misses = 0;
        self.past_misses = 0;
        self.past = Layers::new(self.capacity);
        for page in self.predicted.pages() {
            self.past.request(page);
        }
        self.robust = None;
    }
}

impl Policy for FollowAndRobust {
    fn name(&self) -> String {
        "F&R".into()
    }

    fn needs(&self) -> Needs {
        Needs::PREDICTED_PAGING
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        // 1. End a robust phase at the first request of its (k + 1)-th distinct page.
        let page = request.page;
        if self
            .robust
            .as_ref()
            .is_some_and(|phase| phase.ends_before(page))
        {
            self.begin_to_follow();
        }
        // 2. Advance the predicted cache in both modes.
        self.virtual_evictions.clear();
        let predicted_hit = self.predicted.access(request, &mut self.virtual_evictions);
        for page in self.virtual_evictions.drain(..) {
            self.follower.note_virtual_eviction(PREDICTED, page);
        }
        // 3. In follow mode, compare with the optimum, which may start a robust phase.
        if self.robust.is_none() {
            self.follow(predicted_hit, page);
        }
        // 4. In a robust phase, advance its virtual cache.
        if let Some(phase) = &mut self.robust {
            phase.access(
                page,
                &self.predicted,
                &mut self.rng,
                &mut self.virtual_evictions,
            );
            for page in self.virtual_evictions.drain(..) {
                self.follower.note_virtual_eviction(ROBUST, page);
            }
        }
        // 5. Serve the request by the real cache, which follows the cache of the current mode.
        self.recent.touch(page);
        let (predicted, robust) = (&self.predicted, &self.robust);
        let holds = |virtual_cache, page| match virtual_cache {
            PREDICTED => predicted.contains(page),
            // Between two phases there is nothing to be a candidate for.
            _ => robust
                .as_ref()
                .is_none_or(|phase| phase.cache.contains(page)),
        };
        let followed = if robust.is_some() { ROBUST } else { PREDICTED };
        self.follower.serve(page, followed, holds, evicted)
    }

    fn contains(&self, page: PageId) -> bool {
        self.follower.contains(page)
    }
}

/// The k most recently requested pages, oldest first.
#[derive(Clone, Debug)]
struct Recent {
    capacity: usize,
    pages: Vec<PageId>,
}

impl Recent {
    fn new(capacity: usize) -> Self {
        Self {
            capacity,
            pages: Vec::new(),
        }
    }

    fn touch(&mut self, page: PageId) {
        if let Some(index) = self.pages.iter().rposition(|&other| other == page) {
            self.pages.remove(index);
        } else if self.pages.len() == self.capacity && self.capacity > 0 {
            self.pages.remove(0);
        }
        self.pages.push(page);
    }
}

/// One robust phase.
#[derive(Clone, Debug)]
struct RobustPhase {
    /// The virtual cache of this mode.
    cache: Slots,
    untouched: SlotSet,
    requested: PageSet,
    arrivals: usize,
    /// The pages at the start of the phase.
    initial: Vec<PageId>,
}

impl RobustPhase {
    fn new(capacity: usize, initial: &[PageId]) -> Self {
        let mut cache = Slots::new(capacity);
        let mut untouched = SlotSet::default();
        for &page in initial {
            if let Some(slot) = cache.fill_empty(page) {
                untouched.insert(slot);
            }
        }
        Self {
            cache,
            untouched,
            requested: PageSet::default(),
            arrivals: 0,
            initial: initial.to_vec(),
        }
    }

    /// Whether this request begins the next phase.
    fn ends_before(&self, page: PageId) -> bool {
        self.arrivals >= self.cache.capacity() && !self.requested.contains(page)
    }

    fn access(
        &mut self,
        page: PageId,
        predicted: &FollowPrediction,
        rng: &mut ChaCha8Rng,
        evicted: &mut Vec<PageId>,
    ) {
        let arrived = self.requested.insert(page);
        self.arrivals += usize::from(arrived);
        // As in Marker: requested pages are protected, victims are drawn from the others.
        match self.cache.find(page) {
            Some(slot) => self.untouched.remove(slot),
            None => {
                if self.cache.fill_empty(page).is_none()
                    && let Some(slot) = self.untouched.draw(rng)
                {
                    self.cache.replace(slot, page, evicted);
                    self.untouched.remove(slot);
                }
            }
        }
        if arrived && self.is_reload_arrival() {
            self.reload(predicted, evicted);
        }
    }

    /// The arrivals k - floor(k / 2^i) + 1 for i = 0, 1, ..
    fn is_reload_arrival(&self) -> bool {
        let capacity = self.cache.capacity();
        let rest = (capacity + 1).saturating_sub(self.arrivals);
        (0..=capacity.max(1).ilog2()).any(|i| capacity >> i == rest)
    }

    /// Replaces unrequested pages that the predicted cache does not hold by unrequested pages that it
    /// holds.
    fn reload(&mut self, predicted: &FollowPrediction, evicted: &mut Vec<PageId>) {
        let mut wanted = self.initial.iter().copied().filter(|&page| {
            predicted.contains(page) && !self.requested.contains(page) && !self.cache.contains(page)
        });
        let unwanted: Vec<u32> = self
            .untouched
            .iter()
            .filter(|&slot| {
                self.cache
                    .page(slot)
                    .is_some_and(|page| !predicted.contains(page))
            })
            .collect();
        let exchanges: Vec<(u32, PageId)> = unwanted.into_iter().zip(wanted.by_ref()).collect();
        for (slot, page) in exchanges {
            self.cache.replace(slot, page, evicted);
        }
    }
}
