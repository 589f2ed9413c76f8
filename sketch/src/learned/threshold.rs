//! From which score on is a key counted in the table?

use crate::key::hash_integer;

/// How the score is chosen above which keys are counted in the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// The score that `over` times as many keys as there are slots reached in a validation window.
    /// Somewhat more than one (1.10 in Du et al.), so that the table fills although the keys come
    /// in any order and buckets fill unevenly. Needs validation scores.
    Quantile {
        /// Keys above the threshold for each slot.
        over: f64,
    },
    /// This score. A key of exactly this score is not admitted.
    Fixed(f32),
    /// As `Quantile`, but of a sample of the keys that the stream itself brings: the threshold
    /// follows the stream into a world where scores mean something else. At the end of a window it
    /// is set from the keys of that window. Within a window it moves only when it is far off, after
    /// a thousand different keys at the earliest; when it falls, keys may be admitted that the
    /// sketch has counted. Begins with the quantile of the validation scores, if there are any.
    Adaptive {
        /// Keys above the threshold for each slot.
        over: f64,
    },
}

impl Threshold {
    /// The name of the kind.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Quantile { .. } => "quantile",
            Self::Fixed(_) => "fixed",
            Self::Adaptive { .. } => "adaptive",
        }
    }
}

/// A score that can be compared: what is not a finite number is lower than everything.
#[inline]
pub(super) fn comparable(score: f32) -> f32 {
    if score.is_finite() {
        score
    } else {
        f32::NEG_INFINITY
    }
}

/// Keys above a score are admitted, and of the keys of just this score a share.
///
/// Scores of few different values (an oracle that knows classes only, or that says the same of all
/// keys) make large groups of ties. Which keys of a group are admitted depends on their hash, and
/// so is the same whenever it is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cut {
    pub(super) score: f32,
    /// Of the keys of this score, those are admitted whose 32 bits are below: 0 to 2^32.
    pub(super) ties: u64,
}

impl Cut {
    /// Admits every key.
    pub(super) const ALL: Self = Self {
        score: f32::NEG_INFINITY,
        ties: 1 << 32,
    };

    /// Admits keys above a score.
    pub(super) fn above(score: f32) -> Self {
        Self { score, ties: 0 }
    }

    /// The cut that `keys` of these scores pass, as an expectation over ties.
    pub(super) fn passed_by(keys: f64, mut scores: Vec<f32>) -> Self {
        if keys >= scores.len() as f64 {
            return Self::ALL;
        }
        for score in &mut scores {
            *score = comparable(*score);
        }
        let rank = (keys.ceil() as usize).max(1) - 1;
        let (_, &mut score, _) =
            scores.select_nth_unstable_by(rank, |left, right| right.total_cmp(left));
        let above = scores.iter().filter(|&&other| other > score).count();
        let equal = scores.iter().filter(|&&other| other == score).count();
        let share = ((keys - above as f64) / equal as f64).clamp(0.0, 1.0);
        Self {
            score,
            ties: (share * (1u64 << 32) as f64) as u64,
        }
    }

    /// The stricter of this cut and a score.
    pub(super) fn at_least(self, score: f32) -> Self {
        if score > self.score {
            Self::above(score)
        } else {
            self
        }
    }

    /// Whether a key of this score and hash is admitted.
    #[inline]
    pub(super) fn admits(&self, score: f32, hash: u64) -> bool {
        let score = comparable(score);
        score > self.score
            || (score == self.score && hash_integer(hash, 0x7469_6573) >> 32 < self.ties)
    }

    /// Whether this cut admits keys that the other does not.
    pub(super) fn is_below(&self, other: &Self) -> bool {
        self.score < other.score || (self.score == other.score && self.ties > other.ties)
    }
}

/// One new key in the sample for so many that it holds, and the cut is looked at again.
const LOOKS: usize = 8;

/// How many times more often the first different keys of a window may pass a cut than all do, before
/// the cut is called too low,
const EARLY_AT_MOST: f64 = 8.0;

/// and how many times more often they pass the cut that is then chosen (half of that when the cut
/// was too high: a table that fills too early cannot be mended, one that fills too late can).
const EARLY: f64 = 4.0;

/// The most keys that a sample holds.
pub(super) const LARGEST_SAMPLE: usize = 1024;

/// The scores of the different keys of a stream with the smallest hashes: a uniform sample of the
/// keys, however often each occurs, that also tells how many different keys there are (Z.
/// Bar-Yossef and others, "Counting distinct elements in a data stream", 2002).
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) size: usize,
    /// In ascending order.
    pub(super) hashes: Vec<u64>,
    pub(super) scores: Vec<f32>,
    pub(super) added: usize,
}

impl Sample {
    /// A sample of up to `size` different keys.
    pub(super) fn new(size: usize) -> Self {
        Self {
            size,
            hashes: Vec::with_capacity(size),
            scores: Vec::with_capacity(size),
            added: 0,
        }
    }

    /// The size for a budget of so many bytes in all: a sixteenth of it, but 128 to 1024 keys.
    pub(super) fn size_for(budget: usize) -> usize {
        (budget / 16 / Self::KEY_BYTES).clamp(128, LARGEST_SAMPLE)
    }

    const KEY_BYTES: usize = size_of::<u64>() + size_of::<f32>();

    pub(super) fn size_bytes(&self) -> usize {
        self.size * Self::KEY_BYTES
    }

    /// Whether the key of this hash belongs into the sample and is not there yet.
    #[inline]
    pub(super) fn lacks(&self, hash: u64) -> bool {
        (self.hashes.len() < self.size || hash < self.hashes[self.size - 1])
            && self.hashes.binary_search(&hash).is_err()
    }

    /// Takes in a key that the sample lacks; whether it is time to set the cut anew.
    pub(super) fn add(&mut self, hash: u64, score: f32) -> bool {
        if self.is_full() {
            self.hashes.pop();
            self.scores.pop();
        }
        let place = self.hashes.partition_point(|&other| other < hash);
        self.hashes.insert(place, hash);
        self.scores.insert(place, score);
        self.added = self.added.wrapping_add(1);
        self.is_full() && self.added.is_multiple_of((self.size / LOOKS).max(1))
    }

    pub(super) fn is_full(&self) -> bool {
        self.hashes.len() == self.size
    }

    /// About how many different keys there were; relative standard error `1 / sqrt(size)` for many.
    pub(super) fn different_keys(&self) -> f64 {
        match self.hashes.last() {
            Some(&largest) if self.is_full() => {
                (self.size - 1) as f64 / ((largest as f64 + 1.0) / 2f64.powi(64))
            }
            _ => self.hashes.len() as f64,
        }
    }

    /// The cut that this share of the sampled keys passes.
    pub(super) fn cut(&self, share: f64) -> Cut {
        Cut::passed_by(share * self.scores.len() as f64, self.scores.clone())
    }

    /// A better cut than this one within a window, when this share of all keys is to pass.
    ///
    /// Frequent keys come early, and their scores are high: the different keys seen so far pass more
    /// often than all keys of the window will. So too few of them is a proof that the cut is too
    /// high, but too many is one only beyond what the most frequent keys can explain.
    pub(super) fn better(&self, cut: &Cut, share: f64) -> Option<Cut> {
        let sampled = self.hashes.iter().zip(&self.scores);
        let passed = sampled
            .filter(|&(&hash, &score)| cut.admits(score, hash))
            .count() as f64;
        let keys = self.scores.len() as f64;
        let expected = share.min(1.0) * keys;
        let too_few = passed + 4.0 * expected.sqrt() < expected;
        let too_many = passed > (EARLY_AT_MOST * expected).min(0.9 * keys) && share < 0.5;
        if too_few {
            Some(self.cut(EARLY / 2.0 * share))
        } else if too_many {
            Some(self.cut(EARLY * share))
        } else {
            None
        }
    }

    pub(super) fn clear(&mut self) {
        self.hashes.clear();
        self.scores.clear();
        self.added = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(cut: &Cut, scores: &[f32]) -> usize {
        scores
            .iter()
            .zip(0..)
            .filter(|&(&score, key)| cut.admits(score, hash_integer(key, 0)))
            .count()
    }

    #[test]
    fn a_quantile_is_passed_by_that_many() {
        let scores: Vec<f32> = (0..1000).map(|i| (i * 7 % 1000) as f32).collect();
        for keys in [1, 10, 500, 999, 1000] {
            let cut = Cut::passed_by(f64::from(keys), scores.clone());
            assert_eq!(admitted(&cut, &scores), keys as usize);
        }
        assert_eq!(admitted(&Cut::passed_by(0.0, scores.clone()), &scores), 0);
    }

    #[test]
    fn ties_are_broken_by_the_hash() {
        let scores = vec![2.5; 100_000];
        let cut = Cut::passed_by(20_000.0, scores.clone());
        let passed = admitted(&cut, &scores) as f64;
        // The standard deviation of the number is 126.
        assert!((passed - 20_000.0).abs() < 760.0, "{passed}");
        let half: Vec<f32> = (0..100_000).map(|i| (i % 2) as f32).collect();
        let passed = admitted(&Cut::passed_by(60_000.0, half.clone()), &half) as f64;
        assert!((passed - 60_000.0).abs() < 600.0, "{passed}");
    }

    #[test]
    fn what_is_not_finite_is_lowest() {
        let scores = [1.0, f32::NAN, -5.0, f32::INFINITY, f32::NEG_INFINITY];
        let cut = Cut::passed_by(2.0, scores.to_vec());
        assert_eq!(cut.score, -5.0);
        assert_eq!(admitted(&cut, &scores), 2);
        assert!(!Cut::above(f32::NEG_INFINITY).admits(f32::NAN, 1));
        assert!(Cut::ALL.admits(f32::NAN, 1));
    }

    #[test]
    fn a_sample_counts_different_keys() {
        let mut sample = Sample::new(1024);
        for occurrence in 0u64..200_000 {
            // Half of the occurrences are of ten keys.
            let key = if occurrence % 2 == 0 {
                occurrence % 20
            } else {
                occurrence
            };
            let hash = hash_integer(key, 5);
            if sample.lacks(hash) {
                sample.add(hash, (key % 100) as f32);
            }
        }
        let keys = sample.different_keys();
        assert!((keys / 100_010.0 - 1.0).abs() < 0.16, "{keys}");
        let cut = sample.cut(0.25);
        // Odd numbers below 100: a quarter is above 75 or so.
        assert!((67.0..83.0).contains(&cut.score), "{}", cut.score);
    }
}
