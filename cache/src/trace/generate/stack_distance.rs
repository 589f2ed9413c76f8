//! Depths in the LRU stack with a Pareto distribution.

use rand::distr::Distribution;
use rand_chacha::ChaCha8Rng;
use rand_distr::Pareto;

use super::argument;
use crate::error::CacheError;

pub(super) struct Stack {
    distribution: Pareto<f64>,
    rng: ChaCha8Rng,
    /// The page of the most recent request is the first.
    pages: Vec<u64>,
    most: usize,
}

impl Stack {
    pub(super) fn new(alpha: f64, most: usize, rng: ChaCha8Rng) -> Result<Self, CacheError> {
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
            most,
        })
    }

    pub(super) fn draw(&mut self) -> u64 {
        // A depth beyond every number saturates.
        let depth = self.distribution.sample(&mut self.rng) as usize;
        if depth > self.pages.len() && self.pages.len() < self.most {
            self.pages.push(self.pages.len() as u64);
        }
        let depth = depth.min(self.pages.len());
        self.pages[..depth].rotate_right(1);
        self.pages[0]
    }
}
