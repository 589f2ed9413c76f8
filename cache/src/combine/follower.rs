//! Lazily following another cache.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::policy::page_set::PageSet;
use crate::request::PageId;

/// Which page to evict first among those that the followed cache does not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EvictionOrder {
    /// The earliest inserted, as in the reference code of the study.
    #[default]
    Insertion,
    /// The least recently requested.
    Recency,
}

/// A real cache that imitates a virtual one with at most one eviction per miss: it changes only
/// on a miss, and then evicts a page that the virtual cache does not hold. O(log k) amortized.
///
/// While it follows one virtual cache, its misses are at most those of the virtual cache plus the
/// number of pages of the virtual cache that were absent when it began to follow.
///
/// Eviction candidates are maintained for every virtual cache, followed or not, so that switching is
/// free.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    capacity: usize,
    order: EvictionOrder,
    resident: PageSet,
    len: usize,
    /// By page: time of insertion or, for [`EvictionOrder::Recency`], of the last request.
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
    /// The heap must be rebuilt before use.
    stale: bool,
}

impl Follower {
    /// A real cache that follows one of `virtual_caches` caches at a time.
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

    #[inline]
    pub(crate) fn contains(&self, page: PageId) -> bool {
        self.resident.contains(page)
    }

    /// Must be called after replacing a virtual cache.
    pub(crate) fn reset(&mut self, virtual_cache: usize) {
        self.candidates[virtual_cache].stale = true;
    }

    /// Must be called when a virtual cache evicts a page.
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

    /// Serves a request and returns whether it hits. `holds(v, page)` returns whether virtual cache
    /// `v` holds the page after this request. The page is not admitted if the followed cache holds
    /// every resident but not the page itself.
    #[inline]
    pub(crate) fn serve(
        &mut self,
        page: PageId,
        followed: usize,
        holds: impl Fn(usize, PageId) -> bool,
        evicted: &mut Vec<PageId>,
    ) -> bool {
        if self.resident.contains(page) {
            // The stamp changed, which outdates the page's heap entries: push new ones.
            if self.order == EvictionOrder::Recency {
                self.stamp(page);
                self.consider(page, &holds);
            }
            return true;
        }
        if self.len == self.capacity {
            // The followed cache holds every resident, but not the requested page: it bypasses.
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

    /// Makes a resident an eviction candidate for every virtual cache that does not hold it.
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
        // Rebuild the heap from the residents that the virtual cache does not hold.
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
        // Lazy deletion: skip entries of evicted, restamped, or re-cached pages.
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
