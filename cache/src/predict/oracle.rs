//! Predictions from the true future, with synthetic noise.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use septet_core::seed::SeedTree;

use crate::error::CacheError;
use crate::request::NEVER;
use crate::trace::Trace;

/// The noise added to the true next-access time.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Noise {
    /// No noise.
    #[default]
    None,
    /// Adds exp(sigma Z) requests, Z standard normal. Predictions are never early, so the noise is
    /// not adversarial.
    LogNormal {
        /// Finite, at least 0.
        sigma: f64,
    },
    /// Adds sigma Z requests, Z standard normal.
    Gaussian {
        /// Finite, at least 0.
        sigma: f64,
    },
    /// Negates the time, which reverses the order: the page requested first is predicted last.
    Negated,
    /// Exact up to this fraction of the trace, negated afterwards.
    Drifting {
        /// In 0..=1.
        at: f64,
    },
    /// Negates each prediction independently with this probability.
    Flipped {
        /// In 0..=1.
        probability: f64,
    },
}

/// The true index of each page's next request, with noise. For a page that is not requested again,
/// the index is 10 000 n, as in the reference code of the study.
///
/// # Errors
/// [`CacheError::NeedsFuture`] if the trace is not annotated; [`CacheError::Argument`] if a
/// parameter of the noise is out of range.
pub fn oracle(trace: &Trace, noise: Noise, seed: &SeedTree) -> Result<Vec<f64>, CacheError> {
    noise.check()?;
    let next = trace.next().ok_or_else(|| CacheError::NeedsFuture {
        policy: "the oracle predictor".into(),
    })?;
    let count = next.len() as f64;
    let mut rng = seed.child("oracle").rng();
    Ok(next
        .iter()
        .enumerate()
        .map(|(index, &next)| {
            let truth = if next == NEVER {
                10_000.0 * count
            } else {
                f64::from(next)
            };
            match noise {
                Noise::None => truth,
                Noise::LogNormal { sigma } => truth + (sigma * normal(&mut rng)).exp(),
                Noise::Gaussian { sigma } => truth + sigma * normal(&mut rng),
                Noise::Negated => -truth,
                Noise::Drifting { at } if (index as f64) < at * count => truth,
                Noise::Drifting { .. } => -truth,
                Noise::Flipped { probability } if rng.random::<f64>() < probability => -truth,
                Noise::Flipped { .. } => truth,
            }
        })
        .collect())
}

fn normal(rng: &mut impl Rng) -> f64 {
    StandardNormal.sample(rng)
}

impl Noise {
    fn check(self) -> Result<(), CacheError> {
        let (name, value, legal) = match self {
            Self::None | Self::Negated => return Ok(()),
            Self::LogNormal { sigma } | Self::Gaussian { sigma } => {
                ("sigma", sigma, sigma >= 0.0 && sigma.is_finite())
            }
            Self::Drifting { at } => ("at", at, (0.0..=1.0).contains(&at)),
            Self::Flipped { probability } => (
                "probability",
                probability,
                (0.0..=1.0).contains(&probability),
            ),
        };
        if legal {
            return Ok(());
        }
        Err(CacheError::Argument {
            name,
            value: value.to_string(),
            expected: match self {
                Self::LogNormal { .. } | Self::Gaussian { .. } => "a finite number of at least 0",
                _ => "a number in 0..=1",
            },
        })
    }
}
