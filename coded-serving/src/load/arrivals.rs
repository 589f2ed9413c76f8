//! Arrival processes.

use std::time::Duration;

use rand::Rng;
use rand_distr::{Distribution, Exp};

use super::{LoadError, check};

/// An arrival process.
#[derive(Clone, Copy, Debug)]
pub struct Arrivals {
    rate: f64,
    is_random: bool,
}

impl Arrivals {
    /// A Poisson process with `rate` queries per second.
    ///
    /// # Errors
    ///
    /// When the rate is not positive and finite.
    pub fn poisson(rate: f64) -> Result<Self, LoadError> {
        check("rate", "above 0", rate, rate > 0.0)?;
        Ok(Self {
            rate,
            is_random: true,
        })
    }

    /// Equal intervals, `rate` queries per second.
    ///
    /// # Errors
    ///
    /// When the rate is not positive and finite.
    pub fn constant(rate: f64) -> Result<Self, LoadError> {
        let poisson = Self::poisson(rate)?;
        Ok(Self {
            is_random: false,
            ..poisson
        })
    }

    /// The time until the next query.
    pub(super) fn gap<R: Rng>(self, rng: &mut R) -> Duration {
        let mean = 1.0 / self.rate;
        let seconds = match Exp::new(self.rate) {
            Ok(distribution) if self.is_random => distribution.sample(rng),
            _ => mean,
        };
        // Bounded, so that a tiny rate cannot overflow the clock.
        Duration::from_secs_f64(seconds.min(1e6))
    }
}
