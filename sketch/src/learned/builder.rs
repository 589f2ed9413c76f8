//! Builder for [`Learned`].

use std::marker::PhantomData;

use super::cut::Cut;
use super::policy::{Admission, AdmissionPolicy};
use super::rejection_cache::RejectionCache;
use super::sample::Sample;
use super::sketch::Learned;
use super::table::{ExplicitTable, Slot, Slot8};
use super::threshold::Threshold;
use crate::error::SketchError;
use crate::frequency::FrequencySketch;
use crate::key::Key;
use crate::oracle::Oracle;

/// The largest rejection cache by default: `2^14` entries.
const MAX_DEFAULT_CACHE_BITS: u32 = 14;

/// By default the rejection cache takes at most a sixteenth of the budget.
const DEFAULT_CACHE_DIVISOR: usize = 16;

/// Bytes of an entry of the rejection cache.
const CACHE_ENTRY_BYTES: usize = 4;

/// The largest rejection cache: `2^24` entries.
pub(super) const MAX_CACHE_BITS: u8 = 24;

/// The division of the budget between table and sketch.
#[derive(Clone, Copy, Debug)]
enum Division {
    Fraction(f64),
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
    rejection_cache_bits: Option<Option<u32>>,
    charge_model: bool,
    keys: PhantomData<fn(&K)>,
    sketch: PhantomData<S>,
    slots: PhantomData<T>,
}

impl<K: Key + ?Sized, S: FrequencySketch, O: Oracle<K>> Learned<K, S, O> {
    /// A builder: 1 MiB in all, half of it for a table of 8-byte slots, a threshold at the quantile
    /// of validation scores with 1.10 keys per slot, first come first served.
    pub fn builder(oracle: O) -> LearnedBuilder<K, S, O, Slot8> {
        LearnedBuilder::new(oracle)
    }
}

impl<K: ?Sized, S: FrequencySketch, O: Oracle<K>, T: Slot> LearnedBuilder<K, S, O, T> {
    fn new(oracle: O) -> Self {
        Self {
            oracle,
            bytes: 1 << 20,
            division: Division::Fraction(0.5),
            threshold: Threshold::Quantile {
                keys_per_slot: 1.10,
            },
            admission: Admission::FirstCome,
            validation_scores: Vec::new(),
            expected_keys: None,
            rejection_cache_bits: None,
            charge_model: true,
            keys: PhantomData,
            sketch: PhantomData,
            slots: PhantomData,
        }
    }

    /// The memory budget in bytes for everything, including the oracle's model.
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// The fraction of the budget, without model and rejection cache, that the table takes: 0 to 1.
    pub fn explicit_fraction(mut self, fraction: f64) -> Self {
        self.division = Division::Fraction(fraction);
        self
    }

    /// The number of slots of the table, rounded up to whole buckets of 128 bytes. The sketch gets the
    /// rest of the budget. Overrides [`explicit_fraction`](Self::explicit_fraction).
    pub fn slots(mut self, slots: usize) -> Self {
        self.division = Division::Slots(slots);
        self
    }

    /// The threshold on scores above which keys are counted in the table.
    pub fn threshold(mut self, threshold: Threshold) -> Self {
        self.threshold = threshold;
        self
    }

    /// Which keys above the threshold are admitted.
    pub fn admission(mut self, admission: Admission) -> Self {
        self.admission = admission;
        self
    }

    /// The scores of the distinct keys of an earlier window. Their number is the expected number of
    /// distinct keys, unless [`expected_keys`](Self::expected_keys) is set.
    pub fn validation_scores(mut self, scores: impl Into<Vec<f32>>) -> Self {
        self.validation_scores = scores.into();
        self
    }

    /// The expected number of distinct keys in a window.
    pub fn expected_keys(mut self, keys: u64) -> Self {
        self.expected_keys = Some(keys);
        self
    }

    /// The size of the cache of recently rejected keys: `2^bits` entries of 4 bytes, up to 2^24, or
    /// no cache. By default 2^14 entries, or as many as fit into a sixteenth of the budget.
    pub fn rejection_cache_bits(mut self, bits: Option<u32>) -> Self {
        self.rejection_cache_bits = Some(bits);
        self
    }

    /// Whether the bytes of the model count towards the budget; `true` by default. The papers exclude
    /// them; a fair comparison with a sketch without a model must not.
    pub fn charge_model(mut self, charge: bool) -> Self {
        self.charge_model = charge;
        self
    }

    /// Changes the layout of the slots.
    pub fn slot<U: Slot>(self) -> LearnedBuilder<K, S, O, U> {
        LearnedBuilder {
            oracle: self.oracle,
            bytes: self.bytes,
            division: self.division,
            threshold: self.threshold,
            admission: self.admission,
            validation_scores: self.validation_scores,
            expected_keys: self.expected_keys,
            rejection_cache_bits: self.rejection_cache_bits,
            charge_model: self.charge_model,
            keys: PhantomData,
            sketch: PhantomData,
            slots: PhantomData,
        }
    }

    /// The empty learned sketch. `sketch` builds the sketch behind the table from the number of bytes
    /// that are left for it.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`], naming the parameter that is out of its range or missing, and
    /// the errors of `sketch`.
    pub fn build(
        self,
        sketch: impl FnOnce(usize) -> Result<S, SketchError>,
    ) -> Result<Learned<K, S, O, T>, SketchError> {
        self.check_threshold()?;
        // The fixed parts of the budget: rejection cache, model, and sample.
        let rejection_cache_bits = self.rejection_cache_bits.unwrap_or_else(|| {
            let entries = self.bytes / DEFAULT_CACHE_DIVISOR / CACHE_ENTRY_BYTES;
            entries
                .checked_ilog2()
                .map(|bits| bits.min(MAX_DEFAULT_CACHE_BITS))
        });
        if rejection_cache_bits.is_some_and(|bits| bits > MAX_CACHE_BITS.into()) {
            return Err(SketchError::parameter(
                "rejection_cache_bits",
                format!("0 to {MAX_CACHE_BITS}"),
                rejection_cache_bits.unwrap_or_default(),
            ));
        }
        let model = if self.charge_model {
            self.oracle.model_bytes()
        } else {
            0
        };
        let cache = rejection_cache_bits.map_or(0, |bits| CACHE_ENTRY_BYTES << bits);
        let adaptive = matches!(self.threshold, Threshold::Adaptive { .. });
        let sample = adaptive.then(|| Sample::new(Sample::size_for(self.bytes)));
        let sample_bytes = sample.as_ref().map_or(0, Sample::size_bytes);
        let rest = self
            .bytes
            .checked_sub(model + cache + sample_bytes)
            .ok_or_else(|| {
                SketchError::parameter(
                    "bytes",
                    format!(
                        "at least {model} for the model, {cache} for the rejection cache, \
                         {sample_bytes} for the sample of scores"
                    ),
                    self.bytes,
                )
            })?;
        // The rest is divided between the table and the sketch.
        let table = match self.division {
            Division::Fraction(fraction) if (0.0..=1.0).contains(&fraction) => {
                ExplicitTable::<T>::with_bytes((rest as f64 * fraction) as usize)
            }
            Division::Fraction(fraction) => {
                let expected = "0 to 1";
                return Err(SketchError::parameter(
                    "explicit_fraction",
                    expected,
                    fraction,
                ));
            }
            Division::Slots(slots) => {
                let max = rest / ExplicitTable::<T>::SLOT_BYTES;
                let slots_per_bucket = ExplicitTable::<T>::slots_per_bucket();
                if slots > max / slots_per_bucket * slots_per_bucket {
                    return Err(SketchError::parameter(
                        "slots",
                        format!("at most {max} in {rest} bytes, in whole buckets"),
                        slots,
                    ));
                }
                ExplicitTable::with_slots(slots)
            }
        };
        // Bytes that do not fill a bucket go to the sketch.
        let sketch = sketch(rest - table.size_bytes())?;
        // The initial cut: that of the validation scores, scaled to the expected number of keys.
        let expected_keys = self
            .expected_keys
            .unwrap_or(self.validation_scores.len() as u64) as f64;
        let slots = table.slots() as f64;
        let cut = match self.threshold {
            Threshold::Fixed(score) => Cut::above(score),
            Threshold::Quantile { keys_per_slot } | Threshold::Adaptive { keys_per_slot } => {
                let scores = self.validation_scores;
                if scores.is_empty() {
                    Cut::ALL
                } else {
                    let keys = keys_per_slot * slots * scores.len() as f64 / expected_keys;
                    Cut::passed_by(keys, scores)
                }
            }
        };
        let rejections = RejectionCache::new(rejection_cache_bits);
        let policy =
            AdmissionPolicy::new(self.threshold, self.admission, cut, expected_keys, sample);
        Ok(Learned::new(table, sketch, self.oracle, policy, rejections))
    }

    /// Checks that the threshold is valid and that what it requires is there.
    fn check_threshold(&self) -> Result<(), SketchError> {
        let keys_per_slot = match self.threshold {
            Threshold::Fixed(score) if score.is_nan() => {
                return Err(SketchError::parameter("threshold", "a number", score));
            }
            Threshold::Fixed(_) => return Ok(()),
            Threshold::Quantile { keys_per_slot } => {
                if self.validation_scores.is_empty() {
                    return Err(SketchError::parameter(
                        "validation_scores",
                        "the scores of a validation window, for a quantile threshold",
                        "none",
                    ));
                }
                keys_per_slot
            }
            Threshold::Adaptive { keys_per_slot } => {
                if self.validation_scores.is_empty() && self.expected_keys.is_none() {
                    return Err(SketchError::parameter(
                        "expected_keys",
                        "the number of distinct keys in a window, for an adaptive threshold \
                         without validation scores",
                        "none",
                    ));
                }
                keys_per_slot
            }
        };
        // Negated, so that NaN is refused as well.
        if !(keys_per_slot > 0.0 && keys_per_slot.is_finite()) {
            return Err(SketchError::parameter(
                "threshold",
                "a positive number of keys for each slot",
                keys_per_slot,
            ));
        }
        if self.expected_keys == Some(0) {
            return Err(SketchError::parameter("expected_keys", "at least 1", 0));
        }
        Ok(())
    }
}
