//! Which keys are admitted to the table.

use super::cut::{Cut, comparable};
use super::sample::Sample;
use super::threshold::Threshold;
use crate::codec::input::Input;
use crate::error::SketchError;

/// Which keys above the threshold are admitted to the table.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Admission {
    /// All, while slots are free.
    #[default]
    FirstCome,
    /// Those whose expected count is worth a slot, while slots are free.
    ///
    /// The bytes of a slot could be spent on the sketch instead. With `R` occurrences in a sketch of
    /// `B` bytes whose error grows with the square of `R / B` (one row, saturated), removing `m`
    /// occurrences is worth `s` bytes when `m > s R / (2 B)`. With more rows or an unsaturated sketch
    /// the exponent differs, and the price may be too high or too low. At the end of a window `R` is
    /// taken from that window.
    ///
    /// Requires calibrated scores: the natural logarithm of the expected count, as predicted by an
    /// oracle trained with the Poisson deviance. Scores that only rank keys are meaningless here.
    CostBased {
        /// The expected total count of a window.
        expected_total: u64,
    },
}

/// The state of the decision which keys are admitted.
#[derive(Clone, Debug)]
pub(super) struct AdmissionPolicy {
    threshold: Threshold,
    admission: Admission,
    /// The cut of the threshold alone.
    base: Cut,
    /// The stricter of `base` and `min_score`.
    cut: Cut,
    /// The expected number of distinct keys in a window.
    expected_keys: f64,
    /// The score from which on a key is worth its slot.
    min_score: f32,
    /// Present if the threshold is adaptive.
    sample: Option<Sample>,
}

impl AdmissionPolicy {
    /// A policy that starts with the cut `base`.
    pub(super) fn new(
        threshold: Threshold,
        admission: Admission,
        base: Cut,
        expected_keys: f64,
        sample: Option<Sample>,
    ) -> Self {
        Self {
            threshold,
            admission,
            base,
            cut: base,
            expected_keys,
            min_score: f32::NEG_INFINITY,
            sample,
        }
    }

    /// The expected total count of a window, if keys are admitted by cost.
    pub(super) fn expected_total(&self) -> Option<u64> {
        match self.admission {
            Admission::FirstCome => None,
            Admission::CostBased { expected_total } => Some(expected_total),
        }
    }

    /// Sets the price of a slot for `residual` occurrences in a sketch of `sketch_bytes`; see
    /// [`Admission::CostBased`].
    pub(super) fn set_price(&mut self, residual: f64, slot_bytes: usize, sketch_bytes: usize) {
        let bytes = sketch_bytes.max(1) as f64;
        // Scores are logarithms of expected counts; an empty residual makes every key worth its slot.
        let min_count = slot_bytes as f64 * residual / (2.0 * bytes);
        self.min_score = comparable(min_count.ln() as f32);
        self.cut = self.base.at_least(self.min_score);
    }

    /// Whether a key with this score and hash is admitted.
    #[inline]
    pub(super) fn admits(&self, score: f32, hash: u64) -> bool {
        self.cut.admits(score, hash)
    }

    /// The score above which keys are admitted.
    pub(super) fn score(&self) -> f32 {
        self.cut.score
    }

    fn is_adaptive(&self) -> bool {
        matches!(self.threshold, Threshold::Adaptive { .. })
    }

    /// Whether both policies have always admitted the same keys since their windows began.
    pub(super) fn has_fixed_cut_of(&self, other: &Self) -> bool {
        !self.is_adaptive() && !other.is_adaptive() && self.cut == other.cut
    }

    /// What two sketches must have in common to be merged. Adaptive thresholds may have drifted apart.
    pub(super) fn merge_key(&self) -> String {
        match self.threshold {
            Threshold::Adaptive { .. } => self.threshold.kind().to_string(),
            _ => format!("{} {}", self.threshold.kind(), self.cut.score),
        }
    }

    /// Whether the adaptive threshold needs the score of the key with this hash.
    #[inline]
    pub(super) fn samples(&self, hash: u64) -> bool {
        match &self.sample {
            Some(sample) => sample.lacks(hash),
            None => false,
        }
    }

    /// Adds a key that the policy [samples](Self::samples), and corrects the cut if it is far off for
    /// a table of `slots` slots. Returns whether keys may now be admitted that were not before.
    pub(super) fn add_sample(&mut self, hash: u64, score: f32, slots: usize) -> bool {
        let (Some(sample), Threshold::Adaptive { keys_per_slot }) =
            (&mut self.sample, self.threshold)
        else {
            return false;
        };
        if !sample.add(hash, score) {
            return false;
        }
        // Early in a window few keys have been seen; then the expected number is the better guess.
        let keys = self.expected_keys.max(sample.distinct_keys());
        let share = keys_per_slot * slots as f64 / keys;
        let Some(base) = sample.corrected(&self.base, share) else {
            return false;
        };
        let cut = base.at_least(self.min_score);
        let is_lower = cut.is_below(&self.cut);
        self.base = base;
        self.cut = cut;
        is_lower
    }

    /// Sets the cut of an adaptive threshold from the window that ends, for a table of `slots` slots.
    pub(super) fn next_window(&mut self, slots: usize) {
        if let (Some(sample), Threshold::Adaptive { keys_per_slot }) =
            (&self.sample, self.threshold)
            && sample.is_full()
        {
            self.expected_keys = sample.distinct_keys();
            let share = keys_per_slot * slots as f64 / self.expected_keys;
            self.base = sample.cut(share);
            self.cut = self.base.at_least(self.min_score);
        }
    }

    /// Forgets the sampled keys. The cut stays.
    pub(super) fn clear(&mut self) {
        if let Some(sample) = &mut self.sample {
            sample.clear();
        }
    }

    /// Bytes of the sample.
    pub(super) fn size_bytes(&self) -> usize {
        self.sample.as_ref().map_or(0, Sample::size_bytes)
    }

    /// The policy without its sample as bytes: threshold (u8: 0 quantile, 1 fixed, 2 adaptive; its
    /// number as f64), base cut (score f32, ties u64), admission (u8: 0 first come, 1 by cost; expected
    /// total u64), expected keys (f64), minimum score (f32).
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        let (kind, number) = match self.threshold {
            Threshold::Quantile { keys_per_slot } => (0, keys_per_slot),
            Threshold::Fixed(score) => (1, f64::from(score)),
            Threshold::Adaptive { keys_per_slot } => (2, keys_per_slot),
        };
        bytes.push(kind);
        bytes.extend(number.to_le_bytes());
        bytes.extend(self.base.score.to_le_bytes());
        bytes.extend(self.base.ties.to_le_bytes());
        let (kind, expected) = match self.admission {
            Admission::FirstCome => (0, 0),
            Admission::CostBased { expected_total } => (1, expected_total),
        };
        bytes.push(kind);
        bytes.extend(expected.to_le_bytes());
        bytes.extend(self.expected_keys.to_le_bytes());
        bytes.extend(self.min_score.to_le_bytes());
    }

    /// Reads what [`write`](Self::write) has written.
    pub(super) fn read(input: &mut Input<'_>) -> Result<Self, SketchError> {
        let kind = input.u8("threshold")?;
        let at = input.offset();
        let number = f64::from_bits(input.u64("number of the threshold")?);
        let threshold = match kind {
            0 => Threshold::Quantile {
                keys_per_slot: number,
            },
            1 => Threshold::Fixed(number as f32),
            2 => Threshold::Adaptive {
                keys_per_slot: number,
            },
            other => return Err(input.fault_at(at - 1, "0 to 2", format!("{other}"))),
        };
        // A fixed score may be infinite or negative; a number of keys per slot may not.
        if number.is_nan() || (kind != 1 && !(number > 0.0 && number.is_finite())) {
            return Err(input.fault_at(at, "a threshold", format!("{number}")));
        }
        let at = input.offset();
        let base = Cut {
            score: f32::from_bits(input.u32("score of the cut")?),
            ties: input.u64("ties")?,
        };
        // Comparisons with NaN would admit nothing; ties are a fraction of 2^32.
        if base.score.is_nan() || base.ties > 1 << 32 {
            return Err(input.fault_at(at, "a cut", format!("{base:?}")));
        }
        let admission = match (input.u8("admission")?, input.u64("expected total")?) {
            (0, 0) => Admission::FirstCome,
            (1, expected_total) => Admission::CostBased { expected_total },
            other => return Err(input.fault_at(at + 12, "an admission", format!("{other:?}"))),
        };
        let at = input.offset();
        let expected_keys = f64::from_bits(input.u64("expected keys")?);
        let min_score = f32::from_bits(input.u32("minimum score")?);
        if !(expected_keys >= 0.0 && expected_keys.is_finite()) || min_score.is_nan() {
            let found = format!("{expected_keys}, {min_score}");
            return Err(input.fault_at(at, "numbers", found));
        }
        Ok(Self {
            threshold,
            admission,
            base,
            cut: base.at_least(min_score),
            expected_keys,
            min_score,
            sample: None,
        })
    }

    /// Writes the sample, if there is one.
    pub(super) fn write_sample(&self, bytes: &mut Vec<u8>) {
        if let Some(sample) = &self.sample {
            sample.write(bytes);
        }
    }

    /// Reads the sample of an adaptive threshold, for a stream of `total` occurrences.
    pub(super) fn read_sample(
        &mut self,
        input: &mut Input<'_>,
        total: u64,
    ) -> Result<(), SketchError> {
        if self.is_adaptive() {
            self.sample = Some(Sample::read(input, total)?);
        }
        Ok(())
    }
}
