//! The counters of Misra-Gries and SpaceSaving: keys with counts, and a search for the minimum.

use std::borrow::Borrow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::index::Index;
use crate::error::SketchError;
use crate::key::Key;

/// A search queues about the smallest `1 / QUEUE_DIVISOR` of the entries.
const QUEUE_DIVISOR: usize = 8;

/// The size of the sample of counts from which the largest count to queue is estimated.
const SAMPLE_SIZE: usize = 256;

/// The smallest limit of the queue.
const MIN_QUEUE: usize = 16;

/// Up to a fixed number of keys with counts that only grow.
///
/// The minimum is found without a heap over all counts. A search passes once over the counts and
/// queues about the smallest eighth in ascending order; updates do not touch the queue. When an entry
/// reaches the front with a count that has grown since, it is requeued, or dropped if the count
/// exceeds the largest one that was queued. A search over `n` counts thus serves `n / 8` replacements
/// or outdated entries, each of which is due to an update: constant amortized time, apart from
/// sorting the queue.
#[derive(Clone, Debug)]
pub(super) struct Monitored<K> {
    seed: u64,
    capacity: usize,
    index: Index,
    keys: Vec<K>,
    counts: Vec<u64>,
    /// Counts, as of the last search, and positions, in descending order.
    queue: Vec<(u64, u32)>,
    /// Entries that have left the queue and have been requeued with a larger count.
    requeued: BinaryHeap<Reverse<(u64, u32)>>,
    /// Entries that are in neither queue have at least this count.
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

    /// As [`new`](Self::new), but allocates as entries are added.
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
            requeued: BinaryHeap::new(),
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

    /// Adds a key that is not present; the caller ensures that there is a free counter.
    pub(super) fn insert(&mut self, hash: u64, key: K, count: u64) {
        let position = self.keys.len();
        self.keys.push(key);
        self.counts.push(count);
        self.index.insert(hash, position);
    }

    /// Replaces a key. `count` must be at least that of the old key, since counts only grow.
    pub(super) fn replace(&mut self, position: usize, hash: u64, key: K, count: u64) {
        let old = self.keys[position].hash64(self.seed);
        self.index.remove(old, position);
        self.keys[position] = key;
        self.counts[position] = count;
        self.index.insert(hash, position);
    }

    /// The position of an entry with the smallest count. There must be an entry.
    pub(super) fn min_position(&mut self) -> usize {
        loop {
            // The smaller of the fronts of both queues; search again when both are empty.
            let queued = self.queue.last().copied();
            let requeued = self.requeued.peek().map(|&Reverse(entry)| entry);
            let from_queue = match (queued, requeued) {
                (None, None) => {
                    self.search();
                    continue;
                }
                (Some(queued), Some(requeued)) => queued <= requeued,
                (queued, _) => queued.is_some(),
            };
            let (count, position) =
                if from_queue { queued } else { requeued }.expect("the two cannot both be empty");
            // An entry whose count has not changed is the minimum: recorded counts are lower bounds.
            let now = self.counts[position as usize];
            if now == count {
                return position as usize;
            }
            if from_queue {
                self.queue.pop();
            } else {
                self.requeued.pop();
            }
            if now <= self.searched_up_to {
                self.requeued.push(Reverse((now, position)));
            }
        }
    }

    /// Fills the queue with the entries with the smallest counts.
    fn search(&mut self) {
        let min = self.counts.iter().copied().min().unwrap_or_default();
        let limit = (self.counts.len() / QUEUE_DIVISOR).max(MIN_QUEUE);
        // A quantile of a sample, at half the limit so that it is rarely exceeded.
        let step = (self.counts.len() / SAMPLE_SIZE).max(1);
        let mut sample: Vec<u64> = self.counts.iter().copied().step_by(step).collect();
        let (_, &mut quantile, _) = {
            let rank = sample.len() / (2 * QUEUE_DIVISOR);
            sample.select_nth_unstable(rank)
        };
        self.collect(quantile, limit);
        if self.queue.len() > limit {
            // Many entries have equal counts: those with the minimum alone suffice.
            self.queue.clear();
            self.collect(min, limit);
            self.queue.truncate(limit);
            self.searched_up_to = min;
        } else {
            self.searched_up_to = quantile;
            self.queue.sort_unstable_by_key(|&entry| Reverse(entry));
        }
    }

    /// Queues the entries with counts up to `max_count`, at most `limit + 1` of them.
    fn collect(&mut self, max_count: u64, limit: usize) {
        let entries = self.counts.iter().zip(0u32..);
        self.queue.extend(
            entries
                .filter(|&(&count, _)| count <= max_count)
                .map(|(&count, position)| (count, position))
                .take(limit + 1),
        );
    }

    /// Replaces all entries by these, at most as many as there are counters.
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
        self.requeued.clear();
        self.searched_up_to = 0;
    }

    /// Bytes of the index, the keys (without what they point to), the counts, and both queues at
    /// their largest.
    pub(super) fn size_bytes(&self) -> usize {
        let queue = 2 * (self.capacity / QUEUE_DIVISOR).max(MIN_QUEUE) * size_of::<(u64, u32)>();
        self.index.size_bytes() + self.capacity * (size_of::<K>() + size_of::<u64>()) + queue
    }

    /// The largest capacity for which [`size_bytes`](Self::size_bytes) is at most `bytes`.
    pub(super) fn capacity_of_bytes(bytes: usize) -> usize {
        // One entry: 12 bytes of index, key, count, a quarter of a queued pair.
        let entry = 12 + size_of::<K>() + size_of::<u64>() + size_of::<(u64, u32)>() / 4;
        let fixed = 2 * size_of::<u64>();
        let capacity = bytes.saturating_sub(fixed) / entry;
        if capacity / QUEUE_DIVISOR >= MIN_QUEUE {
            capacity
        } else {
            // The queues have their minimum size of 32 pairs.
            let entry = entry - size_of::<(u64, u32)>() / 4;
            bytes.saturating_sub(fixed + 32 * size_of::<(u64, u32)>()) / entry
        }
    }
}
