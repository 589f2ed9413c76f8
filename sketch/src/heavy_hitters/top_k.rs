//! A table of candidates beside a sketch.

use std::borrow::Borrow;
use std::cmp::Ordering;

use super::HeavyHitter;
use super::index::Index;
use crate::error::SketchError;
use crate::frequency::{Estimate, FrequencySketch, Merge};
use crate::key::Key;

/// How many keys a batch hashes at a time.
const BATCH: usize = 64;

/// The `k` keys with the largest estimates of a sketch.
///
/// An update asks the sketch for the new estimate of its key and compares it with a threshold; only
/// above it the key is looked up among the candidates, and gets its new estimate there. The table
/// has room for `2 k` candidates. When it is full, the `k` of the largest estimates stay, and the
/// smallest of these becomes the threshold: constant amortized time an admitted key, and no heap.
///
/// With a sketch that never underestimates, a key that is not listed occurred at most as often as
/// the smallest listed estimate says: any later update would have lifted it above the threshold,
/// which is never above the `k`-th largest estimate. When no estimate is too large by more than
/// `e`, every key above `N / k + e` is therefore listed.
///
/// Choose the sketch for the largest errors, not for the mean one: of a million rare keys some share
/// all their counters with frequent ones, and each of these takes a frequent key's place in the
/// list. A count-min sketch of three independent rows leaves hardly any; two rows, or counters in
/// one cache line, leave one in a hundred and more (10 million updates, Zipf's law, 1.4 MB,
/// `k` = 1000: 1000, 989 and 896 right ones).
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
    /// What keys may have occurred that were candidates of neither side of a merge.
    pub(super) lost_in_merges: f64,
    index: Index,
    pub(super) candidates: Vec<K>,
    /// The estimate of each candidate as it was after its last update.
    pub(super) estimates: Vec<S::Estimate>,
}

impl<K: Key + Eq + Clone, S: FrequencySketch> TopK<K, S> {
    /// Tracks the `k` most frequent keys by the estimates of `sketch`, which is empty.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when `k` is 0 or 2^29 or more, or the sketch is not empty.
    pub fn new(k: usize, sketch: S) -> Result<Self, SketchError> {
        if sketch.total() > 0 {
            return Err(SketchError::parameter(
                "sketch",
                "an empty sketch: keys that it has counted cannot be listed",
                format!("{} occurrences", sketch.total()),
            ));
        }
        let mut top = Self::growing(k, sketch)?;
        top.index = Index::new("k", 2 * k)?;
        top.candidates.reserve_exact(2 * k);
        top.estimates.reserve_exact(2 * k);
        Ok(top)
    }

    /// An empty table beside a sketch that may have counted; it takes memory as candidates come.
    pub(super) fn growing(k: usize, sketch: S) -> Result<Self, SketchError> {
        if k == 0 || k >= 1 << 29 {
            return Err(SketchError::parameter("k", "1 to 536870911", k));
        }
        Ok(Self {
            k,
            sketch,
            threshold: S::Estimate::default(),
            lost_in_merges: 0.0,
            index: Index::growing("k", 2 * k)?,
            candidates: Vec::new(),
            estimates: Vec::new(),
        })
    }

    /// Bytes that the candidates take beside the sketch: the keys (not what they point to), their
    /// estimates, and the index over them; `usize::MAX` when that is more.
    #[must_use]
    pub fn table_bytes(k: usize) -> usize {
        let candidate = size_of::<K>() + size_of::<S::Estimate>();
        let places = k.saturating_mul(3).saturating_add(2);
        k.saturating_mul(2 * candidate)
            .saturating_add(places.saturating_mul(size_of::<u64>()))
    }

    /// How many keys are tracked.
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

    /// Counts `by` more occurrences of a key. None changes nothing.
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

    /// Makes a key a candidate, or renews its estimate, when that is above the threshold.
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

    /// Keeps the `k` candidates of the largest estimates, and sets the threshold to the smallest of
    /// these.
    fn keep_largest(&mut self, candidates: Vec<(K, S::Estimate)>) {
        let mut candidates = self.hashed(candidates);
        if candidates.len() >= self.k {
            candidates.select_nth_unstable_by(self.k - 1, larger_first);
            candidates.truncate(self.k);
            self.threshold = candidates[self.k - 1].1;
        }
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

    /// The tracked keys, at most `k`, those of the largest estimates first. An estimate is the one
    /// after the last update of its key: what has collided with the key since is not in it. Time
    /// `O(k log k)`.
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

    /// How often a key that is no candidate may have occurred, when the sketch never
    /// underestimates.
    #[must_use]
    pub fn unlisted_at_most(&self) -> f64 {
        self.threshold.to_f64().max(self.lost_in_merges)
    }

    /// The estimate of any key.
    #[must_use]
    pub fn estimate<Q>(&self, key: &Q) -> S::Estimate
    where
        K: Borrow<Q>,
        Q: Key + ?Sized,
    {
        self.sketch.estimate_hash(key.hash64(self.sketch.seed()))
    }

    /// Occurrences counted so far, over all keys.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.sketch.total()
    }

    /// Forgets everything that was counted.
    pub fn clear(&mut self) {
        self.sketch.clear();
        self.index.clear();
        self.candidates.clear();
        self.estimates.clear();
        self.threshold = S::Estimate::default();
        self.lost_in_merges = 0.0;
    }
}

impl<K: Key + Eq + Clone, S: FrequencySketch + Merge> Merge for TopK<K, S> {
    /// Merges the sketches, and estimates the candidates of both anew. A key that was a candidate
    /// of neither side is lost, even if its parts together would suffice:
    /// [`unlisted_at_most`](TopK::unlisted_at_most) then is the sum of both sides.
    fn merge(&mut self, other: &Self) -> Result<(), SketchError> {
        if self.k != other.k {
            return Err(SketchError::Incompatible {
                field: "k",
                left: self.k.to_string(),
                right: other.k.to_string(),
            });
        }
        self.sketch.merge(&other.sketch)?;
        self.lost_in_merges = self.unlisted_at_most() + other.unlisted_at_most();
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

/// Larger estimates before smaller ones; equal ones by hash, so that the order of arrival does not
/// matter.
fn larger_first<K, E: Estimate>(left: &(K, E, u64), right: &(K, E, u64)) -> Ordering {
    right
        .1
        .partial_cmp(&left.1)
        .unwrap_or(Ordering::Equal)
        .then(left.2.cmp(&right.2))
}
