//! The threshold on scores above which keys are counted in the table.

/// How the threshold is chosen: keys with higher scores are counted in the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// The score that `keys_per_slot` times as many keys as there are slots reached in a validation
    /// window. Somewhat more than one (1.10 in Du et al.), so that the table fills although keys
    /// arrive in any order and buckets fill unevenly. Requires validation scores.
    Quantile {
        /// Keys above the threshold for each slot.
        keys_per_slot: f64,
    },
    /// This score. A key with exactly this score is not admitted.
    Fixed(f32),
    /// As `Quantile`, over a sample of the keys of the stream itself: the threshold follows a stream
    /// whose scores drift. At the end of a window it is set from the keys of that window. Within a
    /// window it moves only when it is far off, after a thousand distinct keys at the earliest; when
    /// it falls, keys may be admitted that the sketch has already counted. Starts with the quantile
    /// of the validation scores, if there are any.
    Adaptive {
        /// Keys above the threshold for each slot.
        keys_per_slot: f64,
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
