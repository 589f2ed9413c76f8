//! Service times and straggler delays.

use std::time::Duration;

use rand::Rng;
use rand_distr::{Distribution, LogNormal};

use super::{LoadError, check, check_probability};

/// The maximum sample of a distribution in seconds, so that a heavy tail cannot overflow a clock.
const MAX_SECONDS: f64 = 3600.0;

#[derive(Clone, Copy, Debug)]
enum Base {
    Constant(Duration),
    LogNormal(LogNormal<f64>),
}

/// A random delay: a base distribution, plus a constant with some probability.
#[derive(Clone, Copy, Debug)]
pub struct Delay {
    base: Base,
    probability: f64,
    extra: Duration,
}

impl Delay {
    /// No delay.
    pub const NONE: Self = Self::constant(Duration::ZERO);

    /// A constant delay.
    #[must_use]
    pub const fn constant(time: Duration) -> Self {
        Self {
            base: Base::Constant(time),
            probability: 0.0,
            extra: Duration::ZERO,
        }
    }

    /// A log-normal distribution: the logarithm has the standard deviation `sigma`, such as 0.1. Samples
    /// are at most one hour.
    ///
    /// # Errors
    ///
    /// When the median is zero, or `sigma` is negative or not finite.
    pub fn log_normal(median: Duration, sigma: f64) -> Result<Self, LoadError> {
        let seconds = median.as_secs_f64();
        check("median", "a positive time", seconds, seconds > 0.0)?;
        check("sigma", "0 or more", sigma, sigma >= 0.0)?;
        // The median of a log-normal variable is the exponential of the mean of its logarithm.
        let distribution = LogNormal::new(seconds.ln(), sigma).map_err(|_| LoadError {
            parameter: "sigma",
            expected: "0 or more",
            found: sigma,
        })?;
        Ok(Self {
            base: Base::LogNormal(distribution),
            ..Self::NONE
        })
    }

    /// Adds `extra` with this probability: the straggler model of the Coded-InvNet experiment.
    ///
    /// # Errors
    ///
    /// When the probability is not between 0 and 1.
    pub fn with_stragglers(self, probability: f64, extra: Duration) -> Result<Self, LoadError> {
        check_probability("probability", probability)?;
        Ok(Self {
            probability,
            extra,
            ..self
        })
    }

    /// Draws a delay.
    pub fn sample<R: Rng>(&self, rng: &mut R) -> Duration {
        let base = match &self.base {
            Base::Constant(time) => *time,
            Base::LogNormal(distribution) => {
                Duration::from_secs_f64(distribution.sample(rng).clamp(0.0, MAX_SECONDS))
            }
        };
        // Draws nothing without stragglers, so that base delays are the same with and without them.
        if self.probability > 0.0 && rng.random_bool(self.probability) {
            base.saturating_add(self.extra)
        } else {
            base
        }
    }
}
