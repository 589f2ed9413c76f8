//! The summary of A. Metwally, D. Agrawal and A. El Abbadi, "Efficient computation of frequent and
//! top-k elements in data streams" (2005).

use std::borrow::Borrow;
use std::collections::HashMap;

use super::misra_gries::compatible;
use super::monitored::Monitored;
use super::{CountRange, HeavyHitter, KeyHash, largest};
use crate::error::SketchError;
use crate::frequency::{FrequencySketch, Merge};
use crate::key::Key;

/// How many keys a batch hashes at a time.
const BATCH: usize = 64;

/// `k` counters. An estimate is at least the frequency `f`, and at most `f + N / k`, where `N` is
/// the length of the stream; every key that occurs more often than `N / k` has a counter.
///
/// A key without a counter takes over the least one and goes on counting from there. A key that has
/// no counter at the end is estimated by the least count. An update takes constant amortized time,
/// without the linked lists of the original: see the search for the least count in this module.
#[derive(Clone, Debug)]
pub struct SpaceSaving<K> {
    pub(super) monitored: Monitored<K>,
    pub(super) total: u64,
}

impl<K: Key + Eq + Clone> SpaceSaving<K> {
    /// A summary of `counters` counters that hashes keys under `seed`.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when there are no counters, or 2^30 or more.
    pub fn new(counters: usize, seed: u64) -> Result<Self, SketchError> {
        Ok(Self {
            monitored: Monitored::new("counters", counters, seed)?,
            total: 0,
        })
    }

    /// A summary of as many counters as fit into this many bytes.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn with_bytes(bytes: usize, seed: u64) -> Result<Self, SketchError> {
        Self::new(Monitored::<K>::capacity_of_bytes(bytes), seed)
    }

    /// Counters.
    #[must_use]
    pub fn counters(&self) -> usize {
        self.monitored.capacity()
    }

    /// Occurrences counted so far, over all keys.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How much an estimate may be too large: the least count, at most `N / k`. Time `O(k)`.
    #[must_use]
    pub fn error(&self) -> u64 {
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

    fn miss<Q>(&mut self, hash: u64, key: &Q, by: u64)
    where
        K: Borrow<Q>,
        Q: Key + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if !self.monitored.is_full() {
            self.monitored.insert(hash, key.to_owned(), by);
            return;
        }
        let position = self.monitored.least();
        let count = self.monitored.counts()[position].saturating_add(by);
        self.monitored
            .replace(position, hash, key.to_owned(), count);
    }

    /// The estimate of a key: never below its number of occurrences. Constant time for a key that
    /// has a counter, `O(k)` for another.
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
            None => self.error(),
        }
    }

    /// Where the number of a key's occurrences lies, with certainty. Time `O(k)`.
    #[must_use]
    pub fn interval<Q>(&self, key: &Q) -> CountRange
    where
        K: Borrow<Q>,
        Q: Key + Eq + ?Sized,
    {
        let estimate = self.estimate(key);
        estimate.saturating_sub(self.error())..=estimate
    }

    /// The keys that have a counter and their estimates, in no particular order.
    pub fn entries(&self) -> impl Iterator<Item = (&K, u64)> {
        self.monitored.entries()
    }

    /// The `k` keys of the largest estimates, the largest first.
    #[must_use]
    pub fn top(&self, k: usize) -> Vec<HeavyHitter<K>> {
        let entries = self.monitored.entries();
        largest(
            entries.map(|(key, count)| (key.clone(), count)).collect(),
            k,
        )
    }

    /// Bytes of the counters, their keys (not what keys point to) and the index over them.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.monitored.size_bytes()
    }

    /// Forgets everything that was counted.
    pub fn clear(&mut self) {
        self.monitored.clear();
        self.total = 0;
    }
}

impl<K: Key + Eq + Clone + std::hash::Hash> Merge for SpaceSaving<K> {
    /// Adds the estimates of both and keeps the largest (P. Agarwal and others, "Mergeable
    /// summaries", 2012): the bound holds for both streams together.
    fn merge(&mut self, other: &Self) -> Result<(), SketchError> {
        compatible(&self.monitored, &other.monitored)?;
        // What a key without a counter may have occurred.
        let (mine, theirs) = (self.error(), other.error());
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
        let seed = self.monitored.seed();
        counts.sort_by_cached_key(|(key, count)| (std::cmp::Reverse(*count), key.hash64(seed)));
        counts.truncate(self.monitored.capacity());
        self.total = self.total.saturating_add(other.total);
        self.monitored.refill(counts);
        Ok(())
    }
}

/// Counts hashes: a summary to put behind the table of a learned sketch.
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
        let least = self.error();
        for (&hash, estimate) in hashes.iter().zip(estimates) {
            *estimate = self
                .monitored
                .find(hash, &KeyHash(hash))
                .map_or(least, |position| self.monitored.counts()[position]);
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
