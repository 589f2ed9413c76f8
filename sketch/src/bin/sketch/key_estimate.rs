//! The answer to the query of a key.

/// The estimate of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyEstimate {
    pub(crate) estimate: f64,
    /// Bounds of the true count, certain or at a level of 95 %.
    pub(crate) bounds: Option<(f64, f64)>,
    /// Whether the key was counted exactly from its first occurrence on.
    pub(crate) exact: bool,
}

impl KeyEstimate {
    pub(crate) fn of(estimate: f64) -> Self {
        Self {
            estimate,
            bounds: None,
            exact: false,
        }
    }

    pub(crate) fn within(mut self, low: f64, high: f64) -> Self {
        self.bounds = Some((low, high));
        self
    }
}
