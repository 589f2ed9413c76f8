//! Segmented LRU.

use super::Policy;
use super::table::{List, Slot, Table};
use crate::request::{PageId, Request};

/// Segmented LRU (Karedla et al., 1994) with four segments of equal size: a hit promotes an object by
/// one segment, an overfull segment demotes its oldest objects, and eviction is from the lowest
/// segment. O(segments).
#[derive(Clone, Debug)]
pub struct SegmentedLru {
    capacity: u64,
    segments: Segments,
}

impl SegmentedLru {
    /// An empty cache with four equal segments.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        let quarter = (capacity / 4).max(1);
        Self {
            capacity,
            segments: Segments::new(vec![quarter; 4]),
        }
    }
}

impl Policy for SegmentedLru {
    fn name(&self) -> String {
        "SLRU".into()
    }

    #[inline]
    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        if let Some(slot) = self.segments.find(request.page) {
            self.segments.promote(slot, evicted);
            return true;
        }
        let size = u64::from(request.size);
        if size > self.capacity {
            return false;
        }
        while self.segments.size() + size > self.capacity {
            if !self.segments.evict(evicted) {
                break;
            }
        }
        self.segments.insert(request.page, request.size);
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.segments.find(page).is_some()
    }
}

/// LRU segments, lowest first. Their capacities control promotion and demotion; the caller limits the
/// total size.
#[derive(Clone, Debug)]
pub(super) struct Segments {
    /// Data: the object's segment.
    table: Table<u8>,
    lists: Vec<List>,
    capacities: Vec<u64>,
}

impl Segments {
    pub(super) fn new(capacities: Vec<u64>) -> Self {
        Self {
            table: Table::default(),
            lists: vec![List::default(); capacities.len()],
            capacities,
        }
    }

    #[inline]
    pub(super) fn find(&self, page: PageId) -> Option<Slot> {
        self.table.find(page)
    }

    /// Number of objects.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn size(&self) -> u64 {
        self.lists.iter().map(List::size).sum()
    }

    /// The next victim.
    pub(super) fn victim(&self) -> Option<PageId> {
        let slot = self.lists.iter().find_map(List::oldest)?;
        Some(self.table.get(slot).page)
    }

    /// Evicts the oldest object of the lowest nonempty segment.
    pub(super) fn evict(&mut self, evicted: &mut Vec<PageId>) -> bool {
        for list in &mut self.lists {
            if let Some(slot) = self.table.pop_oldest(list) {
                evicted.push(self.table.remove(slot));
                return true;
            }
        }
        false
    }

    /// Inserts a new object into the lowest segment with free capacity, or into the lowest.
    pub(super) fn insert(&mut self, page: PageId, size: u32) {
        let segment = (0..self.lists.len())
            .find(|&i| self.lists[i].size() + u64::from(size) <= self.capacities[i])
            .unwrap_or(0);
        let slot = self.table.insert(page, size, segment as u8);
        self.table.push_newest(&mut self.lists[segment], slot);
    }

    /// Promotes an object after a hit: to the newest end of the next segment.
    #[inline]
    pub(super) fn promote(&mut self, slot: Slot, evicted: &mut Vec<PageId>) {
        let segment = self.table.get(slot).data as usize;
        let above = segment + 1;
        if above == self.lists.len() {
            self.table.refresh(&mut self.lists[segment], slot);
            return;
        }
        self.table.unlink(&mut self.lists[segment], slot);
        self.table.get_mut(slot).data = above as u8;
        self.table.push_newest(&mut self.lists[above], slot);
        // Cascade: an overfull segment demotes its oldest objects, which may overfill the one below.
        let mut segment = above;
        while segment > 0 && self.lists[segment].size() > self.capacities[segment] {
            while self.lists[segment].size() > self.capacities[segment] {
                let Some(slot) = self.table.pop_oldest(&mut self.lists[segment]) else {
                    break;
                };
                self.table.get_mut(slot).data = (segment - 1) as u8;
                self.table.push_newest(&mut self.lists[segment - 1], slot);
            }
            segment -= 1;
        }
        // Only the lowest segment evicts, and only beyond the total: it may exceed its own share
        // while upper segments are not full.
        if segment == 0 {
            while self.lists[0].size() > self.capacities[0] && self.size() > self.total() {
                if !self.evict(evicted) {
                    break;
                }
            }
        }
    }

    fn total(&self) -> u64 {
        self.capacities.iter().sum()
    }
}
