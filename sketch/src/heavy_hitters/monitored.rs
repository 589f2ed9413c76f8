//! The counters of Misra-Gries and SpaceSaving: keys with counts, and which count is the least.

use std::borrow::Borrow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::index::Index;
use crate::error::SketchError;
use crate::key::Key;

/// One entry in so many is queued when the least ones are searched for.
const QUEUED: usize = 8;

/// How many counts are drawn to guess which ones are among the least.
const DRAWN: usize = 256;

/// Up to a fixed number of keys with counts that only grow.
///
/// The least count is found without a heap over all of them. A search passes once over the counts
/// and queues about the least eighth; hits do not touch the queue. An entry that leaves it with a
/// count that has grown in the meantime goes back, or out when the count has passed the largest one
/// that was queued. A search over `n` counts therefore serves `n / 8` replacements or outdated
/// entries, each of which is paid for by an update: constant time an update, apart from the order
/// in the queue.
#[derive(Clone, Debug)]
pub(super) struct Monitored<K> {
    seed: u64,
    capacity: usize,
    index: Index,
    keys: Vec<K>,
    counts: Vec<u64>,
    /// Entries of the last search with the counts that they had then, the least at the end.
    queue: Vec<(u64, u32)>,
    /// Entries that left the queue and are to be looked at again.
    returned: BinaryHeap<Reverse<(u64, u32)>>,
    /// Entries that are in neither have at least this count.
    searched_up_to: u64,
}

impl<K: Key + Eq> Monitored<K> {
    pub(super) fn new(
        argument: &'static str,
        capacity: usize,
        seed: u64,
    ) -> Result<Self, SketchError> {
        let index = Index::new(argument, capacity)?;
        Ok(Self {
            index,
            keys: Vec::with_capacity(capacity),
            counts: Vec::with_capacity(capacity),
            ..Self::growing(argument, capacity, seed)?
        })
    }

    /// The same, but the memory is taken as entries come.
    pub(super) fn growing(
        argument: &'static str,
        capacity: usize,
        seed: u64,
    ) -> Result<Self, SketchError> {
        Ok(Self {
            seed,
            capacity,
            index: Index::growing(argument, capacity)?,
            keys: Vec::new(),
            counts: Vec::new(),
            queue: Vec::new(),
            returned: BinaryHeap::new(),
            searched_up_to: 0,
        })
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn is_full(&self) -> bool {
        self.keys.len() == self.capacity
    }

    pub(super) fn counts(&self) -> &[u64] {
        &self.counts
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&K, u64)> {
        self.keys.iter().zip(self.counts.iter().copied())
    }

    #[inline]
    pub(super) fn find<Q>(&self, hash: u64, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.index
            .find(hash, |position| self.keys[position].borrow() == key)
    }

    #[inline]
    pub(super) fn touch(&self, hashes: &[u64]) {
        self.index.touch(hashes);
    }

    #[inline]
    pub(super) fn add(&mut self, position: usize, by: u64) {
        self.counts[position] = self.counts[position].saturating_add(by);
    }

    /// Adds a key that is not there; the caller has made sure that there is room.
    pub(super) fn insert(&mut self, hash: u64, key: K, count: u64) {
        let position = self.keys.len();
        self.keys.push(key);
        self.counts.push(count);
        self.index.insert(hash, position);
    }

    /// Puts a key in the place of another. `count` is at least that of the key that leaves.
    pub(super) fn replace(&mut self, position: usize, hash: u64, key: K, count: u64) {
        let left = self.keys[position].hash64(self.seed);
        self.index.remove(left, position);
        self.keys[position] = key;
        self.counts[position] = count;
        self.index.insert(hash, position);
    }

    /// The position of an entry with the least count. There is at least one entry.
    pub(super) fn least(&mut self) -> usize {
        loop {
            let queued = self.queue.last().copied();
            let returned = self.returned.peek().map(|&Reverse(entry)| entry);
            let from_queue = match (queued, returned) {
                (None, None) => {
                    self.search();
                    continue;
                }
                (Some(queued), Some(returned)) => queued <= returned,
                (queued, _) => queued.is_some(),
            };
            let (count, position) =
                if from_queue { queued } else { returned }.expect("the two cannot both be empty");
            let now = self.counts[position as usize];
            if now == count {
                return position as usize;
            }
            if from_queue {
                self.queue.pop();
            } else {
                self.returned.pop();
            }
            if now <= self.searched_up_to {
                self.returned.push(Reverse((now, position)));
            }
        }
    }

    /// Fills the queue with entries whose counts are among the least.
    fn search(&mut self) {
        let least = self.counts.iter().copied().min().unwrap_or_default();
        let limit = (self.counts.len() / QUEUED).max(16);
        let step = (self.counts.len() / DRAWN).max(1);
        let mut drawn: Vec<u64> = self.counts.iter().copied().step_by(step).collect();
        let (_, &mut likely, _) = {
            let place = drawn.len() / (2 * QUEUED);
            drawn.select_nth_unstable(place)
        };
        self.collect(likely, limit);
        if self.queue.len() > limit {
            // Many entries have one and the same count: the least ones alone will do.
            self.queue.clear();
            self.collect(least, limit);
            self.queue.truncate(limit);
            self.searched_up_to = least;
        } else {
            self.searched_up_to = likely;
            self.queue.sort_unstable_by_key(|&entry| Reverse(entry));
        }
    }

    /// Queues entries of at most this count, one more than the limit at most.
    fn collect(&mut self, at_most: u64, limit: usize) {
        let entries = self.counts.iter().zip(0u32..);
        self.queue.extend(
            entries
                .filter(|&(&count, _)| count <= at_most)
                .map(|(&count, position)| (count, position))
                .take(limit + 1),
        );
    }

    /// Replaces all entries by these, of which there are not more than there is room for.
    pub(super) fn refill(&mut self, entries: impl IntoIterator<Item = (K, u64)>) {
        self.clear();
        for (key, count) in entries {
            let hash = key.hash64(self.seed);
            self.insert(hash, key, count);
        }
    }

    pub(super) fn clear(&mut self) {
        self.index.clear();
        self.keys.clear();
        self.counts.clear();
        self.queue.clear();
        self.returned.clear();
        self.searched_up_to = 0;
    }

    /// Bytes of the index, the keys themselves (not what they point to), the counts and the queue
    /// at its largest.
    pub(super) fn size_bytes(&self) -> usize {
        let queue = 2 * (self.capacity / QUEUED).max(16) * size_of::<(u64, u32)>();
        self.index.size_bytes() + self.capacity * (size_of::<K>() + size_of::<u64>()) + queue
    }

    /// Capacity for which [`size_bytes`](Self::size_bytes) is not more than `bytes`.
    pub(super) fn capacity_of_bytes(bytes: usize) -> usize {
        // One entry: 12 bytes of index, key, count, a quarter of a queued pair.
        let entry = 12 + size_of::<K>() + size_of::<u64>() + size_of::<(u64, u32)>() / 4;
        let fixed = 2 * size_of::<u64>();
        let capacity = bytes.saturating_sub(fixed) / entry;
        if capacity / QUEUED >= 16 {
            capacity
        } else {
            // The queue has at least its 32 pairs.
            let entry = entry - size_of::<(u64, u32)>() / 4;
            bytes.saturating_sub(fixed + 32 * size_of::<(u64, u32)>()) / entry
        }
    }
}
