//! LRU as a predictor.

use super::{Access, Predictor};

/// Predicts that the page requested last comes first: following it is LRU, miss for miss.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recency;

impl Predictor for Recency {
    fn predict(&mut self, access: &Access) -> f64 {
        -f64::from(access.now)
    }
}
