//! The traits of all frequency sketches.

use crate::error::SketchError;
use crate::key::Key;

/// Keys that a batch hashes at a time.
pub(crate) const HASHES: usize = 512;

/// The type of an estimate: a count (`u64`) or a real number (`f64`).
pub trait Estimate: Copy + PartialOrd + Default + core::fmt::Debug {
    /// The estimate of a key that was counted exactly.
    fn exact(count: u64) -> Self;
    /// The sum of this estimate and an exact count of other occurrences of the same key.
    #[must_use]
    fn plus(self, count: u64) -> Self;
    /// As a real number.
    fn to_f64(self) -> f64;
}

impl Estimate for u64 {
    fn exact(count: u64) -> Self {
        count
    }

    fn plus(self, count: u64) -> Self {
        self.saturating_add(count)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts beyond 2^53 lose their last bits"
    )]
    fn to_f64(self) -> f64 {
        self as f64
    }
}

impl Estimate for f64 {
    fn exact(count: u64) -> Self {
        count.to_f64()
    }

    fn plus(self, count: u64) -> Self {
        self + count.to_f64()
    }

    fn to_f64(self) -> f64 {
        self
    }
}

/// A summary of a stream that estimates how often each key occurred.
///
/// The methods that end in `_hash` and `_hashes` take the result of [`Key::hash64`] with the
/// [`seed`](Self::seed) of the sketch, so that several sketches with the same seed share one hash.
/// A batch has the same effect as its items one by one, bit for bit, and is faster.
pub trait FrequencySketch {
    /// The type of an estimate.
    type Estimate: Estimate;

    /// The seed of the hash.
    fn seed(&self) -> u64;

    /// Counts `by` more occurrences of the key with this hash.
    fn update_hash(&mut self, hash: u64, by: u64);

    /// Counts one more occurrence of the key of each hash.
    fn update_hashes(&mut self, hashes: &[u64]) {
        for &hash in hashes {
            self.update_hash(hash, 1);
        }
    }

    /// Counts `by[i]` more occurrences of the key with hash `hashes[i]`.
    ///
    /// # Panics
    ///
    /// When the slices differ in length.
    fn update_hashes_by(&mut self, hashes: &[u64], by: &[u64]) {
        assert_eq!(hashes.len(), by.len(), "one weight for each hash");
        for (&hash, &by) in hashes.iter().zip(by) {
            self.update_hash(hash, by);
        }
    }

    /// Counts `by` more occurrences of the key with this hash, and returns its new estimate.
    fn update_hash_and_estimate(&mut self, hash: u64, by: u64) -> Self::Estimate {
        self.update_hash(hash, by);
        self.estimate_hash(hash)
    }

    /// Counts one more occurrence of the key of each hash, and writes to `estimates[i]` the estimate
    /// of `hashes[i]` right after its own update.
    ///
    /// # Panics
    ///
    /// When the slices differ in length.
    fn update_hashes_and_estimate(&mut self, hashes: &[u64], estimates: &mut [Self::Estimate]) {
        assert_eq!(hashes.len(), estimates.len(), "one estimate for each hash");
        for (&hash, estimate) in hashes.iter().zip(estimates) {
            *estimate = self.update_hash_and_estimate(hash, 1);
        }
    }

    /// Whether estimates are never below the true count while no counter is saturated, so that an
    /// estimate of 0 proves that a key has not occurred.
    fn never_underestimates(&self) -> bool {
        false
    }

    /// The estimated count of the key with this hash.
    fn estimate_hash(&self, hash: u64) -> Self::Estimate;

    /// Writes the estimates of many keys to `estimates`.
    ///
    /// # Panics
    ///
    /// When the slices differ in length.
    fn estimate_hashes(&self, hashes: &[u64], estimates: &mut [Self::Estimate]) {
        assert_eq!(hashes.len(), estimates.len(), "one estimate for each hash");
        for (&hash, estimate) in hashes.iter().zip(estimates) {
            *estimate = self.estimate_hash(hash);
        }
    }

    /// The total count of all keys.
    fn total(&self) -> u64;

    /// Memory of the counters in bytes.
    fn size_bytes(&self) -> usize;

    /// Resets the sketch to its empty state.
    fn clear(&mut self);

    /// Counts one more occurrence of a key.
    #[inline]
    fn update<K: Key + ?Sized>(&mut self, key: &K)
    where
        Self: Sized,
    {
        self.update_hash(key.hash64(self.seed()), 1);
    }

    /// Counts `by` more occurrences of a key.
    #[inline]
    fn update_by<K: Key + ?Sized>(&mut self, key: &K, by: u64)
    where
        Self: Sized,
    {
        self.update_hash(key.hash64(self.seed()), by);
    }

    /// Counts one more occurrence of each key.
    #[inline]
    fn update_batch<K: Key>(&mut self, keys: &[K])
    where
        Self: Sized,
    {
        // Hashing in chunks vectorizes, and the hashes stay in the first-level cache.
        let seed = self.seed();
        let mut hashes = [0; HASHES];
        for chunk in keys.chunks(HASHES) {
            let hashes = &mut hashes[..chunk.len()];
            K::hash64_all(chunk, seed, hashes);
            self.update_hashes(hashes);
        }
    }

    /// The estimated count of a key.
    #[inline]
    fn estimate<K: Key + ?Sized>(&self, key: &K) -> Self::Estimate
    where
        Self: Sized,
    {
        self.estimate_hash(key.hash64(self.seed()))
    }

    /// Writes the estimates of many keys to `estimates`.
    ///
    /// # Panics
    ///
    /// When the slices differ in length.
    #[inline]
    fn estimate_batch<K: Key>(&self, keys: &[K], estimates: &mut [Self::Estimate])
    where
        Self: Sized,
    {
        assert_eq!(keys.len(), estimates.len(), "one estimate for each key");
        // As in `update_batch`.
        let seed = self.seed();
        let mut hashes = [0; HASHES];
        for (keys, estimates) in keys.chunks(HASHES).zip(estimates.chunks_mut(HASHES)) {
            let hashes = &mut hashes[..keys.len()];
            K::hash64_all(keys, seed, hashes);
            self.estimate_hashes(hashes, estimates);
        }
    }
}

/// Summaries of two streams that can be combined into a summary of both.
pub trait Merge {
    /// Adds the counts of `other`.
    ///
    /// # Errors
    ///
    /// [`SketchError::Incompatible`], naming the parameter in which the two differ; `self` is then
    /// unchanged.
    fn merge(&mut self, other: &Self) -> Result<(), SketchError>;
}
