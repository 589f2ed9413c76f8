//! LRU as a predictor.

use super::{Access, Predictor};

/// Predicts that the most recently requested page comes first: FtP with it equals LRU.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recency;

impl Predictor for Recency {
    fn predict(&mut self, access: &Access) -> f64 {
        -f64::from(access.now)
    }
}
