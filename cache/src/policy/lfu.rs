//! Least frequently used.

use super::Policy;
use super::table::{List, Slot, Table};
use crate::request::{PageId, Request};

/// No bucket.
const NONE: u32 = u32::MAX;

/// Least frequently used: evicts the object with the fewest requests since its admission. Ties are
/// broken by least recency. O(1).
#[derive(Clone, Debug)]
pub struct Lfu {
    capacity: u64,
    order: FrequencyOrder,
}

impl Lfu {
    /// An empty cache.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self {
            capacity,
            order: FrequencyOrder::default(),
        }
    }
}

impl Policy for Lfu {
    fn name(&self) -> String {
        "LFU".into()
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        if self.order.touch(request.page) {
            return true;
        }
        let size = u64::from(request.size);
        if size > self.capacity {
            return false;
        }
        while self.order.size() + size > self.capacity {
            let Some(victim) = self.order.least_frequent() else {
                break;
            };
            self.order.remove(victim);
            evicted.push(victim);
        }
        self.order.insert(request.page, request.size);
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.order.contains(page)
    }
}

/// Objects ordered by number of requests, then by recency, in O(1): a linked list of buckets, one for
/// each occurring frequency, each with a list of objects.
#[derive(Clone, Debug)]
pub(super) struct FrequencyOrder {
    /// Data: index of the object's bucket.
    table: Table<u32>,
    buckets: Vec<Bucket>,
    free: Vec<u32>,
    lowest: u32,
    size: u64,
}

#[derive(Clone, Debug, Default)]
struct Bucket {
    frequency: u64,
    objects: List,
    higher: u32,
    lower: u32,
}

impl Default for FrequencyOrder {
    fn default() -> Self {
        Self {
            table: Table::default(),
            buckets: Vec::new(),
            free: Vec::new(),
            lowest: NONE,
            size: 0,
        }
    }
}

impl FrequencyOrder {
    pub(super) fn contains(&self, page: PageId) -> bool {
        self.table.find(page).is_some()
    }

    /// Sum of the sizes of the objects.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The object with the fewest requests; the least recent one of several.
    pub(super) fn least_frequent(&self) -> Option<PageId> {
        let bucket = self.buckets.get(self.lowest as usize)?;
        let slot = bucket.objects.oldest()?;
        Some(self.table.get(slot).page)
    }

    /// Adds an absent object with one request.
    pub(super) fn insert(&mut self, page: PageId, size: u32) {
        let lowest = self.lowest;
        // Buckets are sorted by frequency, so a bucket of frequency 1 can only be the lowest.
        let bucket = match self.buckets.get(lowest as usize) {
            Some(bucket) if bucket.frequency == 1 => lowest,
            _ => self.new_bucket(1, NONE, lowest),
        };
        let slot = self.table.insert(page, size, bucket);
        self.table
            .push_newest(&mut self.buckets[bucket as usize].objects, slot);
        self.size += u64::from(size);
    }

    /// Counts a request of a present object; false if absent.
    pub(super) fn touch(&mut self, page: PageId) -> bool {
        let Some(slot) = self.table.find(page) else {
            return false;
        };
        let old = self.table.get(slot).data;
        // The bucket of the next frequency, if it exists, is the direct neighbor.
        let (frequency, higher) = {
            let bucket = &self.buckets[old as usize];
            (bucket.frequency + 1, bucket.higher)
        };
        let new = match self.buckets.get(higher as usize) {
            Some(bucket) if bucket.frequency == frequency => higher,
            _ => self.new_bucket(frequency, old, higher),
        };
        // The new bucket is linked before the old one may be released, so `higher` and `lower`
        // stay valid.
        self.unlink(slot);
        self.table.get_mut(slot).data = new;
        self.table
            .push_newest(&mut self.buckets[new as usize].objects, slot);
        true
    }

    /// Removes an object, if present.
    pub(super) fn remove(&mut self, page: PageId) {
        if let Some(slot) = self.table.find(page) {
            self.unlink(slot);
            self.size -= u64::from(self.table.get(slot).size);
            self.table.remove(slot);
        }
    }

    fn unlink(&mut self, slot: Slot) {
        let index = self.table.get(slot).data;
        let bucket = &mut self.buckets[index as usize];
        self.table.unlink(&mut bucket.objects, slot);
        // An empty bucket is released at once: `lowest` always has an object.
        if bucket.objects.is_empty() {
            let (lower, higher) = (bucket.lower, bucket.higher);
            self.connect(lower, higher);
            self.free.push(index);
        }
    }

    fn new_bucket(&mut self, frequency: u64, lower: u32, higher: u32) -> u32 {
        let bucket = Bucket {
            frequency,
            ..Bucket::default()
        };
        let index = match self.free.pop() {
            Some(index) => {
                self.buckets[index as usize] = bucket;
                index
            }
            None => {
                self.buckets.push(bucket);
                (self.buckets.len() - 1) as u32
            }
        };
        self.connect(lower, index);
        self.connect(index, higher);
        index
    }

    fn connect(&mut self, lower: u32, higher: u32) {
        match self.buckets.get_mut(lower as usize) {
            Some(bucket) => bucket.higher = higher,
            None => self.lowest = higher,
        }
        if let Some(bucket) = self.buckets.get_mut(higher as usize) {
            bucket.lower = lower;
        }
    }
}
