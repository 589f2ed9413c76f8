//! The summary of A. Metwally, D. Agrawal and A. El Abbadi, "Efficient computation of frequent and
//! top-k elements in data streams" (2005).

use std::borrow::Borrow;
use std::collections::HashMap;

use super::misra_gries::compatible;
use super::monitored::Monitored;
use super::{CountRange, HeavyHitter, largest};
use crate::error::SketchError;
use crate::frequency::{FrequencySketch, Merge};
use crate::key::{Key, KeyHash};

/// Keys that a batch hashes at a time.
const BATCH: usize = 64;

/// A SpaceSaving summary with `k` counters. An estimate is at least the true count `f`, and at most
/// `f + N / k`, where `N` is the length of the stream; every key with a count above `N / k` has a
/// counter.
///
/// A key without a counter takes over the smallest counter and adds to its count. A key without a
/// counter is estimated by the smallest count. An update takes constant amortized time, without the
/// linked lists of the original.
#[derive(Clone, Debug)]
pub struct SpaceSaving<K> {
    pub(super) monitored: Monitored<K>,
    pub(super) total: u64,
}

impl<K: Key + Eq + Clone> SpaceSaving<K> {
    /// A summary with `counters` counters, 1 to 2^30 - 1, that hashes keys under `seed`.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] for a number of counters out of range.
    pub fn new(counters: usize, seed: u64) -> Result<Self, SketchError> {
        Ok(Self {
            monitored: Monitored::new("counters", counters, seed)?,
            total: 0,
        })
    }

    /// A summary with a memory budget in bytes.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn with_bytes(bytes: usize, seed: u64) -> Result<Self, SketchError> {
        Self::new(Monitored::<K>::capacity_of_bytes(bytes), seed)
    }

    /// The number of counters.
    #[must_use]
    pub fn counters(&self) -> usize {
        self.monitored.capacity()
    }

    /// The total count of all keys.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The maximum overestimate: the smallest count, at most `N / k`. Takes `O(k)` time.
    #[must_use]
    pub fn max_error(&self) -> u64 {
        if self.monitored.is_full() {
            self.monitored.counts().iter().copied().min().unwrap_or(0)
        } else {
            0
        }
    }

    /// Counts one more occurrence of a key.
    #[inline]
    pub fn update<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Key + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.update_by(key, 1);
    }

    /// Counts `by` more occurrences of a key.
    #[inline]
    pub fn update_by<Q>(&mut self, key: &Q, by: u64)
    where
        K: Borrow<Q>,
        Q: Key + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.update_hashed(key.hash64(self.monitored.seed()), key, by);
    }

    /// Counts one more occurrence of each key: the same as one by one, and faster.
    pub fn update_batch(&mut self, keys: &[K]) {
        let seed = self.monitored.seed();
        let mut hashes = [0; BATCH];
        for keys in keys.chunks(BATCH) {
            for (hash, key) in hashes.iter_mut().zip(keys) {
                *hash = key.hash64(seed);
            }
            self.monitored.touch(&hashes[..keys.len()]);
            for (&hash, key) in hashes.iter().zip(keys) {
                self.update_hashed(hash, key, 1);
            }
        }
    }

    #[inline]
    fn update_hashed<Q>(&mut self, hash: u64, key: &Q, by: u64)
    where
        K: Borrow<Q>,
        Q: Key + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if by == 0 {
            return;
        }
        self.total = self.total.saturating_add(by);
        match self.monitored.find(hash, key) {
            Some(position) => self.monitored.add(position, by),
            None => self.miss(hash, key, by),
        }
    }

    /// Counts a key without a counter.
    fn miss<Q>(&mut self, hash: u64, key: &Q, by: u64)
    where
        K: Borrow<Q>,
        Q: Key + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if !self.monitored.is_full() {
            self.monitored.insert(hash, key.to_owned(), by);
            return;
        }
        // The key may have occurred as often as the smallest count before.
        let position = self.monitored.min_position();
        let count = self.monitored.counts()[position].saturating_add(by);
        self.monitored
            .replace(position, hash, key.to_owned(), count);
    }

    /// The estimated count of a key, never below the true count. Takes constant time for a key with a
    /// counter, else `O(k)`.
    #[must_use]
    pub fn estimate<Q>(&self, key: &Q) -> u64
    where
        K: Borrow<Q>,
        Q: Key + Eq + ?Sized,
    {
        self.estimate_hashed(key.hash64(self.monitored.seed()), key)
    }

    fn estimate_hashed<Q>(&self, hash: u64, key: &Q) -> u64
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        match self.monitored.find(hash, key) {
            Some(position) => self.monitored.counts()[position],
            None => self.max_error(),
        }
    }

    /// Bounds of a key's true count. Takes `O(k)` time.
    #[must_use]
    pub fn interval<Q>(&self, key: &Q) -> CountRange
    where
        K: Borrow<Q>,
        Q: Key + Eq + ?Sized,
    {
        let estimate = self.estimate(key);
        estimate.saturating_sub(self.max_error())..=estimate
    }

    /// The keys with a counter and their estimates, in no particular order.
    pub fn entries(&self) -> impl Iterator<Item = (&K, u64)> {
        self.monitored.entries()
    }

    /// The `k` keys with the largest estimates, in descending order.
    #[must_use]
    pub fn top(&self, k: usize) -> Vec<HeavyHitter<K>> {
        let entries = self.monitored.entries();
        largest(
            entries.map(|(key, count)| (key.clone(), count)).collect(),
            k,
        )
    }

    /// Memory in bytes of the counters, the keys (without what they point to) and the index.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.monitored.size_bytes()
    }

    /// Resets the summary to its empty state.
    pub fn clear(&mut self) {
        self.monitored.clear();
        self.total = 0;
    }
}

impl<K: Key + Eq + Clone + std::hash::Hash> Merge for SpaceSaving<K> {
    /// Adds the estimates of both sides and keeps the `k` largest (P. Agarwal and others, "Mergeable
    /// summaries", 2012): the error bound holds for both streams together.
    fn merge(&mut self, other: &Self) -> Result<(), SketchError> {
        compatible(&self.monitored, &other.monitored)?;
        // The estimates of keys without a counter on either side.
        let (mine, theirs) = (self.max_error(), other.max_error());
        let mut counts: HashMap<&K, (Option<u64>, Option<u64>)> = HashMap::new();
        for (key, count) in self.monitored.entries() {
            counts.entry(key).or_default().0 = Some(count);
        }
        for (key, count) in other.monitored.entries() {
            counts.entry(key).or_default().1 = Some(count);
        }
        let mut counts: Vec<(K, u64)> = counts
            .into_iter()
            .map(|(key, (left, right))| {
                let count = left.unwrap_or(mine).saturating_add(right.unwrap_or(theirs));
                (key.clone(), count)
            })
            .collect();
        // In descending order; ties by hash, so that the result is deterministic.
        let seed = self.monitored.seed();
        counts.sort_by_cached_key(|(key, count)| (std::cmp::Reverse(*count), key.hash64(seed)));
        counts.truncate(self.monitored.capacity());
        self.total = self.total.saturating_add(other.total);
        self.monitored.refill(counts);
        Ok(())
    }
}

/// Counts hashes, for use behind the table of a learned sketch.
impl FrequencySketch for SpaceSaving<KeyHash> {
    type Estimate = u64;

    fn seed(&self) -> u64 {
        self.monitored.seed()
    }

    fn never_underestimates(&self) -> bool {
        true
    }

    #[inline]
    fn update_hash(&mut self, hash: u64, by: u64) {
        self.update_hashed(hash, &KeyHash(hash), by);
    }

    fn update_hashes(&mut self, hashes: &[u64]) {
        for hashes in hashes.chunks(BATCH) {
            self.monitored.touch(hashes);
            for &hash in hashes {
                self.update_hashed(hash, &KeyHash(hash), 1);
            }
        }
    }

    fn estimate_hash(&self, hash: u64) -> u64 {
        self.estimate_hashed(hash, &KeyHash(hash))
    }

    fn estimate_hashes(&self, hashes: &[u64], estimates: &mut [u64]) {
        assert_eq!(hashes.len(), estimates.len(), "one estimate for each hash");
        // Once for all keys without a counter.
        let min = self.max_error();
        for (&hash, estimate) in hashes.iter().zip(estimates) {
            *estimate = self
                .monitored
                .find(hash, &KeyHash(hash))
                .map_or(min, |position| self.monitored.counts()[position]);
        }
    }

    fn total(&self) -> u64 {
        self.total
    }

    fn size_bytes(&self) -> usize {
        self.monitored.size_bytes()
    }

    fn clear(&mut self) {
        SpaceSaving::clear(self);
    }
}
