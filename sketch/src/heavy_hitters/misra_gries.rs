//! The summary of J. Misra and D. Gries, "Finding repeated elements" (1982).

use std::borrow::Borrow;
use std::collections::HashMap;

use super::monitored::Monitored;
use super::{CountRange, HeavyHitter, largest};
use crate::error::SketchError;
use crate::frequency::{FrequencySketch, Merge};
use crate::key::{Key, KeyHash};

/// Keys that a batch hashes at a time.
const BATCH: usize = 64;

/// A Misra-Gries summary with `k` counters. An estimate is at most the true count `f`, and at least
/// `f - N / (k + 1)`, where `N` is the length of the stream; every key with a count above
/// `N / (k + 1)` has a counter.
///
/// A key without a counter takes a free one. If there is none, the key and one occurrence of every
/// counted key are discarded. The subtraction from all counters is kept as one number, and a counter
/// that has reached zero is found as the minimum, so that an update takes constant amortized time.
/// A weight is handled as that many consecutive occurrences.
#[derive(Clone, Debug)]
pub struct MisraGries<K> {
    /// Counts before the subtraction.
    pub(super) monitored: Monitored<K>,
    pub(super) subtracted: u64,
    pub(super) total: u64,
}

impl<K: Key + Eq + Clone> MisraGries<K> {
    /// A summary with `counters` counters, 1 to 2^30 - 1, that hashes keys under `seed`.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] for a number of counters out of range.
    pub fn new(counters: usize, seed: u64) -> Result<Self, SketchError> {
        Ok(Self {
            monitored: Monitored::new("counters", counters, seed)?,
            subtracted: 0,
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

    /// The maximum underestimate: what was subtracted so far, at most `N / (k + 1)`.
    #[must_use]
    pub fn max_error(&self) -> u64 {
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
                // The counter may have reached zero and still hold its key.
                self.monitored.add(position, by);
            }
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
            let count = self.subtracted.saturating_add(by);
            self.monitored.insert(hash, key.to_owned(), count);
            return;
        }
        // Subtract from all counters until the smallest is zero, or the weight is used up. In the
        // first case the key takes over that counter with the rest of its weight.
        let position = self.monitored.min_position();
        let min = self.monitored.counts()[position] - self.subtracted;
        let discarded = min.min(by);
        self.subtracted += discarded;
        if by > discarded {
            let count = self.subtracted.saturating_add(by - discarded);
            self.monitored
                .replace(position, hash, key.to_owned(), count);
        }
    }

    /// The estimated count of a key, never above the true count.
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

    /// Bounds of a key's true count.
    #[must_use]
    pub fn interval<Q>(&self, key: &Q) -> CountRange
    where
        K: Borrow<Q>,
        Q: Key + Eq + ?Sized,
    {
        let estimate = self.estimate(key);
        estimate..=estimate.saturating_add(self.subtracted)
    }

    /// The `k` keys with the largest estimates, in descending order.
    #[must_use]
    pub fn top(&self, k: usize) -> Vec<HeavyHitter<K>> {
        let entries = self.monitored.entries();
        let entries = entries
            .filter(|&(_, count)| count > self.subtracted)
            .map(|(key, count)| (key.clone(), count - self.subtracted))
            .collect();
        largest(entries, k)
    }

    /// Memory in bytes of the counters, the keys (without what they point to) and the index.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.monitored.size_bytes()
    }

    /// Resets the summary to its empty state.
    pub fn clear(&mut self) {
        self.monitored.clear();
        self.subtracted = 0;
        self.total = 0;
    }
}

impl<K: Key + Eq + Clone + std::hash::Hash> Merge for MisraGries<K> {
    /// Adds the counters of equal keys, and subtracts the `k + 1`-th largest from all (P. Agarwal and
    /// others, "Mergeable summaries", 2012): the error bound holds for both streams together.
    fn merge(&mut self, other: &Self) -> Result<(), SketchError> {
        compatible(&self.monitored, &other.monitored)?;
        let mut counts: HashMap<&K, u64> = HashMap::new();
        for summary in [&*self, other] {
            for (key, count) in summary.monitored.entries() {
                let both = counts.entry(key).or_default();
                *both = both.saturating_add(count - summary.subtracted);
            }
        }
        // In descending order; ties by hash, so that the result is deterministic.
        let mut counts: Vec<(K, u64)> = counts
            .into_iter()
            .map(|(key, count)| (key.clone(), count))
            .collect();
        let seed = self.monitored.seed();
        counts.sort_by_cached_key(|(key, count)| (std::cmp::Reverse(*count), key.hash64(seed)));
        // The largest counter that does not fit; what remains of the others is kept.
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

/// Fails unless two summaries have the same number of counters and the same seed.
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

/// Counts hashes, for use behind the table of a learned sketch.
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
