//! Lazily following another cache.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::policy::page_set::PageSet;
use crate::request::PageId;

/// Which of the pages that the followed cache does not hold is evicted first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum EvictionOrder {
    /// The one inserted the longest ago; the reference code of the study does this.
    #[default]
    Insertion,
    /// The one requested the longest ago.
    Recency,
}

/// A real cache that imitates a virtual one at no more than one eviction a miss: it changes only
/// on a miss, and then evicts a page that the virtual cache does not hold. O(log k) amortized.
///
/// While it follows one virtual cache, its misses are at most those of the virtual cache plus the
/// number of pages of the virtual cache that were absent when it began to follow.
///
/// Candidates for eviction are kept for each virtual cache, also for those not followed now, so
/// that changing over costs nothing.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    capacity: usize,
    order: EvictionOrder,
    resident: PageSet,
    len: usize,
    /// By page: when it was inserted (or requested last).
    stamp_of: Vec<u32>,
    clock: u32,
    /// By virtual cache.
    candidates: Vec<Candidates>,
}

/// Residents that a virtual cache does not hold, oldest first. An entry whose stamp is outdated, or
/// whose page the virtual cache holds again, is dropped when it surfaces.
#[derive(Clone, Debug, Default)]
struct Candidates {
    heap: BinaryHeap<Reverse<(u32, PageId)>>,
    /// The heap must be made anew before it is used.
    stale: bool,
}

impl Follower {
    /// A real cache that follows one of this many virtual caches at a time.
    pub(crate) fn new(capacity: usize, order: EvictionOrder, virtual_caches: usize) -> Self {
        Self {
            capacity,
            order,
            resident: PageSet::default(),
            len: 0,
            stamp_of: Vec::new(),
            clock: 0,
            candidates: vec![Candidates::default(); virtual_caches],
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    #[inline]
    pub(crate) fn contains(&self, page: PageId) -> bool {
        self.resident.contains(page)
    }

    /// A virtual cache has become another one.
    pub(crate) fn reset(&mut self, virtual_cache: usize) {
        self.candidates[virtual_cache].stale = true;
    }

    /// A virtual cache dropped this page.
    #[inline]
    pub(crate) fn note_virtual_eviction(&mut self, virtual_cache: usize, page: PageId) {
        let candidates = &mut self.candidates[virtual_cache];
        if !candidates.stale && self.resident.contains(page) {
            candidates
                .heap
                .push(Reverse((self.stamp_of[page as usize], page)));
            // Mostly outdated entries: the candidates are residents, of which there are fewer.
            candidates.stale = candidates.heap.len() > 4 * self.capacity + 64;
        }
    }

    /// Serves a request and says whether it was a hit. `holds` tells which pages a virtual cache
    /// holds after this request. A page that the followed cache does not hold, while it holds all
    /// the others of this cache, is not admitted.
    #[inline]
    pub(crate) fn serve(
        &mut self,
        page: PageId,
        followed: usize,
        holds: impl Fn(usize, PageId) -> bool,
        evicted: &mut Vec<PageId>,
    ) -> bool {
        if self.resident.contains(page) {
            if self.order == EvictionOrder::Recency {
                self.stamp(page);
                self.consider(page, &holds);
            }
            return true;
        }
        if self.len == self.capacity {
            let Some(victim) = self.pop(followed, &holds) else {
                return false;
            };
            self.resident.remove(victim);
            self.len -= 1;
            evicted.push(victim);
        }
        self.resident.insert(page);
        self.len += 1;
        self.stamp(page);
        self.consider(page, &holds);
        false
    }

    /// Makes a resident a candidate wherever it is not held.
    fn consider(&mut self, page: PageId, holds: &impl Fn(usize, PageId) -> bool) {
        for virtual_cache in 0..self.candidates.len() {
            if !holds(virtual_cache, page) {
                self.note_virtual_eviction(virtual_cache, page);
            }
        }
    }

    fn pop(
        &mut self,
        virtual_cache: usize,
        holds: &impl Fn(usize, PageId) -> bool,
    ) -> Option<PageId> {
        let candidates = &mut self.candidates[virtual_cache];
        if candidates.stale {
            candidates.stale = false;
            candidates.heap.clear();
            candidates.heap.extend(
                self.resident
                    .iter()
                    .filter(|&page| !holds(virtual_cache, page))
                    .map(|page| Reverse((self.stamp_of[page as usize], page))),
            );
        }
        while let Some(Reverse((stamp, page))) = candidates.heap.pop() {
            if self.resident.contains(page)
                && self.stamp_of[page as usize] == stamp
                && !holds(virtual_cache, page)
            {
                return Some(page);
            }
        }
        None
    }

    fn stamp(&mut self, page: PageId) {
        let index = page as usize;
        if index >= self.stamp_of.len() {
            self.stamp_of.resize((index + 1).next_power_of_two(), 0);
        }
        self.clock += 1;
        self.stamp_of[index] = self.clock;
    }
}
