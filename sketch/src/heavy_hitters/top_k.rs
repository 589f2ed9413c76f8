//! Top-k tracking: a sketch and a table of candidates.

use std::borrow::Borrow;
use std::cmp::Ordering;

use super::HeavyHitter;
use super::index::Index;
use crate::error::SketchError;
use crate::frequency::{Estimate, FrequencySketch, Merge};
use crate::key::Key;

/// Keys that a batch hashes at a time.
const BATCH: usize = 64;

/// The `k` keys with the largest estimates of a sketch.
///
/// An update compares the new estimate of its key with a threshold; only above it the key is looked up
/// among the candidates and its estimate stored there. The table holds up to `2 k` candidates. When it
/// is full, the `k` largest estimates stay, and the smallest of these becomes the threshold: constant
/// amortized time per admitted key, without a heap.
///
/// With a sketch that never underestimates, the count of a key that is not listed is at most the
/// smallest listed estimate: any later update would have lifted it above the threshold, which never
/// exceeds the `k`-th largest estimate. If no estimate is too large by more than `e`, every key with
/// a count above `N / k + e` is therefore listed.
///
/// Choose the sketch for its largest errors, not for its mean error: of a million rare keys some share
/// all their counters with frequent ones, and each of these displaces a frequent key from the list. A
/// count-min sketch with three independent rows leaves hardly any; two rows, or the blocked layout,
/// leave one percent or more (10 million updates, Zipf's law, 1.4 MB, `k` = 1000: 1000, 989 and 896
/// of the keys are correct).
///
/// ```
/// use septet_sketch::CountMin;
/// use septet_sketch::heavy_hitters::TopK;
///
/// let sketch = CountMin::<u32>::builder().depth(3).bytes(4096).build()?;
/// let mut flows = TopK::<u64, _>::new(2, sketch)?;
/// flows.update_batch(&[5, 7, 5, 9, 5, 7]);
/// let keys: Vec<u64> = flows.list().into_iter().map(|flow| flow.key).collect();
/// assert_eq!(keys, [5, 7]);
/// # Ok::<(), septet_sketch::SketchError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TopK<K, S: FrequencySketch> {
    pub(super) k: usize,
    pub(super) sketch: S,
    pub(super) threshold: S::Estimate,
    /// The maximum count of keys that were candidates of neither side of a merge.
    pub(super) merged_unlisted_count: f64,
    index: Index,
    pub(super) candidates: Vec<K>,
    /// The estimate of each candidate as it was after its last update.
    pub(super) estimates: Vec<S::Estimate>,
}

impl<K: Key + Eq + Clone, S: FrequencySketch> TopK<K, S> {
    /// Tracks the `k` most frequent keys by the estimates of `sketch`, which must be empty.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when `k` is 0 or 2^29 or more, or the sketch is not empty.
    pub fn new(k: usize, sketch: S) -> Result<Self, SketchError> {
        if sketch.total() > 0 {
            return Err(SketchError::parameter(
                "sketch",
                "an empty sketch, because keys that it has counted cannot be listed",
                format!("{} occurrences", sketch.total()),
            ));
        }
        let mut top = Self::growing(k, sketch)?;
        top.index = Index::new("k", 2 * k)?;
        top.candidates.reserve_exact(2 * k);
        top.estimates.reserve_exact(2 * k);
        Ok(top)
    }

    /// An empty table beside a sketch that need not be empty; allocates as candidates are added.
    pub(super) fn growing(k: usize, sketch: S) -> Result<Self, SketchError> {
        if k == 0 || k >= 1 << 29 {
            return Err(SketchError::parameter("k", "1 to 536870911", k));
        }
        Ok(Self {
            k,
            sketch,
            threshold: S::Estimate::default(),
            merged_unlisted_count: 0.0,
            index: Index::growing("k", 2 * k)?,
            candidates: Vec::new(),
            estimates: Vec::new(),
        })
    }

    /// Memory in bytes of the candidates, in addition to the sketch: the keys (without what they point
    /// to), their estimates, and the index. Saturates at `usize::MAX`.
    #[must_use]
    pub fn table_bytes(k: usize) -> usize {
        let candidate = size_of::<K>() + size_of::<S::Estimate>();
        let places = k.saturating_mul(3).saturating_add(2);
        k.saturating_mul(2 * candidate)
            .saturating_add(places.saturating_mul(size_of::<u64>()))
    }

    /// The number of tracked keys.
    #[must_use]
    pub fn k(&self) -> usize {
        self.k
    }

    /// The sketch that counts.
    #[must_use]
    pub fn sketch(&self) -> &S {
        &self.sketch
    }

    /// Bytes of the sketch and of the candidates.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.sketch.size_bytes() + Self::table_bytes(self.k)
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

    /// Counts `by` more occurrences of a key. Does nothing if `by` is 0.
    #[inline]
    pub fn update_by<Q>(&mut self, key: &Q, by: u64)
    where
        K: Borrow<Q>,
        Q: Key + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if by == 0 {
            return;
        }
        let hash = key.hash64(self.sketch.seed());
        let estimate = self.sketch.update_hash_and_estimate(hash, by);
        self.consider(hash, key, estimate);
    }

    /// Counts one more occurrence of each key: the same as one by one, and faster.
    pub fn update_batch(&mut self, keys: &[K]) {
        let seed = self.sketch.seed();
        let mut hashes = [0; BATCH];
        let mut estimates = [S::Estimate::default(); BATCH];
        for keys in keys.chunks(BATCH) {
            for (hash, key) in hashes.iter_mut().zip(keys) {
                *hash = key.hash64(seed);
            }
            let estimates = &mut estimates[..keys.len()];
            self.sketch
                .update_hashes_and_estimate(&hashes[..keys.len()], estimates);
            for ((&hash, key), &estimate) in hashes.iter().zip(keys).zip(&*estimates) {
                self.consider(hash, key, estimate);
            }
        }
    }

    /// Admits a key as a candidate, or updates its estimate, if the estimate is above the threshold.
    #[inline]
    fn consider<Q>(&mut self, hash: u64, key: &Q, estimate: S::Estimate)
    where
        K: Borrow<Q>,
        Q: Key + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if estimate > self.threshold {
            match self.position(hash, key) {
                Some(position) => self.estimates[position] = estimate,
                None => self.admit(hash, key, estimate),
            }
        }
    }

    #[inline]
    pub(super) fn position<Q>(&self, hash: u64, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.index
            .find(hash, |position| self.candidates[position].borrow() == key)
    }

    #[inline(never)]
    fn admit<Q>(&mut self, hash: u64, key: &Q, estimate: S::Estimate)
    where
        K: Borrow<Q>,
        Q: Key + Eq + ToOwned<Owned = K> + ?Sized,
    {
        // Make room first; that raises the threshold, which the key may no longer exceed.
        if self.candidates.len() == 2 * self.k {
            let candidates = std::mem::take(&mut self.candidates);
            let candidates = candidates
                .into_iter()
                .zip(std::mem::take(&mut self.estimates));
            self.keep_largest(candidates.collect());
            if estimate <= self.threshold {
                return;
            }
        }
        self.push(hash, key.to_owned(), estimate);
    }

    pub(super) fn push(&mut self, hash: u64, key: K, estimate: S::Estimate) {
        self.index.insert(hash, self.candidates.len());
        self.candidates.push(key);
        self.estimates.push(estimate);
    }

    /// Keeps the `k` candidates with the largest estimates, and sets the threshold to the smallest of
    /// these.
    fn keep_largest(&mut self, candidates: Vec<(K, S::Estimate)>) {
        let mut candidates = self.hashed(candidates);
        if candidates.len() >= self.k {
            candidates.select_nth_unstable_by(self.k - 1, larger_first);
            candidates.truncate(self.k);
            self.threshold = candidates[self.k - 1].1;
        }
        // Positions have changed: rebuild the index.
        self.index.clear();
        self.candidates.clear();
        self.candidates.reserve_exact(2 * self.k);
        self.estimates.clear();
        self.estimates.reserve_exact(2 * self.k);
        for (key, estimate, hash) in candidates {
            self.push(hash, key, estimate);
        }
    }

    fn hashed(&self, candidates: Vec<(K, S::Estimate)>) -> Vec<(K, S::Estimate, u64)> {
        let seed = self.sketch.seed();
        candidates
            .into_iter()
            .map(|(key, estimate)| {
                let hash = key.hash64(seed);
                (key, estimate, hash)
            })
            .collect()
    }

    /// The tracked keys, at most `k`, in descending order of their estimates. An estimate is that
    /// after the last update of its key, so later collisions do not inflate it. Takes `O(k log k)`
    /// time.
    #[must_use]
    pub fn list(&self) -> Vec<HeavyHitter<K, S::Estimate>> {
        let candidates = self.candidates.iter().cloned();
        let candidates = candidates.zip(self.estimates.iter().copied());
        let mut candidates = self.hashed(candidates.collect());
        candidates.sort_unstable_by(larger_first);
        candidates.truncate(self.k);
        candidates
            .into_iter()
            .map(|(key, estimate, _)| HeavyHitter { key, estimate })
            .collect()
    }

    /// An upper bound on the count of every key that is not a candidate, if the sketch never
    /// underestimates.
    #[must_use]
    pub fn max_unlisted_count(&self) -> f64 {
        self.threshold.to_f64().max(self.merged_unlisted_count)
    }

    /// The sketch's estimate of any key.
    #[must_use]
    pub fn estimate<Q>(&self, key: &Q) -> S::Estimate
    where
        K: Borrow<Q>,
        Q: Key + ?Sized,
    {
        self.sketch.estimate_hash(key.hash64(self.sketch.seed()))
    }

    /// The total count of all keys.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.sketch.total()
    }

    /// Resets the sketch and the candidates.
    pub fn clear(&mut self) {
        self.sketch.clear();
        self.index.clear();
        self.candidates.clear();
        self.estimates.clear();
        self.threshold = S::Estimate::default();
        self.merged_unlisted_count = 0.0;
    }
}

impl<K: Key + Eq + Clone, S: FrequencySketch + Merge> Merge for TopK<K, S> {
    /// Merges the sketches, and re-estimates the candidates of both. A key that was a candidate of
    /// neither side is lost, even if its total count would suffice:
    /// [`max_unlisted_count`](TopK::max_unlisted_count) is then the sum of both sides.
    fn merge(&mut self, other: &Self) -> Result<(), SketchError> {
        if self.k != other.k {
            return Err(SketchError::Incompatible {
                field: "k",
                left: self.k.to_string(),
                right: other.k.to_string(),
            });
        }
        // The sketch compares its parameters, and changes nothing if they differ.
        self.sketch.merge(&other.sketch)?;
        self.merged_unlisted_count = self.max_unlisted_count() + other.max_unlisted_count();
        // The union of the candidates; the index still maps those of this side.
        let seed = self.sketch.seed();
        let mut candidates = std::mem::take(&mut self.candidates);
        for key in &other.candidates {
            let mine = |position: usize| candidates.get(position) == Some(key);
            if self.index.find(key.hash64(seed), mine).is_none() {
                candidates.push(key.clone());
            }
        }
        let candidates = candidates.into_iter().map(|key| {
            let estimate = self.sketch.estimate_hash(key.hash64(seed));
            (key, estimate)
        });
        self.keep_largest(candidates.collect());
        Ok(())
    }
}

/// Descending by estimate; ties by hash, so that the order of arrival does not matter.
fn larger_first<K, E: Estimate>(left: &(K, E, u64), right: &(K, E, u64)) -> Ordering {
    right
        .1
        .partial_cmp(&left.1)
        .unwrap_or(Ordering::Equal)
        .then(left.2.cmp(&right.2))
}
