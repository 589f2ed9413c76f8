//! POPU: popularity.

use super::{Access, Predictor, entry_mut};

/// POPU (Antoniadis et al., ICML 2020): a page with c requests among the first t comes again after
/// t / c more. O(1).
#[derive(Clone, Debug, Default)]
pub struct Popularity {
    /// By page.
    requests: Vec<u32>,
}

impl Predictor for Popularity {
    fn predict(&mut self, access: &Access) -> f64 {
        let requests = entry_mut(&mut self.requests, access.page);
        *requests += 1;
        let now = f64::from(access.now) + 1.0;
        now + now / f64::from(*requests)
    }
}
