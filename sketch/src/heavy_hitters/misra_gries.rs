//! The summary of J. Misra and D. Gries, "Finding repeated elements" (1982).

use std::borrow::Borrow;
use std::collections::HashMap;

use super::monitored::Monitored;
use super::{CountRange, HeavyHitter, KeyHash, largest};
use crate::error::SketchError;
use crate::frequency::{FrequencySketch, Merge};
use crate::key::Key;

/// How many keys a batch hashes at a time.
const BATCH: usize = 64;

/// `k` counters. An estimate is at most the frequency `f`, and at least `f - N / (k + 1)`, where
/// `N` is the length of the stream; every key that occurs more often than that has a counter.
///
/// A key without a counter takes an unused one; when there is none, it is thrown away together with
/// one occurrence of each key that has a counter. The subtraction from all counters is kept as one
/// number, and a counter that has come down to zero is found as the least one, so that an update
/// takes constant amortized time. Weights are handled as that many occurrences in a row.
#[derive(Clone, Debug)]
pub struct MisraGries<K> {
    /// Counts that include what was subtracted.
    pub(super) monitored: Monitored<K>,
    pub(super) subtracted: u64,
    pub(super) total: u64,
}

impl<K: Key + Eq + Clone> MisraGries<K> {
    /// A summary of `counters` counters that hashes keys under `seed`.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when there are no counters, or 2^30 or more.
    pub fn new(counters: usize, seed: u64) -> Result<Self, SketchError> {
        Ok(Self {
            monitored: Monitored::new("counters", counters, seed)?,
            subtracted: 0,
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

    /// How much an estimate may fall short: what was subtracted so far, at most `N / (k + 1)`.
    #[must_use]
    pub fn error(&self) -> u64 {
        self.subtracted
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
            Some(position) => {
                // A counter may have come down to zero and still carry its key.
                self.monitored.add(position, by);
            }
            None => self.miss(hash, key, by),
        }
    }

    fn miss<Q>(&mut self, hash: u64, key: &Q, by: u64)
    where
        K: Borrow<Q>,
        Q: Key + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if !self.monitored.is_full() {
            let count = self.subtracted.saturating_add(by);
            self.monitored.insert(hash, key.to_owned(), count);
            return;
        }
        let position = self.monitored.least();
        let least = self.monitored.counts()[position] - self.subtracted;
        let thrown_away = least.min(by);
        self.subtracted += thrown_away;
        if by > thrown_away {
            let count = self.subtracted.saturating_add(by - thrown_away);
            self.monitored
                .replace(position, hash, key.to_owned(), count);
        }
    }

    /// The estimate of a key: never above its number of occurrences.
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
        self.monitored.find(hash, key).map_or(0, |position| {
            self.monitored.counts()[position] - self.subtracted
        })
    }

    /// Where the number of a key's occurrences lies, with certainty.
    #[must_use]
    pub fn interval<Q>(&self, key: &Q) -> CountRange
    where
        K: Borrow<Q>,
        Q: Key + Eq + ?Sized,
    {
        let estimate = self.estimate(key);
        estimate..=estimate.saturating_add(self.subtracted)
    }

    /// The `k` keys of the largest estimates, the largest first.
    #[must_use]
    pub fn top(&self, k: usize) -> Vec<HeavyHitter<K>> {
        let entries = self.monitored.entries();
        let entries = entries
            .filter(|&(_, count)| count > self.subtracted)
            .map(|(key, count)| (key.clone(), count - self.subtracted))
            .collect();
        largest(entries, k)
    }

    /// Bytes of the counters, their keys (not what keys point to) and the index over them.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.monitored.size_bytes()
    }

    /// Forgets everything that was counted.
    pub fn clear(&mut self) {
        self.monitored.clear();
        self.subtracted = 0;
        self.total = 0;
    }
}

impl<K: Key + Eq + Clone + std::hash::Hash> Merge for MisraGries<K> {
    /// Adds the counters of equal keys and subtracts the largest one that does not fit from all
    /// (P. Agarwal and others, "Mergeable summaries", 2012): the bound holds for both streams
    /// together.
    fn merge(&mut self, other: &Self) -> Result<(), SketchError> {
        compatible(&self.monitored, &other.monitored)?;
        let mut counts: HashMap<&K, u64> = HashMap::new();
        for summary in [&*self, other] {
            for (key, count) in summary.monitored.entries() {
                let both = counts.entry(key).or_default();
                *both = both.saturating_add(count - summary.subtracted);
            }
        }
        let mut counts: Vec<(K, u64)> = counts
            .into_iter()
            .map(|(key, count)| (key.clone(), count))
            .collect();
        let seed = self.monitored.seed();
        counts.sort_by_cached_key(|(key, count)| (std::cmp::Reverse(*count), key.hash64(seed)));
        let excess = counts
            .get(self.monitored.capacity())
            .map_or(0, |&(_, count)| count);
        self.subtracted = self
            .subtracted
            .saturating_add(other.subtracted)
            .saturating_add(excess);
        self.total = self.total.saturating_add(other.total);
        let subtracted = self.subtracted;
        self.monitored.refill(
            counts
                .into_iter()
                .take_while(|&(_, count)| count > excess)
                .map(|(key, count)| (key, subtracted.saturating_add(count - excess))),
        );
        Ok(())
    }
}

/// Whether two summaries have as many counters and hash alike.
pub(super) fn compatible<K: Key + Eq>(
    left: &Monitored<K>,
    right: &Monitored<K>,
) -> Result<(), SketchError> {
    let differ = |field, left: &dyn ToString, right: &dyn ToString| {
        let (left, right) = (left.to_string(), right.to_string());
        Err(SketchError::Incompatible { field, left, right })
    };
    if left.capacity() != right.capacity() {
        return differ("counters", &left.capacity(), &right.capacity());
    }
    if left.seed() != right.seed() {
        return differ("seed", &left.seed(), &right.seed());
    }
    Ok(())
}

/// Counts hashes: what a learned Misra-Gries summary has behind its table.
impl FrequencySketch for MisraGries<KeyHash> {
    type Estimate = u64;

    fn seed(&self) -> u64 {
        self.monitored.seed()
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

    #[inline]
    fn estimate_hash(&self, hash: u64) -> u64 {
        self.estimate_hashed(hash, &KeyHash(hash))
    }

    fn total(&self) -> u64 {
        self.total
    }

    fn size_bytes(&self) -> usize {
        self.monitored.size_bytes()
    }

    fn clear(&mut self) {
        MisraGries::clear(self);
    }
}
