//! What a learned sketch is to be like.

use std::marker::PhantomData;

use super::sketch::Learned;
use super::table::{ExplicitTable, Slot, Slot8};
use super::threshold::{Cut, Sample, Threshold};
use super::verdicts::Verdicts;
use crate::error::SketchError;
use crate::frequency::FrequencySketch;
use crate::oracle::Oracle;

/// Which keys above the threshold are admitted to the table.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Admission {
    /// All, as long as there is room.
    #[default]
    FirstCome,
    /// Those whose expected count is worth a slot, as long as there is room.
    ///
    /// The bytes of a slot, spent on the sketch instead, would carry their share of what is in the
    /// sketch. With `R` occurrences in a sketch of `B` bytes whose error grows with the square of
    /// `R / B` (one row, saturated), taking `m` occurrences out is worth `s` bytes when
    /// `m > s R / (2 B)`. With more rows or an unsaturated sketch the exponent is another one, and
    /// the price may be too high or too low. At the end of a window `R` is taken from that window.
    ///
    /// Needs calibrated scores: the natural logarithm of the expected count, as an oracle trained
    /// with the Poisson deviance gives. Scores that merely rank keys mean nothing here.
    CostBased {
        /// Occurrences that a window is expected to bring.
        expected_total: u64,
    },
}

/// The largest table of verdicts by default: `2^14` entries.
const VERDICT_BITS: u32 = 14;

/// The share of the budget that the table of verdicts takes at most by default.
const VERDICT_SHARE: usize = 16;

/// Bytes of a verdict.
const VERDICT_BYTES: usize = 4;

/// How the budget is divided between the table and the sketch.
#[derive(Clone, Copy, Debug)]
enum Division {
    Share(f64),
    Slots(usize),
}

/// Builds a [`Learned`] sketch; see [`Learned::builder`].
#[derive(Debug)]
#[must_use]
pub struct LearnedBuilder<K: ?Sized, S, O, T: Slot = Slot8> {
    oracle: O,
    bytes: usize,
    division: Division,
    threshold: Threshold,
    admission: Admission,
    validation_scores: Vec<f32>,
    expected_keys: Option<u64>,
    verdict_bits: Option<Option<u32>>,
    charge_model: bool,
    keys: PhantomData<fn(&K)>,
    sketch: PhantomData<S>,
    slots: PhantomData<T>,
}

impl<K: ?Sized, S: FrequencySketch, O: Oracle<K>, T: Slot> LearnedBuilder<K, S, O, T> {
    pub(super) fn new(oracle: O) -> Self {
        Self {
            oracle,
            bytes: 1 << 20,
            division: Division::Share(0.5),
            threshold: Threshold::Quantile { over: 1.10 },
            admission: Admission::FirstCome,
            validation_scores: Vec::new(),
            expected_keys: None,
            verdict_bits: None,
            charge_model: true,
            keys: PhantomData,
            sketch: PhantomData,
            slots: PhantomData,
        }
    }

    /// The budget: bytes of everything together, the oracle's model included.
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// The share of the table, from 0 to 1, in what the model and the verdicts leave over.
    pub fn explicit_share(mut self, share: f64) -> Self {
        self.division = Division::Share(share);
        self
    }

    /// The slots of the table, rounded up to whole buckets of 128 bytes; the sketch gets the rest.
    pub fn slots(mut self, slots: usize) -> Self {
        self.division = Division::Slots(slots);
        self
    }

    /// From which score on keys are counted in the table.
    pub fn threshold(mut self, threshold: Threshold) -> Self {
        self.threshold = threshold;
        self
    }

    /// Which keys above the threshold are admitted.
    pub fn admission(mut self, admission: Admission) -> Self {
        self.admission = admission;
        self
    }

    /// The scores of the different keys of a window before the one to be counted. Their number is
    /// taken for that of the different keys to come, unless [`expected_keys`](Self::expected_keys)
    /// says otherwise.
    pub fn validation_scores(mut self, scores: impl Into<Vec<f32>>) -> Self {
        self.validation_scores = scores.into();
        self
    }

    /// How many different keys a window is expected to bring.
    pub fn expected_keys(mut self, keys: u64) -> Self {
        self.expected_keys = Some(keys);
        self
    }

    /// Remembers the verdicts on the keys that were turned down last in `2^bits` entries of 4
    /// bytes, up to 2^24, or none. By default 2^14, or fewer so that they take no more than a
    /// sixteenth of the budget.
    pub fn verdict_bits(mut self, bits: Option<u32>) -> Self {
        self.verdict_bits = Some(bits);
        self
    }

    /// Whether the bytes of the model count towards the budget, as they do by default. The papers
    /// leave them out; a comparison with a sketch that has no model must not.
    pub fn charge_model(mut self, charge: bool) -> Self {
        self.charge_model = charge;
        self
    }

    /// Counts in another kind of slot.
    pub fn slot<U: Slot>(self) -> LearnedBuilder<K, S, O, U> {
        LearnedBuilder {
            oracle: self.oracle,
            bytes: self.bytes,
            division: self.division,
            threshold: self.threshold,
            admission: self.admission,
            validation_scores: self.validation_scores,
            expected_keys: self.expected_keys,
            verdict_bits: self.verdict_bits,
            charge_model: self.charge_model,
            keys: PhantomData,
            sketch: PhantomData,
            slots: PhantomData,
        }
    }

    /// The empty learned sketch. `sketch` makes the sketch behind the table, for the bytes that are
    /// left for it.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`], naming the parameter that is out of its range or missing, and
    /// what `sketch` gives.
    pub fn build(
        self,
        sketch: impl FnOnce(usize) -> Result<S, SketchError>,
    ) -> Result<Learned<K, S, O, T>, SketchError> {
        self.check_threshold()?;
        let verdict_bits = self.verdict_bits.unwrap_or_else(|| {
            let entries = self.bytes / VERDICT_SHARE / VERDICT_BYTES;
            entries.checked_ilog2().map(|bits| bits.min(VERDICT_BITS))
        });
        if verdict_bits.is_some_and(|bits| bits > 24) {
            return Err(SketchError::parameter(
                "verdict_bits",
                "0 to 24",
                verdict_bits.unwrap_or_default(),
            ));
        }
        let model = if self.charge_model {
            self.oracle.model_bytes()
        } else {
            0
        };
        let verdicts = verdict_bits.map_or(0, |bits| VERDICT_BYTES << bits);
        let adaptive = matches!(self.threshold, Threshold::Adaptive { .. });
        let kept = adaptive.then(|| Sample::new(Sample::size_for(self.bytes)));
        let sample = kept.as_ref().map_or(0, Sample::size_bytes);
        let rest = self
            .bytes
            .checked_sub(model + verdicts + sample)
            .ok_or_else(|| {
                SketchError::parameter(
                    "bytes",
                    format!(
                        "at least {model} for the model, {verdicts} for the verdicts, {sample} for \
                         the sample of scores"
                    ),
                    self.bytes,
                )
            })?;
        let table = match self.division {
            Division::Share(share) if (0.0..=1.0).contains(&share) => {
                ExplicitTable::<T>::with_bytes((rest as f64 * share) as usize)
            }
            Division::Share(share) => {
                return Err(SketchError::parameter("explicit_share", "0 to 1", share));
            }
            Division::Slots(slots) => {
                let possible = rest / ExplicitTable::<T>::SLOT_BYTES;
                let slots_of_a_bucket = ExplicitTable::<T>::slots_of_a_bucket();
                if slots > possible / slots_of_a_bucket * slots_of_a_bucket {
                    return Err(SketchError::parameter(
                        "slots",
                        format!("at most {possible} in {rest} bytes, in whole buckets"),
                        slots,
                    ));
                }
                ExplicitTable::with_slots(slots)
            }
        };
        let sketch = sketch(rest - table.size_bytes())?;
        let expected_keys = self
            .expected_keys
            .unwrap_or(self.validation_scores.len() as u64) as f64;
        let slots = table.slots() as f64;
        let cut = match self.threshold {
            Threshold::Fixed(score) => Cut::above(score),
            Threshold::Quantile { over } | Threshold::Adaptive { over } => {
                let scores = self.validation_scores;
                if scores.is_empty() {
                    Cut::ALL
                } else {
                    let keys = over * slots * scores.len() as f64 / expected_keys;
                    Cut::passed_by(keys, scores)
                }
            }
        };
        Ok(Learned::new(
            table,
            sketch,
            self.oracle,
            Verdicts::new(verdict_bits),
            self.threshold,
            cut,
            self.admission,
            expected_keys,
            kept,
        ))
    }

    fn check_threshold(&self) -> Result<(), SketchError> {
        let over = match self.threshold {
            Threshold::Fixed(score) if score.is_nan() => {
                return Err(SketchError::parameter("threshold", "a number", score));
            }
            Threshold::Fixed(_) => return Ok(()),
            Threshold::Quantile { over } => {
                if self.validation_scores.is_empty() {
                    return Err(SketchError::parameter(
                        "validation_scores",
                        "the scores of a validation window, for a threshold that is a quantile",
                        "none",
                    ));
                }
                over
            }
            Threshold::Adaptive { over } => {
                if self.validation_scores.is_empty() && self.expected_keys.is_none() {
                    return Err(SketchError::parameter(
                        "expected_keys",
                        "the number of different keys of a window, for an adaptive threshold \
                         without validation scores",
                        "none",
                    ));
                }
                over
            }
        };
        if !(over > 0.0 && over.is_finite()) {
            return Err(SketchError::parameter(
                "threshold",
                "a positive number of keys for each slot",
                over,
            ));
        }
        if self.expected_keys == Some(0) {
            return Err(SketchError::parameter("expected_keys", "at least 1", 0));
        }
        Ok(())
    }
}
