//! The learned sketch itself.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::builder::{Admission, LearnedBuilder};
use super::table::{Entry, ExplicitTable, LookUp, Place, Slot, Slot8};
use super::threshold::{Cut, Sample, Threshold, comparable};
use super::verdicts::Verdicts;
use crate::frequency::{Estimate, FrequencySketch};
use crate::key::Key;
use crate::oracle::Oracle;

/// How many keys a batch handles at a time; at most this many are put to the oracle together.
const BATCH: usize = 512;

/// How many keys ahead the lines of the table are asked for.
const AHEAD: usize = 32;

/// A sketch behind a table of keys that are counted exactly.
///
/// `K` is the type of the keys, `S` the sketch, `O` the oracle, `T` what a slot of the table
/// consists of. See the [module](crate::learned) for how it works, and [`LearnedBuilder`] for its parameters.
///
/// # What is certain
///
/// When `S` never underestimates and the scores of the oracle depend on nothing but the key (the
/// contract of [`Oracle`]), neither does this: with [`Slot16`](super::Slot16) unless two keys
/// share a 64-bit hash; with [`Slot8`] also unless a key meets the stored half of the hash of
/// another in its bucket, which happens to a key with probability `2^-28` at most (and a verdict on
/// one key is taken for that on another with probability `2^-32`). A key that is admitted after it
/// may have been counted by the sketch takes the sketch's estimate at that moment along into the
/// table. After a score that is no finite number, every key counts as one that the sketch may have
/// counted: what comes of an oracle's failure may come out otherwise the next time. An oracle that
/// gives a key different finite scores breaks the contract: a key that is turned down first and
/// admitted later loses what the sketch has counted of it.
#[derive(Clone, Debug)]
pub struct Learned<K: ?Sized, S: FrequencySketch, O, T: Slot = Slot8> {
    pub(super) table: ExplicitTable<T>,
    pub(super) sketch: S,
    pub(super) oracle: O,
    pub(super) threshold: Threshold,
    /// The cut of the threshold alone.
    pub(super) base: Cut,
    /// The stricter of that and what a key must be worth.
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
    pub(super) keys: PhantomData<fn(&K)>,
}

/// The estimate of a learned sketch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnedEstimate<E> {
    /// The estimated number of occurrences.
    pub value: E,
    /// Whether the key was counted in the table, from its first occurrence on. In doubt `false`: a
    /// sketch that may say 0 of a key that it has counted cannot tell.
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
            base: cut,
            cut,
            stats: LearnedStats::default(),
            late: false,
            verdicts,
            admission,
            expected_keys,
            worth: f32::NEG_INFINITY,
            sample,
            oracle_failed: false,
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
            self.set_worth(self.stats.total.saturating_sub(self.stats.explicit) as f64);
        }
        if let (Some(sample), Threshold::Adaptive { over }) = (&self.sample, self.threshold)
            && sample.is_full()
        {
            self.expected_keys = sample.different_keys();
            let share = over * self.table.slots() as f64 / self.expected_keys;
            self.base = sample.cut(share);
            self.cut = self.base.at_least(self.worth);
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
        self.cut = self.base.at_least(self.worth);
    }

    /// Puts keys to the oracle. After a panic every score is the lowest.
    fn ask(&mut self, keys: &[&K], scores: &mut [f32]) {
        if self.oracle_failed {
            scores.fill(f32::NEG_INFINITY);
            return;
        }
        let questions = keys.len() as u64;
        self.stats.questions = self.stats.questions.saturating_add(questions);
        let asked = catch_unwind(AssertUnwindSafe(|| self.oracle.score(keys, scores)));
        if asked.is_err() {
            self.stats.panics = self.stats.panics.saturating_add(1);
            self.oracle_failed = true;
            scores.fill(f32::NEG_INFINITY);
        }
        let not_finite = scores.iter().filter(|score| !score.is_finite()).count();
        self.stats.not_finite = self.stats.not_finite.saturating_add(not_finite as u64);
    }
}

impl<K: Key + ?Sized, S: FrequencySketch, O: Oracle<K>, T: Slot> Learned<K, S, O, T> {
    /// Counts `by` more occurrences of a key. None changes nothing.
    pub fn push(&mut self, key: &K, by: u64) {
        if by == 0 {
            return;
        }
        let hash = key.hash64(self.sketch.seed());
        self.stats.total = self.stats.total.saturating_add(by);
        self.push_hashed(key, hash, by);
    }

    fn push_hashed(&mut self, key: &K, hash: u64, by: u64) {
        let rest = self.place(key, hash, by, None);
        if rest > 0 {
            self.sketch.update_hash(hash, rest);
        }
    }

    /// Counts one more occurrence of each key. The same as [`push`](Self::push) one by one, as long
    /// as the scores of the oracle do not depend on what else it is asked, and faster.
    pub fn push_batch(&mut self, keys: &[K])
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
            let new_in_sample = match &self.sample {
                Some(sample) => hashes.iter().any(|&hash| sample.lacks(hash)),
                None => false,
            };
            if self.late || new_in_sample {
                // A key that enters the sample may change the cut, and one that is admitted late
                // asks the sketch: all is done in order.
                for (key, &hash) in keys.iter().zip(&*hashes) {
                    self.push_hashed(key, hash, 1);
                }
            } else {
                self.push_together(keys, hashes);
            }
        }
    }

    /// Counts the keys that are in the table, asks the oracle for those that may enter it, and
    /// passes the others on to the sketch.
    fn push_together(&mut self, keys: &[K], hashes: &[u64])
    where
        K: Sized,
    {
        for &hash in &hashes[..AHEAD.min(hashes.len())] {
            self.table.prefetch(hash);
        }
        // The keys that go into the sketch, in order, and those that perhaps do not: where they are
        // in the batch, and where among the former.
        let mut residual = [0; BATCH];
        let mut open = [(0, 0); BATCH];
        let (mut waiting, mut undecided, mut counted) = (0, 0, 0);
        for (i, &hash) in hashes.iter().enumerate() {
            if let Some(&hash) = hashes.get(i + AHEAD) {
                self.table.prefetch(hash);
            }
            let decided = match self.table.look_up(hash) {
                LookUp::Found(place) => {
                    if self.table.add(place, 1) {
                        counted += 1;
                        continue;
                    }
                    false
                }
                LookUp::Room => self.oracle_failed || self.verdicts.turned_down(hash),
                LookUp::Full => true,
            };
            if !decided {
                open[undecided] = (i, waiting);
                undecided += 1;
            }
            residual[waiting] = hash;
            waiting += 1;
        }
        self.stats.explicit = self.stats.explicit.saturating_add(counted);
        let residual = &mut residual[..waiting];
        let stay = self.decide(keys, hashes, &open[..undecided], residual);
        self.sketch.update_hashes(&residual[..stay]);
    }

    /// Asks the oracle for the open keys, and moves those that stay in the sketch to the front;
    /// gives their number.
    fn decide(
        &mut self,
        keys: &[K],
        hashes: &[u64],
        open: &[(usize, usize)],
        residual: &mut [u64],
    ) -> usize
    where
        K: Sized,
    {
        if open.is_empty() {
            return residual.len();
        }
        let mut asked = [&keys[0]; BATCH];
        for (asked, &(key, _)) in asked.iter_mut().zip(open) {
            *asked = &keys[key];
        }
        let mut scores = [0.0; BATCH];
        let scores = &mut scores[..open.len()];
        self.ask(&asked[..open.len()], scores);
        if !self.oracle_failed && scores.iter().any(|score| !score.is_finite()) {
            // From the first of these on, a key that is admitted asks the sketch.
            self.decide_in_order(keys, hashes, open, scores, residual);
            return 0;
        }
        // What is before `stays` stays; what is from `read` on has not been moved yet.
        let (mut stays, mut read) = (0, 0);
        for (&(key, waiting), &score) in open.iter().zip(&*scores) {
            let hash = hashes[key];
            // Most are turned down: a key that does not pass the cut has not entered the table in
            // the meantime, unless it was there all along and its count is full.
            if !self.cut.admits(score, hash) && self.table.find(hash).is_none() {
                if !self.oracle_failed {
                    self.verdicts.turn_down(hash);
                }
            } else if self.place(&keys[key], hash, 1, Some(score)) == 0 {
                if stays < read {
                    residual.copy_within(read..waiting, stays);
                }
                stays += waiting - read;
                read = waiting + 1;
            }
        }
        if stays < read {
            residual.copy_within(read.., stays);
        }
        stays + residual.len() - read
    }

    /// Counts all that wait, open or not, one after the other.
    fn decide_in_order(
        &mut self,
        keys: &[K],
        hashes: &[u64],
        open: &[(usize, usize)],
        scores: &[f32],
        residual: &[u64],
    ) where
        K: Sized,
    {
        let mut open = open.iter().zip(scores).peekable();
        for (i, &hash) in residual.iter().enumerate() {
            let rest = match open.next_if(|&(&(_, waiting), _)| waiting == i) {
                Some((&(key, _), &score)) => self.place(&keys[key], hashes[key], 1, Some(score)),
                None => 1,
            };
            if rest > 0 {
                self.sketch.update_hash(hash, rest);
            }
        }
    }

    /// Counts a key, whose score may be known, in the table if it belongs there; gives how many of
    /// its occurrences the sketch has to count.
    fn place(&mut self, key: &K, hash: u64, by: u64, score: Option<f32>) -> u64 {
        let score = self.keep_sample(key, hash, score);
        match self.table.look_up(hash) {
            LookUp::Found(place) => self.count(place, by),
            LookUp::Room if !self.oracle_failed && !self.verdicts.turned_down(hash) => {
                let score = score.unwrap_or_else(|| self.score(key));
                // A failure of the oracle need not happen again.
                self.late |= !score.is_finite() && !self.oracle_failed;
                if !self.oracle_failed && self.cut.admits(score, hash) {
                    self.admit(hash, by)
                } else {
                    self.verdicts.turn_down(hash);
                    by
                }
            }
            LookUp::Room | LookUp::Full => by,
        }
    }

    fn score(&mut self, key: &K) -> f32 {
        let mut score = [0.0];
        self.ask(&[key], &mut score);
        score[0]
    }

    /// Counts occurrences of a key that has a slot; gives how many do not fit.
    fn count(&mut self, place: Place, by: u64) -> u64 {
        let mut rest = 0;
        if !self.table.add(place, by) {
            rest = self.table.overflow(place, by);
            self.stats.spilled = self.stats.spilled.saturating_add(1);
        }
        self.stats.explicit = self.stats.explicit.saturating_add(by - rest);
        rest
    }

    /// Gives a key a slot, of which there is one, and counts it there; gives how many occurrences do
    /// not fit.
    fn admit(&mut self, hash: u64, by: u64) -> u64 {
        self.stats.admitted = self.stats.admitted.saturating_add(1);
        let mut entry = Entry::exact(0);
        if self.late {
            // The sketch may have counted the key.
            let before = self.sketch.estimate_hash(hash).to_f64();
            entry.late = before > 0.0 || !self.sketch.never_underestimates();
            self.stats.late = self.stats.late.saturating_add(entry.late.into());
            if before > 0.0 {
                entry.count = (before.ceil() as u64).min(ExplicitTable::<T>::max_count());
                // More than a slot holds: the sketch keeps the rest.
                entry.partial = before > entry.count as f64;
            }
        }
        let place = self.table.store(hash, entry);
        self.count(place, by)
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
            let Some(base) = sample.better(&self.base, share) else {
                return Some(score);
            };
            self.base = base;
            let cut = base.at_least(self.worth);
            if cut.is_below(&self.cut) {
                self.late = true;
                self.verdicts.clear();
            }
            self.cut = cut;
        }
        Some(score)
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
