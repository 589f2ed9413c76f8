//! The learned sketch itself.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::builder::{Admission, LearnedBuilder};
use super::table::{Entry, ExplicitTable, Place, Slot, Slot8};
use super::threshold::{Cut, Sample, Threshold, comparable};
use super::verdicts::Verdicts;
use crate::frequency::{Estimate, FrequencySketch};
use crate::key::Key;
use crate::oracle::Oracle;

/// How many keys a batch handles at a time; at most this many are put to the oracle together.
const BATCH: usize = 256;

/// A sketch behind a table of keys that are counted exactly.
///
/// `K` is the type of the keys, `S` the sketch, `O` the oracle, `T` what a slot of the table
/// consists of. See the [module](self) for how it works, and [`LearnedBuilder`] for its parameters.
///
/// # What is certain
///
/// When `S` never underestimates, neither does this: with [`Slot16`](super::Slot16) unless two keys
/// share a 64-bit hash; with [`Slot8`] also unless a key meets the stored half of the hash of
/// another in its bucket, which happens to a key with probability `2^-28` at most (and a verdict on
/// one key is taken for that on another with probability `2^-32`). A key that is admitted after it
/// may have been counted by the sketch takes the sketch's estimate at that moment along into the
/// table.
#[derive(Clone, Debug)]
pub struct Learned<K: ?Sized, S: FrequencySketch, O, T: Slot = Slot8> {
    pub(super) table: ExplicitTable<T>,
    pub(super) sketch: S,
    pub(super) oracle: O,
    pub(super) threshold: Threshold,
    pub(super) cut: Cut,
    pub(super) stats: LearnedStats,
    /// Keys may be admitted that have been counted by the sketch.
    pub(super) late: bool,
    pub(super) verdicts: Verdicts,
    pub(super) admission: Admission,
    /// Different keys that a window is expected to bring.
    pub(super) expected_keys: f64,
    /// The score from which on a key is worth its slot.
    pub(super) worth: f32,
    pub(super) sample: Option<Sample>,
    pub(super) oracle_failed: bool,
    /// Hashes that a batch passes on to the sketch.
    pub(super) residual: Vec<u64>,
    pub(super) keys: PhantomData<fn(&K)>,
}

/// The estimate of a learned sketch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnedEstimate<E> {
    /// The estimated number of occurrences.
    pub value: E,
    /// Whether the key was counted in the table, from its first occurrence on.
    pub exact: bool,
}

/// What a learned sketch has done since it was made, cleared or moved to the next window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnedStats {
    /// Occurrences.
    pub total: u64,
    /// Occurrences counted in the table.
    pub explicit: u64,
    /// Keys admitted to the table.
    pub admitted: u64,
    /// Of these, keys that the sketch may have counted before.
    pub late: u64,
    /// Keys put to the oracle. A key counts each time; how often depends on the batches.
    pub questions: u64,
    /// Scores that were no finite numbers.
    pub not_finite: u64,
    /// Times the oracle panicked. After the first it is not asked any more.
    pub panics: u64,
    /// Entries whose count overflowed into the sketch, or that a merge moved there.
    pub spilled: u64,
}

/// What a batch knows of a key before the oracle has spoken.
#[derive(Clone, Copy)]
enum Standing {
    /// Counted in the table.
    Counted,
    /// Belongs into the sketch.
    Residual,
    /// Has a score, or needs another look.
    Open(Option<f32>),
}

impl<K: Key + ?Sized, S: FrequencySketch, O: Oracle<K>> Learned<K, S, O> {
    /// A builder: 1 MiB in all, half of it for a table of 8-byte slots, a threshold at the quantile
    /// of validation scores with 1.10 keys a slot, first come first served.
    pub fn builder(oracle: O) -> LearnedBuilder<K, S, O, Slot8> {
        LearnedBuilder::new(oracle)
    }
}

impl<K: ?Sized, S: FrequencySketch, O: Oracle<K>, T: Slot> Learned<K, S, O, T> {
    #[expect(clippy::too_many_arguments, reason = "the builder is the only caller")]
    pub(super) fn new(
        table: ExplicitTable<T>,
        sketch: S,
        oracle: O,
        verdicts: Verdicts,
        threshold: Threshold,
        cut: Cut,
        admission: Admission,
        expected_keys: f64,
        sample: Option<Sample>,
    ) -> Self {
        let mut learned = Self {
            table,
            sketch,
            oracle,
            threshold,
            cut,
            stats: LearnedStats::default(),
            late: false,
            verdicts,
            admission,
            expected_keys,
            worth: f32::NEG_INFINITY,
            sample,
            oracle_failed: false,
            residual: Vec::with_capacity(BATCH),
            keys: PhantomData,
        };
        if let Admission::CostBased { expected_total } = admission {
            learned.set_worth(expected_total as f64);
        }
        learned
    }

    /// The share of the stream that was counted in the table, from 0 to 1; 0 for an empty stream.
    #[must_use]
    pub fn coverage(&self) -> f64 {
        self.stats.explicit as f64 / self.stats.total.max(1) as f64
    }

    /// What was done.
    #[must_use]
    pub fn stats(&self) -> LearnedStats {
        self.stats
    }

    /// Occurrences of all keys.
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

    /// The score above which keys are admitted now.
    #[must_use]
    pub fn threshold_score(&self) -> f32 {
        self.cut.score
    }

    /// Bytes of everything: the table, the sketch, the verdicts, the sample of an adaptive
    /// threshold, and the model of the oracle.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let sample = self.sample.as_ref().map_or(0, Sample::size_bytes);
        self.table.size_bytes()
            + self.sketch.size_bytes()
            + self.verdicts.size_bytes()
            + sample
            + self.oracle.model_bytes()
    }

    /// Forgets everything that was counted, and an oracle's failures. The threshold stays.
    pub fn clear(&mut self) {
        self.table.clear();
        self.sketch.clear();
        self.verdicts.clear();
        if let Some(sample) = &mut self.sample {
            sample.clear();
        }
        self.stats = LearnedStats::default();
        self.late = false;
        self.oracle_failed = false;
    }

    /// Forgets the counts and begins the next window of a stream. An adaptive threshold takes the
    /// finished window for the measure of the next, and so does a cost-based admission.
    pub fn next_window(&mut self) {
        if let Admission::CostBased { .. } = self.admission
            && self.stats.total > 0
        {
            self.set_worth((self.stats.total - self.stats.explicit) as f64);
        }
        if let (Some(sample), Threshold::Adaptive { over }) = (&self.sample, self.threshold)
            && sample.is_full()
        {
            self.expected_keys = sample.different_keys();
            let share = over * self.table.slots() as f64 / self.expected_keys;
            self.cut = sample.cut(share).at_least(self.worth);
        }
        let failed = self.oracle_failed;
        self.clear();
        self.oracle_failed = failed;
    }

    /// Sets what a key must be worth, for `residual` occurrences in the sketch.
    fn set_worth(&mut self, residual: f64) {
        let bytes = self.sketch.size_bytes().max(1) as f64;
        let worth = ExplicitTable::<T>::SLOT_BYTES as f64 * residual / (2.0 * bytes);
        self.worth = comparable(worth.ln() as f32);
        self.cut = self.cut.at_least(self.worth);
    }

    /// Puts keys to the oracle. After a panic every score is the lowest.
    fn ask(&mut self, keys: &[&K], scores: &mut [f32]) {
        if self.oracle_failed {
            scores.fill(f32::NEG_INFINITY);
            return;
        }
        self.stats.questions += keys.len() as u64;
        let asked = catch_unwind(AssertUnwindSafe(|| self.oracle.score(keys, scores)));
        if asked.is_err() {
            self.stats.panics += 1;
            self.oracle_failed = true;
            scores.fill(f32::NEG_INFINITY);
        }
        let not_finite = scores.iter().filter(|score| !score.is_finite()).count();
        self.stats.not_finite += not_finite as u64;
    }
}

impl<K: Key + ?Sized, S: FrequencySketch, O: Oracle<K>, T: Slot> Learned<K, S, O, T> {
    /// Counts `by` more occurrences of a key.
    pub fn push(&mut self, key: &K, by: u64) {
        let hash = key.hash64(self.sketch.seed());
        self.stats.total = self.stats.total.saturating_add(by);
        self.place(key, hash, by, None);
        self.flush();
    }

    /// Counts one more occurrence of each key. The same as [`push`](Self::push) one by one, as long
    /// as the scores of the oracle do not depend on what else it is asked, and faster.
    pub fn push_batch(&mut self, keys: &[K])
    where
        K: Sized,
    {
        let seed = self.sketch.seed();
        let mut hashes = [0; BATCH];
        let mut standings = [Standing::Residual; BATCH];
        for keys in keys.chunks(BATCH) {
            let hashes = &mut hashes[..keys.len()];
            for (hash, key) in hashes.iter_mut().zip(keys) {
                *hash = key.hash64(seed);
            }
            self.stats.total = self.stats.total.saturating_add(keys.len() as u64);
            self.table.touch(hashes);
            if self.classify(hashes, &mut standings) {
                self.ask_batch(keys, &mut standings);
                for ((key, &hash), standing) in keys.iter().zip(&*hashes).zip(&standings) {
                    match *standing {
                        Standing::Counted => {}
                        Standing::Residual => self.residual.push(hash),
                        Standing::Open(score) => self.place(key, hash, 1, score),
                    }
                }
            }
            self.flush();
        }
    }

    /// Counts the keys that are in the table, and says how the others stand. When none is open, the
    /// ones that belong into the sketch are already on their way there, and the answer is `false`.
    fn classify(&mut self, hashes: &[u64], standings: &mut [Standing; BATCH]) -> bool {
        // A key that enters the sample may change the cut: then all is done in order.
        let in_order = match &self.sample {
            Some(sample) => hashes.iter().any(|&hash| sample.lacks(hash)),
            None => false,
        };
        let mut counted = 0;
        let mut open = false;
        for (&hash, standing) in hashes.iter().zip(standings.iter_mut()) {
            *standing = if in_order {
                Standing::Open(None)
            } else if let Some(place) = self.table.find(hash) {
                if self.table.add(place, 1) {
                    counted += 1;
                    Standing::Counted
                } else {
                    Standing::Open(None)
                }
            } else if !self.table.has_room(hash)
                || self.oracle_failed
                || self.verdicts.turned_down(hash)
            {
                Standing::Residual
            } else {
                Standing::Open(None)
            };
            open |= matches!(standing, Standing::Open(_));
        }
        self.stats.explicit = self.stats.explicit.saturating_add(counted);
        if !open {
            let residual = hashes.iter().zip(&*standings);
            self.residual.extend(
                residual
                    .filter(|(_, standing)| matches!(standing, Standing::Residual))
                    .map(|(&hash, _)| hash),
            );
        }
        open
    }

    /// Puts all open keys to the oracle at once.
    fn ask_batch(&mut self, keys: &[K], standings: &mut [Standing; BATCH])
    where
        K: Sized,
    {
        let mut asked = [&keys[0]; BATCH];
        let mut from = [0; BATCH];
        let mut scores = [0.0; BATCH];
        let mut count = 0;
        for (position, key) in keys.iter().enumerate() {
            if matches!(standings[position], Standing::Open(_)) {
                asked[count] = key;
                from[count] = position;
                count += 1;
            }
        }
        self.ask(&asked[..count], &mut scores[..count]);
        if self.oracle_failed {
            // Then a key does not stand open; what is still asked one by one is answered so.
            return;
        }
        for (&position, &score) in from.iter().zip(&scores).take(count) {
            standings[position] = Standing::Open(Some(score));
        }
    }

    /// Counts a key where it belongs, whose score may be known.
    fn place(&mut self, key: &K, hash: u64, by: u64, score: Option<f32>) {
        let score = self.keep_sample(key, hash, score);
        if let Some(place) = self.table.find(hash) {
            self.count(place, hash, by);
        } else if !self.table.has_room(hash)
            || self.oracle_failed
            || self.verdicts.turned_down(hash)
        {
            self.to_sketch(hash, by);
        } else {
            let score = score.unwrap_or_else(|| self.score(key));
            if !self.oracle_failed && self.cut.admits(score, hash) {
                self.admit(hash, by);
            } else {
                self.verdicts.turn_down(hash);
                self.to_sketch(hash, by);
            }
        }
    }

    fn score(&mut self, key: &K) -> f32 {
        let mut score = [0.0];
        self.ask(&[key], &mut score);
        score[0]
    }

    /// Counts occurrences of a key that has a slot.
    fn count(&mut self, place: Place, hash: u64, by: u64) {
        let mut rest = 0;
        if !self.table.add(place, by) {
            rest = self.table.overflow(place, by);
            self.stats.spilled += 1;
            self.to_sketch(hash, rest);
        }
        self.stats.explicit = self.stats.explicit.saturating_add(by - rest);
    }

    /// Gives a key a slot, of which there is one.
    fn admit(&mut self, hash: u64, by: u64) {
        self.stats.admitted += 1;
        let mut entry = Entry::exact(0);
        if self.late {
            // The cut was higher before: the sketch may have counted the key.
            self.flush();
            let before = self.sketch.estimate_hash(hash).to_f64();
            if before > 0.0 {
                self.stats.late += 1;
                entry.late = true;
                entry.count = (before.ceil() as u64).min(ExplicitTable::<T>::max_count());
                // More than a slot holds: the sketch keeps the rest.
                entry.partial = before > entry.count as f64;
            }
        }
        let place = self.table.store(hash, entry);
        self.count(place, hash, by);
    }

    /// Adds a key to the sample of an adaptive threshold, if it belongs there, and renews the cut
    /// when it is time to. Gives the score, if it is known.
    #[inline]
    fn keep_sample(&mut self, key: &K, hash: u64, score: Option<f32>) -> Option<f32> {
        match &self.sample {
            Some(sample) if sample.lacks(hash) && !self.oracle_failed => {}
            _ => return score,
        }
        let score = score.unwrap_or_else(|| self.score(key));
        let (Some(sample), Threshold::Adaptive { over }) = (&mut self.sample, self.threshold)
        else {
            return Some(score);
        };
        if !self.oracle_failed && sample.add(hash, score) {
            let keys = self.expected_keys.max(sample.different_keys());
            let share = over * self.table.slots() as f64 / keys;
            let Some(cut) = sample.better(&self.cut, share) else {
                return Some(score);
            };
            let cut = cut.at_least(self.worth);
            if cut.is_below(&self.cut) {
                self.late = true;
                self.verdicts.clear();
            }
            self.cut = cut;
        }
        Some(score)
    }

    #[inline]
    fn to_sketch(&mut self, hash: u64, by: u64) {
        if by == 1 {
            self.residual.push(hash);
        } else if by > 0 {
            self.flush();
            self.sketch.update_hash(hash, by);
        }
    }

    /// Passes the waiting hashes on to the sketch.
    #[inline]
    fn flush(&mut self) {
        self.sketch.update_hashes(&self.residual);
        self.residual.clear();
    }

    /// The estimated number of occurrences of a key.
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
