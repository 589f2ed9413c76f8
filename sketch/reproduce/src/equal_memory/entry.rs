//! A method at a budget, and its error on a window.

use std::fmt;

use septet_sketch::count_min::UpdateRule;
use septet_sketch::frequency::Estimate as _;
use septet_sketch::heavy_hitters::{MisraGries, SpaceSaving};
use septet_sketch::learned::{ExplicitTable, Learned, Slot8, Threshold};
use septet_sketch::metrics;
use septet_sketch::oracle::Oracle;
use septet_sketch::{CountMin, CountSketch, FrequencySketch, KeyHash, SketchError};
use serde::{Deserialize, Serialize};

use crate::thresholded_count_sketch::ThresholdedCountSketch;

/// The sketch, alone or behind a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Counter {
    CountMin,
    Conservative,
    CountSketch,
    Thresholded,
    SpaceSaving,
    MisraGries,
}

impl Counter {
    pub(super) const ALL: [Self; 6] = [
        Self::CountMin,
        Self::Conservative,
        Self::CountSketch,
        Self::Thresholded,
        Self::SpaceSaving,
        Self::MisraGries,
    ];

    /// Those of the profile `quick`.
    pub(super) const QUICK: [Self; 4] = [
        Self::CountMin,
        Self::Conservative,
        Self::CountSketch,
        Self::SpaceSaving,
    ];

    pub(super) fn depths(self) -> &'static [usize] {
        match self {
            Self::CountMin | Self::Conservative => &[2, 1, 3, 4],
            Self::CountSketch => &[3, 1, 5],
            Self::Thresholded | Self::SpaceSaving | Self::MisraGries => &[1],
        }
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CountMin => "count-min",
            Self::Conservative => "conservative update",
            Self::CountSketch => "count-sketch",
            Self::Thresholded => "thresholded count-sketch",
            Self::SpaceSaving => "SpaceSaving",
            Self::MisraGries => "Misra-Gries",
        })
    }
}

/// What decides which keys get a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum OracleKind {
    /// No oracle: first come, first served.
    FirstCome,
    /// Slots are reserved for the most frequent keys of earlier windows; the slots are the model.
    Lookup,
    /// A hashed linear model.
    Linear { rows: usize, bytes_a_weight: usize },
}

impl fmt::Display for OracleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstCome => f.pad("first come, no oracle"),
            Self::Lookup => f.pad("lookup table"),
            Self::Linear {
                rows,
                bytes_a_weight,
            } => write!(f, "linear, {rows} rows of {} bits", 8 * bytes_a_weight),
        }
    }
}

/// A method at a budget.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Entry {
    pub(super) counter: Counter,
    /// Serialized under the name in existing caches of results.
    #[serde(rename = "advisor")]
    pub(super) oracle_kind: Option<OracleKind>,
    pub(super) bytes: usize,
}

/// The parameters of a method.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Setting {
    pub(super) depth: usize,
    /// The fraction of the budget after the model for the table.
    pub(super) share: f64,
    /// Keys above the threshold for each slot.
    pub(super) over: f64,
}

/// A window with numbered keys: only oracles need the keys, and their scores are precomputed.
pub(super) struct Window {
    pub(super) counts: Vec<u64>,
    pub(super) stream: Vec<u32>,
}

/// The scores of an oracle for the keys of two windows.
pub(super) struct WindowScores {
    pub(super) oracle_kind: OracleKind,
    pub(super) model_bytes: usize,
    pub(super) validation: Vec<f32>,
    pub(super) test: Vec<f32>,
}

/// The scores of numbered keys.
struct Scored<'a> {
    scores: &'a [f32],
    model_bytes: usize,
}

impl Oracle<u32> for Scored<'_> {
    fn score(&self, keys: &[&u32], scores: &mut [f32]) {
        for (key, score) in keys.iter().zip(scores) {
            *score = self.scores[**key as usize];
        }
    }

    fn model_bytes(&self) -> usize {
        self.model_bytes
    }

    fn fingerprint(&self) -> [u8; 16] {
        [0; 16]
    }
}

/// The oracle of an entry, and its scores for the keys of the evaluated window.
pub(super) type OracleScores<'a> = Option<(&'a WindowScores, &'a [f32])>;

impl Entry {
    /// The average absolute frequency error and the coverage of a setting.
    pub(super) fn evaluate(
        &self,
        window: &Window,
        known: OracleScores<'_>,
        setting: Setting,
    ) -> Result<(f64, f64), SketchError> {
        let depth = setting.depth;
        let count_min = |rule| {
            move |bytes| {
                let builder = CountMin::<u32>::builder().depth(depth).update_rule(rule);
                builder.bytes(bytes).build()
            }
        };
        match self.counter {
            Counter::CountMin => self.count(window, known, setting, count_min(UpdateRule::Plain)),
            Counter::Conservative => {
                self.count(window, known, setting, count_min(UpdateRule::Conservative))
            }
            Counter::CountSketch => self.count(window, known, setting, |bytes| {
                CountSketch::<i32>::builder()
                    .depth(depth)
                    .bytes(bytes)
                    .build()
            }),
            Counter::Thresholded => self.count(window, known, setting, |bytes| {
                ThresholdedCountSketch::new(bytes, 0)
            }),
            Counter::SpaceSaving => self.count(window, known, setting, |bytes| {
                SpaceSaving::<KeyHash>::with_bytes(bytes, 0)
            }),
            Counter::MisraGries => self.count(window, known, setting, |bytes| {
                MisraGries::<KeyHash>::with_bytes(bytes, 0)
            }),
        }
    }

    fn count<S: FrequencySketch>(
        &self,
        window: &Window,
        known: OracleScores<'_>,
        setting: Setting,
        make: impl FnOnce(usize) -> Result<S, SketchError>,
    ) -> Result<(f64, f64), SketchError> {
        let keys = 0..window.counts.len() as u32;
        let (estimates, coverage, bytes): (Vec<f64>, _, _) =
            if let Some((window_scores, scores)) = known {
                let oracle = Scored {
                    scores,
                    model_bytes: window_scores.model_bytes,
                };
                let threshold = match window_scores.oracle_kind {
                    OracleKind::FirstCome => Threshold::Fixed(f32::NEG_INFINITY),
                    // Scores are ranks, negated.
                    OracleKind::Lookup => {
                        let bytes = (self.bytes as f64 * setting.share) as usize;
                        let table = ExplicitTable::<Slot8>::with_bytes(bytes);
                        Threshold::Fixed(-(table.slots() as f32))
                    }
                    OracleKind::Linear { .. } => Threshold::Quantile {
                        keys_per_slot: setting.over,
                    },
                };
                // A rejection cache only saves oracle calls; without it, it costs no memory.
                let mut learned = Learned::<u32, S, _>::builder(oracle)
                    .bytes(self.bytes)
                    .explicit_fraction(setting.share)
                    .rejection_cache_bits(None)
                    .threshold(threshold)
                    .validation_scores(window_scores.validation.as_slice())
                    .build(make)?;
                learned.update_batch(&window.stream);
                let estimates = keys.map(|key| learned.estimate(&key).value.to_f64());
                (
                    estimates.collect(),
                    learned.coverage(),
                    learned.size_bytes(),
                )
            } else {
                // Without an oracle there is no table, and the sketch gets the whole budget.
                let mut sketch = make(self.bytes)?;
                sketch.update_batch(&window.stream);
                let estimates = keys.map(|key| sketch.estimate(&key).to_f64());
                (estimates.collect(), 0.0, sketch.size_bytes())
            };
        // Structures have minimum sizes: those that exceed a small budget are excluded.
        if bytes > self.bytes {
            return Err(SketchError::Parameter {
                argument: "bytes",
                expected: format!("at least the {bytes} that it takes"),
                found: self.bytes.to_string(),
            });
        }
        let error = metrics::average_absolute_frequency_error(&window.counts, &estimates);
        Ok((error, coverage))
    }
}
