//! Zipf-distributed ranks.

use rand::distr::Distribution;
use rand_chacha::ChaCha8Rng;
use rand_distr::Zipf;

use super::argument;
use crate::error::CacheError;

pub(super) struct Ranks {
    distribution: Zipf<f64>,
    rng: ChaCha8Rng,
}

impl Ranks {
    pub(super) fn new(count: u64, alpha: f64, rng: ChaCha8Rng) -> Result<Self, CacheError> {
        if !alpha.is_finite() {
            return Err(argument("alpha", alpha, "a finite number of at least 0"));
        }
        let distribution = Zipf::new(count as f64, alpha)
            .map_err(|_| argument("alpha", alpha, "a finite number of at least 0"))?;
        Ok(Self { distribution, rng })
    }

    /// A rank from 0.
    pub(super) fn draw(&mut self) -> u64 {
        self.distribution.sample(&mut self.rng) as u64 - 1
    }
}
