//! The learned sketch itself. Its fields are private to this module and to its children, which store
//! and merge it.

mod merge;
mod stored;

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::policy::AdmissionPolicy;
use super::rejection_cache::RejectionCache;
use super::table::{Entry, ExplicitTable, Lookup, Place, Slot, Slot8};
use crate::frequency::{Estimate, FrequencySketch};
use crate::key::Key;
use crate::oracle::Oracle;

/// Keys in a batch; at most this many are scored in one call of the oracle.
const BATCH: usize = 512;

/// How many keys ahead the lines of the table are prefetched.
const PREFETCH_DISTANCE: usize = 32;

/// A sketch behind a table of keys that are counted exactly.
///
/// `K` is the type of the keys, `S` the sketch, `O` the oracle, `T` the layout of a slot of the table.
/// The [module](crate::learned) explains how it works, [`LearnedBuilder`](super::LearnedBuilder) its
/// parameters.
///
/// # Guarantees
///
/// If `S` never underestimates and the scores of the oracle depend on the key alone (the contract of
/// [`Oracle`]), neither does this sketch: with [`Slot16`](super::Slot16) unless two keys share a
/// 64-bit hash; with [`Slot8`] also unless the stored half of a key's hash equals that of another key
/// in its bucket, which happens to a key with probability at most `2^-28` (and a key is mistaken for
/// one that the oracle has rejected with probability `2^-32`). A key that is admitted after the
/// sketch may have counted it takes the sketch's estimate at that moment into the table. After a
/// score that is not finite, every key is treated as one that the sketch may have counted, since a
/// failure of the oracle need not recur. An oracle that gives different finite scores to a key breaks
/// the contract: a key that is rejected first and admitted later loses what the sketch has counted.
#[derive(Clone, Debug)]
pub struct Learned<K: ?Sized, S: FrequencySketch, O, T: Slot = Slot8> {
    table: ExplicitTable<T>,
    sketch: S,
    oracle: O,
    policy: AdmissionPolicy,
    rejections: RejectionCache,
    stats: LearnedStats,
    /// Keys that the sketch has counted may be admitted from now on.
    admits_counted_keys: bool,
    /// The oracle has panicked, and is no longer called.
    oracle_failed: bool,
    keys: PhantomData<fn(&K)>,
}

/// The estimate of a learned sketch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnedEstimate<E> {
    /// The estimated count.
    pub value: E,
    /// Whether the key was counted in the table from its first occurrence on. `false` when unknown,
    /// as behind a sketch that can underestimate.
    pub exact: bool,
}

/// Statistics of a learned sketch since it was built, cleared or moved to the next window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnedStats {
    /// The total count of all keys.
    pub total: u64,
    /// The part of it that was counted in the table.
    pub explicit: u64,
    /// Keys admitted to the table.
    pub admitted: u64,
    /// Admitted keys that the sketch may have counted before.
    pub late: u64,
    /// Scores requested from the oracle. A key may be scored repeatedly; how often depends on the
    /// batches.
    pub oracle_queries: u64,
    /// Scores that were not finite.
    pub non_finite_scores: u64,
    /// Panics of the oracle. After the first it is no longer called.
    pub oracle_panics: u64,
    /// Entries whose count overflowed into the sketch, or that a merge moved there.
    pub spilled: u64,
}

impl<K: ?Sized, S: FrequencySketch, O: Oracle<K>, T: Slot> Learned<K, S, O, T> {
    /// A sketch of these empty parts.
    pub(super) fn new(
        table: ExplicitTable<T>,
        sketch: S,
        oracle: O,
        policy: AdmissionPolicy,
        rejections: RejectionCache,
    ) -> Self {
        let mut learned = Self {
            table,
            sketch,
            oracle,
            policy,
            rejections,
            stats: LearnedStats::default(),
            admits_counted_keys: false,
            oracle_failed: false,
            keys: PhantomData,
        };
        // In the first window the residual is not known; the whole stream stands in for it.
        if let Some(total) = learned.policy.expected_total() {
            learned.set_price(total as f64);
        }
        learned
    }

    /// The fraction of the stream that was counted in the table; 0 for an empty stream.
    #[must_use]
    pub fn coverage(&self) -> f64 {
        self.stats.explicit as f64 / self.stats.total.max(1) as f64
    }

    /// The statistics of this window.
    #[must_use]
    pub fn stats(&self) -> LearnedStats {
        self.stats
    }

    /// The total count of all keys.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.stats.total
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> &ExplicitTable<T> {
        &self.table
    }

    /// The sketch behind the table.
    #[must_use]
    pub fn sketch(&self) -> &S {
        &self.sketch
    }

    /// The oracle.
    #[must_use]
    pub fn oracle(&self) -> &O {
        &self.oracle
    }

    /// The score above which keys are currently admitted.
    #[must_use]
    pub fn threshold_score(&self) -> f32 {
        self.policy.score()
    }

    /// Memory in bytes: the table, the sketch, the rejection cache, the sample of an adaptive
    /// threshold, and the model of the oracle.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.table.size_bytes()
            + self.sketch.size_bytes()
            + self.rejections.size_bytes()
            + self.policy.size_bytes()
            + self.oracle.model_bytes()
    }

    /// Resets all counts, and calls the oracle again if it has failed. The threshold stays.
    pub fn clear(&mut self) {
        self.table.clear();
        self.sketch.clear();
        self.rejections.clear();
        self.policy.clear();
        self.stats = LearnedStats::default();
        self.admits_counted_keys = false;
        self.oracle_failed = false;
    }

    /// Resets the counts and starts the next window of a stream. An adaptive threshold and a
    /// cost-based admission are set from the window that ends.
    pub fn next_window(&mut self) {
        if self.policy.expected_total().is_some() && self.stats.total > 0 {
            self.set_price(self.stats.total.saturating_sub(self.stats.explicit) as f64);
        }
        self.policy.next_window(self.table.slots());
        let failed = self.oracle_failed;
        self.clear();
        self.oracle_failed = failed;
    }

    /// Sets the price of a slot for `residual` occurrences in the sketch.
    fn set_price(&mut self, residual: f64) {
        let slot_bytes = ExplicitTable::<T>::SLOT_BYTES;
        self.policy
            .set_price(residual, slot_bytes, self.sketch.size_bytes());
    }

    /// Scores keys. After a panic of the oracle every score is the lowest.
    fn score_all(&mut self, keys: &[&K], scores: &mut [f32]) {
        if self.oracle_failed {
            scores.fill(f32::NEG_INFINITY);
            return;
        }
        let queries = keys.len() as u64;
        self.stats.oracle_queries = self.stats.oracle_queries.saturating_add(queries);
        // The oracle is user code, and its panic must not lose the counts. Only `scores` can be left
        // half written, and is overwritten.
        let result = catch_unwind(AssertUnwindSafe(|| self.oracle.score(keys, scores)));
        if result.is_err() {
            self.stats.oracle_panics = self.stats.oracle_panics.saturating_add(1);
            self.oracle_failed = true;
            scores.fill(f32::NEG_INFINITY);
        }
        let non_finite = scores.iter().filter(|score| !score.is_finite()).count();
        self.stats.non_finite_scores = self
            .stats
            .non_finite_scores
            .saturating_add(non_finite as u64);
    }
}

impl<K: Key + ?Sized, S: FrequencySketch, O: Oracle<K>, T: Slot> Learned<K, S, O, T> {
    /// Counts one more occurrence of a key.
    pub fn update(&mut self, key: &K) {
        self.update_by(key, 1);
    }

    /// Counts `by` more occurrences of a key. Does nothing if `by` is 0.
    pub fn update_by(&mut self, key: &K, by: u64) {
        if by == 0 {
            return;
        }
        let hash = key.hash64(self.sketch.seed());
        self.stats.total = self.stats.total.saturating_add(by);
        self.update_hashed(key, hash, by);
    }

    fn update_hashed(&mut self, key: &K, hash: u64, by: u64) {
        let rest = self.count_in_table(key, hash, by, None);
        if rest > 0 {
            self.sketch.update_hash(hash, rest);
        }
    }

    /// Counts one more occurrence of each key. The same as [`update`](Self::update) one by one, if
    /// the scores of the oracle do not depend on the batch, and faster.
    pub fn update_batch(&mut self, keys: &[K])
    where
        K: Sized,
    {
        let seed = self.sketch.seed();
        let mut hashes = [0; BATCH];
        for keys in keys.chunks(BATCH) {
            let hashes = &mut hashes[..keys.len()];
            for (hash, key) in hashes.iter_mut().zip(keys) {
                *hash = key.hash64(seed);
            }
            self.stats.total = self.stats.total.saturating_add(keys.len() as u64);
            let new_in_sample = hashes.iter().any(|&hash| self.policy.samples(hash));
            if self.admits_counted_keys || new_in_sample {
                // A key that enters the sample may change the cut, and a late admission needs the
                // sketch's current estimate: the keys must be handled in order.
                for (key, &hash) in keys.iter().zip(&*hashes) {
                    self.update_hashed(key, hash, 1);
                }
            } else {
                self.update_together(keys, hashes);
            }
        }
    }

    /// Counts a batch: the keys that are in the table there, the others in the sketch after the
    /// oracle has scored, in one call, those that may be admitted.
    fn update_together(&mut self, keys: &[K], hashes: &[u64])
    where
        K: Sized,
    {
        for &hash in &hashes[..PREFETCH_DISTANCE.min(hashes.len())] {
            self.table.prefetch(hash);
        }
        // `residual` collects, in order, the keys that are not in the table; `undecided` those of them
        // that may still be admitted, by their index in the batch and in `residual`.
        let mut residual = [0; BATCH];
        let mut undecided = [(0, 0); BATCH];
        let (mut residual_len, mut undecided_len, mut counted) = (0, 0, 0);
        for (i, &hash) in hashes.iter().enumerate() {
            if let Some(&hash) = hashes.get(i + PREFETCH_DISTANCE) {
                self.table.prefetch(hash);
            }
            let decided = match self.table.lookup(hash) {
                Lookup::Found(place) => {
                    if self.table.add(place, 1) {
                        counted += 1;
                        continue;
                    }
                    // The slot is full; `count_in_table` handles the overflow.
                    false
                }
                Lookup::Vacant => self.oracle_failed || self.rejections.contains(hash),
                Lookup::Full => true,
            };
            if !decided {
                undecided[undecided_len] = (i, residual_len);
                undecided_len += 1;
            }
            residual[residual_len] = hash;
            residual_len += 1;
        }
        self.stats.explicit = self.stats.explicit.saturating_add(counted);
        let residual = &mut residual[..residual_len];
        let undecided = &undecided[..undecided_len];
        let kept = self.decide(keys, hashes, undecided, residual);
        self.sketch.update_hashes(&residual[..kept]);
    }

    /// Scores the undecided keys, counts those that are admitted in the table, and compacts
    /// `residual` to those that are left for the sketch; returns their number.
    fn decide(
        &mut self,
        keys: &[K],
        hashes: &[u64],
        undecided: &[(usize, usize)],
        residual: &mut [u64],
    ) -> usize
    where
        K: Sized,
    {
        if undecided.is_empty() {
            return residual.len();
        }
        let mut to_score = [&keys[0]; BATCH];
        for (to_score, &(key, _)) in to_score.iter_mut().zip(undecided) {
            *to_score = &keys[key];
        }
        let mut scores = [0.0; BATCH];
        let scores = &mut scores[..undecided.len()];
        self.score_all(&to_score[..undecided.len()], scores);
        if !self.oracle_failed && scores.iter().any(|score| !score.is_finite()) {
            // From the first of these on, an admitted key needs the sketch's current estimate.
            self.decide_in_order(keys, hashes, undecided, scores, residual);
            return 0;
        }
        // Invariant: `residual[..kept]` is compacted, `residual[read..]` has not been moved yet.
        let (mut kept, mut read) = (0, 0);
        for (&(key, index), &score) in undecided.iter().zip(&*scores) {
            let hash = hashes[key];
            // Most keys are rejected. A key that does not pass the cut cannot have entered the table
            // during this batch, unless it was there before and its slot is full.
            if !self.policy.admits(score, hash) && self.table.find(hash).is_none() {
                if !self.oracle_failed {
                    self.rejections.insert(hash);
                }
            } else if self.count_in_table(&keys[key], hash, 1, Some(score)) == 0 {
                // Counted in the table: remove entry `index` from `residual`.
                if kept < read {
                    residual.copy_within(read..index, kept);
                }
                kept += index - read;
                read = index + 1;
            }
        }
        if kept < read {
            residual.copy_within(read.., kept);
        }
        kept + residual.len() - read
    }

    /// Counts all residual keys one after the other, decided or not.
    fn decide_in_order(
        &mut self,
        keys: &[K],
        hashes: &[u64],
        undecided: &[(usize, usize)],
        scores: &[f32],
        residual: &[u64],
    ) where
        K: Sized,
    {
        let mut undecided = undecided.iter().zip(scores).peekable();
        for (i, &hash) in residual.iter().enumerate() {
            let rest = match undecided.next_if(|&(&(_, index), _)| index == i) {
                Some((&(key, _), &score)) => {
                    self.count_in_table(&keys[key], hashes[key], 1, Some(score))
                }
                None => 1,
            };
            if rest > 0 {
                self.sketch.update_hash(hash, rest);
            }
        }
    }

    /// Counts a key in the table if it belongs there; returns how many of its occurrences are left for
    /// the sketch. `score` is the key's score if it is known.
    fn count_in_table(&mut self, key: &K, hash: u64, by: u64, score: Option<f32>) -> u64 {
        let score = self.update_sample(key, hash, score);
        match self.table.lookup(hash) {
            Lookup::Found(place) => self.add(place, by),
            Lookup::Vacant if !self.oracle_failed && !self.rejections.contains(hash) => {
                let score = score.unwrap_or_else(|| self.score(key));
                // A failure of the oracle need not recur: the key may be admitted the next time.
                self.admits_counted_keys |= !score.is_finite() && !self.oracle_failed;
                if !self.oracle_failed && self.policy.admits(score, hash) {
                    self.admit(hash, by)
                } else {
                    self.rejections.insert(hash);
                    by
                }
            }
            Lookup::Vacant | Lookup::Full => by,
        }
    }

    fn score(&mut self, key: &K) -> f32 {
        let mut score = [0.0];
        self.score_all(&[key], &mut score);
        score[0]
    }

    /// Adds to the slot of a key; returns how many occurrences do not fit.
    fn add(&mut self, place: Place, by: u64) -> u64 {
        let mut rest = 0;
        if !self.table.add(place, by) {
            rest = self.table.overflow(place, by);
            self.stats.spilled = self.stats.spilled.saturating_add(1);
        }
        self.stats.explicit = self.stats.explicit.saturating_add(by - rest);
        rest
    }

    /// Stores a key in a free slot of its bucket, which has one, and counts it there; returns how many
    /// occurrences do not fit.
    fn admit(&mut self, hash: u64, by: u64) -> u64 {
        self.stats.admitted = self.stats.admitted.saturating_add(1);
        let mut entry = Entry::exact(0);
        if self.admits_counted_keys {
            // Carry over what the sketch may have counted of the key.
            let before = self.sketch.estimate_hash(hash).to_f64();
            entry.late = before > 0.0 || !self.sketch.never_underestimates();
            self.stats.late = self.stats.late.saturating_add(entry.late.into());
            if before > 0.0 {
                entry.count = (before.ceil() as u64).min(ExplicitTable::<T>::max_count());
                // If it is more than a slot holds, the sketch keeps the rest.
                entry.partial = before > entry.count as f64;
            }
        }
        let place = self.table.store(hash, entry);
        self.add(place, by)
    }

    /// Adds a key to the sample of an adaptive threshold, if it belongs there, which may move the cut.
    /// Returns the key's score if it is known.
    #[inline]
    fn update_sample(&mut self, key: &K, hash: u64, score: Option<f32>) -> Option<f32> {
        if !self.policy.samples(hash) || self.oracle_failed {
            return score;
        }
        let score = score.unwrap_or_else(|| self.score(key));
        // A lower cut admits keys that it has rejected before, and that the sketch has counted.
        if !self.oracle_failed && self.policy.add_sample(hash, score, self.table.slots()) {
            self.admits_counted_keys = true;
            self.rejections.clear();
        }
        Some(score)
    }

    /// The estimated count of a key.
    #[must_use]
    pub fn estimate(&self, key: &K) -> LearnedEstimate<S::Estimate> {
        let hash = key.hash64(self.sketch.seed());
        match self.table.get(hash) {
            Some(entry) => {
                let value = if entry.partial {
                    self.sketch.estimate_hash(hash).plus(entry.count)
                } else {
                    S::Estimate::exact(entry.count)
                };
                LearnedEstimate {
                    value,
                    exact: !entry.partial && !entry.late,
                }
            }
            None => LearnedEstimate {
                value: self.sketch.estimate_hash(hash),
                exact: false,
            },
        }
    }
}
