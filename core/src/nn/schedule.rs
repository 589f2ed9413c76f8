//! How the learning rate changes from step to step.

use std::f64::consts::PI;

/// A linear warm-up, then a decay. The rate is a function of the step alone, so that a run that is
/// resumed continues as if it had never stopped.
///
/// ```
/// use septet_core::nn::{Decay, Schedule};
///
/// let schedule = Schedule { warm_up: 2, decay: Decay::Step { every: 10, factor: 0.1 } };
/// assert_eq!(schedule.rate(0.4, 0), 0.2);
/// assert_eq!(schedule.rate(0.4, 1), 0.4);
/// assert_eq!(schedule.rate(0.4, 11), 0.4);
/// assert!((schedule.rate(0.4, 12) - 0.04).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Schedule {
    /// Steps in which the rate grows linearly to its full value: step `i` has the share
    /// `(i + 1) / warm_up`.
    pub warm_up: u64,
    /// What happens afterwards; its steps are counted from the end of the warm-up.
    pub decay: Decay,
}

/// How the rate falls.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Decay {
    /// Not at all.
    #[default]
    Constant,
    /// By `factor` after each `every` steps.
    Step {
        /// The number of steps of one level; 0 means a constant rate.
        every: u64,
        /// What the rate is multiplied by.
        factor: f64,
    },
    /// Linearly to `floor` times the full rate in `steps` steps, then constant.
    Linear {
        /// The length of the fall.
        steps: u64,
        /// The share that remains.
        floor: f64,
    },
    /// Along half a cosine to `floor` times the full rate in `steps` steps, then constant
    /// (Loshchilov and Hutter, ICLR 2017, equation 5, without restarts).
    Cosine {
        /// The length of the fall.
        steps: u64,
        /// The share that remains.
        floor: f64,
    },
}

impl Schedule {
    /// The rate of step `step`, counted from 0, for the full rate `base`.
    #[must_use]
    pub fn rate(&self, base: f64, step: u64) -> f64 {
        if step < self.warm_up {
            return base * (step + 1) as f64 / self.warm_up as f64;
        }
        let step = step - self.warm_up;
        // The share of the fall that is done: 1 from its end on, and for a fall without steps.
        let progress = |steps: u64| {
            if step >= steps {
                1.0
            } else {
                step as f64 / steps as f64
            }
        };
        base * match self.decay {
            Decay::Constant | Decay::Step { every: 0, .. } => 1.0,
            Decay::Step { every, factor } => factor.powf((step / every) as f64),
            Decay::Linear { steps, floor } => 1.0 + (floor - 1.0) * progress(steps),
            Decay::Cosine { steps, floor } => {
                floor + (1.0 - floor) * 0.5 * (1.0 + (PI * progress(steps)).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decays_start_at_the_full_rate_and_end_at_their_floor() {
        for decay in [
            Decay::Linear {
                steps: 8,
                floor: 0.25,
            },
            Decay::Cosine {
                steps: 8,
                floor: 0.25,
            },
        ] {
            let schedule = Schedule { warm_up: 4, decay };
            let rates: Vec<f64> = (0..16).map(|step| schedule.rate(2.0, step)).collect();
            assert_eq!(rates[..5], [0.5, 1.0, 1.5, 2.0, 2.0]);
            assert!((rates[8] - 1.25).abs() < 1e-12, "half way is the middle");
            assert!(rates[4..13].windows(2).all(|pair| pair[0] > pair[1]));
            assert!(rates[12..].iter().all(|&rate| (rate - 0.5).abs() < 1e-12));
        }
    }

    #[test]
    fn nothing_divides_by_zero() {
        for decay in [
            Decay::Constant,
            Decay::Step {
                every: 0,
                factor: 0.5,
            },
            Decay::Linear {
                steps: 0,
                floor: 1.0,
            },
            Decay::Cosine {
                steps: 0,
                floor: 1.0,
            },
        ] {
            assert_eq!(Schedule { warm_up: 0, decay }.rate(3.0, 0), 3.0);
        }
    }
}
