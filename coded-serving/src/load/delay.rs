//! How long a task takes.

use std::time::Duration;

use rand::Rng;
use rand_distr::{Distribution, LogNormal, Pareto};

use super::{LoadError, check};

/// The longest single delay, so that a heavy tail cannot overflow a clock.
const LONGEST: f64 = 3600.0;

#[derive(Clone, Copy, Debug)]
enum Usual {
    Constant(Duration),
    LogNormal(LogNormal<f64>),
    Pareto(Pareto<f64>),
}

/// A random time: usual, and with some probability so much more.
#[derive(Clone, Copy, Debug)]
pub struct Delay {
    usual: Usual,
    probability: f64,
    more: Duration,
}

impl Delay {
    /// No time at all.
    pub const NONE: Self = Self::constant(Duration::ZERO);

    /// Always the same.
    #[must_use]
    pub const fn constant(time: Duration) -> Self {
        Self {
            usual: Usual::Constant(time),
            probability: 0.0,
            more: Duration::ZERO,
        }
    }

    /// Of which the logarithm is normal with the standard deviation `sigma`, such as 0.1.
    ///
    /// # Errors
    ///
    /// When the median is zero, or `sigma` is negative or not finite.
    pub fn log_normal(median: Duration, sigma: f64) -> Result<Self, LoadError> {
        let seconds = median.as_secs_f64();
        check("median", "a positive time", seconds, seconds > 0.0)?;
        check("sigma", "0 or more", sigma, sigma >= 0.0)?;
        let distribution = LogNormal::new(seconds.ln(), sigma).map_err(|_| LoadError {
            parameter: "sigma",
            expected: "0 or more",
            found: sigma,
        })?;
        Ok(Self {
            usual: Usual::LogNormal(distribution),
            ..Self::NONE
        })
    }

    /// At least `least`; longer than `x` times that with probability `x` to the power of `-shape`.
    /// Below a shape of 2 the variance is infinite. At most an hour.
    ///
    /// # Errors
    ///
    /// When `least` is zero, or the shape not positive.
    pub fn pareto(least: Duration, shape: f64) -> Result<Self, LoadError> {
        let seconds = least.as_secs_f64();
        check("least", "a positive time", seconds, seconds > 0.0)?;
        check("shape", "above 0", shape, shape > 0.0)?;
        let distribution = Pareto::new(seconds, shape).map_err(|_| LoadError {
            parameter: "shape",
            expected: "above 0",
            found: shape,
        })?;
        Ok(Self {
            usual: Usual::Pareto(distribution),
            ..Self::NONE
        })
    }

    /// With this probability `more` is added: the sleep of the paper's experiment.
    ///
    /// # Errors
    ///
    /// When the probability is none.
    pub fn or_more(self, probability: f64, more: Duration) -> Result<Self, LoadError> {
        let is_one = (0.0..=1.0).contains(&probability);
        check("probability", "0 to 1", probability, is_one)?;
        Ok(Self {
            probability,
            more,
            ..self
        })
    }

    /// A random time.
    pub fn sample<R: Rng>(&self, rng: &mut R) -> Duration {
        let seconds = |seconds: f64| Duration::from_secs_f64(seconds.clamp(0.0, LONGEST));
        let usual = match &self.usual {
            Usual::Constant(time) => *time,
            Usual::LogNormal(distribution) => seconds(distribution.sample(rng)),
            Usual::Pareto(distribution) => seconds(distribution.sample(rng)),
        };
        // No number is drawn where none is needed, so that two runs differ in nothing else.
        if self.probability > 0.0 && rng.random_bool(self.probability) {
            usual + self.more
        } else {
            usual
        }
    }
}
