//! Lazily following another cache.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

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
/// on a miss, and then evicts a page that the virtual cache does not hold. O(log k) amortised.
///
/// While it follows one virtual cache, its misses are at most those of the virtual cache plus the
/// number of pages of the virtual cache that were absent when it began to follow.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    capacity: usize,
    order: EvictionOrder,
    /// By page: when it was inserted (or requested last), from 1; 0 when it is not resident.
    stamp_of: Vec<u64>,
    clock: u64,
    /// Residents that the followed cache does not hold, oldest first. An entry whose stamp is
    /// outdated, or whose page the followed cache holds again, is dropped when it surfaces.
    candidates: BinaryHeap<Reverse<(u64, PageId)>>,
    /// The candidates belong to a cache that is followed no longer.
    stale: bool,
    resident: Vec<PageId>,
    index_of: Vec<u32>,
}

impl Follower {
    pub(crate) fn new(capacity: usize, order: EvictionOrder) -> Self {
        Self {
            capacity,
            order,
            stamp_of: Vec::new(),
            clock: 0,
            candidates: BinaryHeap::new(),
            stale: false,
            resident: Vec::new(),
            index_of: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn contains(&self, page: PageId) -> bool {
        self.stamp_of
            .get(page as usize)
            .is_some_and(|&stamp| stamp != 0)
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Another cache is followed from now on.
    pub(crate) fn switch(&mut self) {
        self.stale = true;
    }

    /// The followed cache dropped this page.
    #[inline]
    pub(crate) fn note_virtual_eviction(&mut self, page: PageId) {
        if !self.stale && self.contains(page) {
            self.candidates
                .push(Reverse((self.stamp_of[page as usize], page)));
            if self.candidates.len() > 4 * self.capacity + 64 {
                self.stale = true;
            }
        }
    }

    /// Serves a request and says whether it was a hit. `followed` tells which pages the followed
    /// cache holds after this request. A page that the followed cache holds not, while it holds
    /// all the others of this cache, is not admitted.
    #[inline]
    pub(crate) fn serve(
        &mut self,
        page: PageId,
        followed: impl Fn(PageId) -> bool,
        evicted: &mut Vec<PageId>,
    ) -> bool {
        if self.contains(page) {
            if self.order == EvictionOrder::Recency {
                self.stamp(page);
                if !self.stale && !followed(page) {
                    self.note_virtual_eviction(page);
                }
            }
            return true;
        }
        if self.resident.len() == self.capacity {
            if self.stale {
                self.collect(&followed);
            }
            let Some(victim) = self.pop(&followed) else {
                return false;
            };
            self.remove(victim);
            evicted.push(victim);
        }
        self.insert(page);
        if !self.stale && !followed(page) {
            self.note_virtual_eviction(page);
        }
        false
    }

    fn pop(&mut self, followed: &impl Fn(PageId) -> bool) -> Option<PageId> {
        while let Some(Reverse((stamp, page))) = self.candidates.pop() {
            if self.stamp_of[page as usize] == stamp && !followed(page) {
                return Some(page);
            }
        }
        None
    }

    fn collect(&mut self, followed: &impl Fn(PageId) -> bool) {
        let stamp_of = &self.stamp_of;
        self.candidates.clear();
        self.candidates.extend(
            self.resident
                .iter()
                .filter(|&&page| !followed(page))
                .map(|&page| Reverse((stamp_of[page as usize], page))),
        );
        self.stale = false;
    }

    fn stamp(&mut self, page: PageId) {
        self.clock += 1;
        self.stamp_of[page as usize] = self.clock;
    }

    fn insert(&mut self, page: PageId) {
        let index = page as usize;
        if index >= self.stamp_of.len() {
            let len = (index + 1).next_power_of_two();
            self.stamp_of.resize(len, 0);
            self.index_of.resize(len, 0);
        }
        self.stamp(page);
        self.index_of[index] = self.resident.len() as u32;
        self.resident.push(page);
    }

    fn remove(&mut self, page: PageId) {
        let index = self.index_of[page as usize] as usize;
        self.stamp_of[page as usize] = 0;
        self.resident.swap_remove(index);
        if let Some(&moved) = self.resident.get(index) {
            self.index_of[moved as usize] = index as u32;
        }
    }
}
