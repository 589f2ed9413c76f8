//! A sample of the distinct keys of a stream, for the adaptive threshold.

use super::cut::Cut;
use crate::codec::input::Input;
use crate::codec::native::{push_varint, varint};
use crate::error::SketchError;

/// The cut is checked this many times while the sample is replaced once.
const CHECKS_PER_SAMPLE: usize = 8;

/// A cut is too low when the first distinct keys of a window pass it this many times as often as all
/// keys should.
const MAX_EARLY_RATIO: f64 = 8.0;

/// The first distinct keys pass a corrected cut this many times as often as all keys should; half as
/// often when the old cut was too high: a table that fills too early stays full, one that fills too
/// late can still be corrected.
const EARLY_RATIO: f64 = 4.0;

/// The maximum size of a sample, in keys.
pub(super) const MAX_SAMPLE_SIZE: usize = 1024;

/// The scores of the distinct keys of a stream with the smallest hashes: a uniform sample of the
/// distinct keys, from which their number can be estimated (Z. Bar-Yossef and others, "Counting
/// distinct elements in a data stream", 2002).
#[derive(Clone, Debug)]
pub(super) struct Sample {
    size: usize,
    /// In ascending order.
    hashes: Vec<u64>,
    scores: Vec<f32>,
    /// Keys that have been added, including those that have left the sample since.
    added: usize,
}

impl Sample {
    /// A sample of up to `size` distinct keys.
    pub(super) fn new(size: usize) -> Self {
        Self {
            size,
            hashes: Vec::with_capacity(size),
            scores: Vec::with_capacity(size),
            added: 0,
        }
    }

    /// The size for a total budget of `budget` bytes: a sixteenth of it, clamped to 128 to 1024 keys.
    pub(super) fn size_for(budget: usize) -> usize {
        (budget / 16 / Self::KEY_BYTES).clamp(128, MAX_SAMPLE_SIZE)
    }

    const KEY_BYTES: usize = size_of::<u64>() + size_of::<f32>();

    pub(super) fn size_bytes(&self) -> usize {
        self.size * Self::KEY_BYTES
    }

    /// Whether the key with this hash belongs to the sample and is not in it yet.
    #[inline]
    pub(super) fn lacks(&self, hash: u64) -> bool {
        (self.hashes.len() < self.size || hash < self.hashes[self.size - 1])
            && self.hashes.binary_search(&hash).is_err()
    }

    /// Adds a key that the sample [lacks](Self::lacks); returns whether to check the cut now.
    pub(super) fn add(&mut self, hash: u64, score: f32) -> bool {
        if self.is_full() {
            self.hashes.pop();
            self.scores.pop();
        }
        let position = self.hashes.partition_point(|&other| other < hash);
        self.hashes.insert(position, hash);
        self.scores.insert(position, score);
        self.added = self.added.wrapping_add(1);
        self.is_full()
            && self
                .added
                .is_multiple_of((self.size / CHECKS_PER_SAMPLE).max(1))
    }

    pub(super) fn is_full(&self) -> bool {
        self.hashes.len() == self.size
    }

    /// The estimated number of distinct keys; the relative standard error is `1 / sqrt(size)`.
    pub(super) fn distinct_keys(&self) -> f64 {
        // The largest of `size` uniform hashes among n keys is about `size / n` of the range.
        match self.hashes.last() {
            Some(&largest) if self.is_full() => {
                (self.size - 1) as f64 / ((largest as f64 + 1.0) / 2f64.powi(64))
            }
            _ => self.hashes.len() as f64,
        }
    }

    /// The cut that this fraction of the sampled keys passes.
    pub(super) fn cut(&self, share: f64) -> Cut {
        Cut::passed_by(share * self.scores.len() as f64, self.scores.clone())
    }

    /// A corrected cut within a window if this cut is far off, when a fraction `share` of all keys
    /// should pass.
    ///
    /// Frequent keys come early and have high scores, so the distinct keys seen so far pass more often
    /// than all keys of the window will. If too few of them pass, the cut is certainly too high; if too
    /// many pass, it is too low only beyond what the most frequent keys can explain.
    pub(super) fn corrected(&self, cut: &Cut, share: f64) -> Option<Cut> {
        let sampled = self.hashes.iter().zip(&self.scores);
        let passed = sampled
            .filter(|&(&hash, &score)| cut.admits(score, hash))
            .count() as f64;
        let keys = self.scores.len() as f64;
        let expected = share.min(1.0) * keys;
        // Four standard deviations of a Poisson number below the expectation.
        let too_few = passed + 4.0 * expected.sqrt() < expected;
        let too_many = passed > (MAX_EARLY_RATIO * expected).min(0.9 * keys) && share < 0.5;
        if too_few {
            Some(self.cut(EARLY_RATIO / 2.0 * share))
        } else if too_many {
            Some(self.cut(EARLY_RATIO * share))
        } else {
            None
        }
    }

    pub(super) fn clear(&mut self) {
        self.hashes.clear();
        self.scores.clear();
        self.added = 0;
    }

    /// The sample as bytes: size and number of keys (varint), keys ever added (u64), and for each key
    /// its hash (u64) and score (f32).
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        push_varint(bytes, self.size as u64);
        push_varint(bytes, self.hashes.len() as u64);
        bytes.extend((self.added as u64).to_le_bytes());
        for (hash, score) in self.hashes.iter().zip(&self.scores) {
            bytes.extend(hash.to_le_bytes());
            bytes.extend(score.to_le_bytes());
        }
    }

    /// Reads what [`write`](Self::write) has written, for a stream of `total` occurrences.
    pub(super) fn read(input: &mut Input<'_>, total: u64) -> Result<Self, SketchError> {
        let at = input.offset();
        let size = varint(input)?;
        if size == 0 || size > MAX_SAMPLE_SIZE as u64 {
            let expected = format!("a sample of 1 to {MAX_SAMPLE_SIZE} keys");
            return Err(input.fault_at(at, expected, format!("{size}")));
        }
        let at = input.offset();
        let count = varint(input)?;
        if count > size {
            return Err(input.fault_at(at, format!("at most {size} keys"), format!("{count}")));
        }
        let mut sample = Self::new(size as usize);
        let at = input.offset();
        let added = input.u64("number of sampled keys")?;
        if added < count || added > total {
            let expected = format!("{count} to {total} sampled keys");
            return Err(input.fault_at(at, expected, format!("{added}")));
        }
        sample.added = usize::try_from(added).unwrap_or(usize::MAX);
        // Lookups rely on strictly ascending hashes.
        for _ in 0..count {
            let at = input.offset();
            let hash = input.u64("hash")?;
            let score = f32::from_bits(input.u32("score")?);
            if sample.hashes.last().is_some_and(|&last| last >= hash) {
                return Err(input.fault_at(at, "hashes in ascending order", format!("{hash}")));
            }
            sample.hashes.push(hash);
            sample.scores.push(score);
        }
        Ok(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::hash_integer;

    #[test]
    fn a_sample_counts_distinct_keys() {
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
        let keys = sample.distinct_keys();
        assert!((keys / 100_010.0 - 1.0).abs() < 0.16, "{keys}");
        let cut = sample.cut(0.25);
        // Odd numbers below 100: a quarter is above 75 or so.
        assert!((67.0..83.0).contains(&cut.score), "{}", cut.score);
    }
}
