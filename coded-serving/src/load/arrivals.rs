//! When queries are due.

use std::time::Duration;

use rand::Rng;
use rand_distr::{Distribution, Exp};

use super::{LoadError, check};

/// A stream of queries.
#[derive(Clone, Copy, Debug)]
pub struct Arrivals {
    rate: f64,
    is_random: bool,
}

impl Arrivals {
    /// Queries that come independently of each other, so many a second on average.
    ///
    /// # Errors
    ///
    /// When the rate is not positive.
    pub fn poisson(rate: f64) -> Result<Self, LoadError> {
        check("rate", "above 0", rate, rate > 0.0)?;
        Ok(Self {
            rate,
            is_random: true,
        })
    }

    /// Queries at equal intervals.
    ///
    /// # Errors
    ///
    /// When the rate is not positive.
    pub fn constant(rate: f64) -> Result<Self, LoadError> {
        let poisson = Self::poisson(rate)?;
        Ok(Self {
            is_random: false,
            ..poisson
        })
    }

    /// How long until the next query.
    pub(super) fn gap<R: Rng>(self, rng: &mut R) -> Duration {
        let mean = 1.0 / self.rate;
        let seconds = match Exp::new(self.rate) {
            Ok(distribution) if self.is_random => distribution.sample(rng),
            _ => mean,
        };
        Duration::from_secs_f64(seconds.min(1e6))
    }
}
