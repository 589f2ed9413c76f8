//! Pareto-distributed stack distances.

use rand::distr::Distribution;
use rand_chacha::ChaCha8Rng;
use rand_distr::Pareto;

use super::argument;
use crate::error::CacheError;

pub(super) struct Stack {
    distribution: Pareto<f64>,
    rng: ChaCha8Rng,
    /// The LRU stack, most recent page first.
    pages: Vec<u64>,
    max_pages: usize,
}

impl Stack {
    pub(super) fn new(alpha: f64, max_pages: usize, rng: ChaCha8Rng) -> Result<Self, CacheError> {
        let expected = "a finite number above 0";
        if !alpha.is_finite() {
            return Err(argument("alpha", alpha, expected));
        }
        let distribution =
            Pareto::new(1.0, alpha).map_err(|_| argument("alpha", alpha, expected))?;
        Ok(Self {
            distribution,
            rng,
            pages: Vec::new(),
            max_pages,
        })
    }

    pub(super) fn draw(&mut self) -> u64 {
        // The conversion saturates.
        let depth = self.distribution.sample(&mut self.rng) as usize;
        if depth > self.pages.len() && self.pages.len() < self.max_pages {
            self.pages.push(self.pages.len() as u64);
        }
        let depth = depth.min(self.pages.len());
        // Move the page at this depth to the front, as LRU does.
        self.pages[..depth].rotate_right(1);
        self.pages[0]
    }
}
