//! The true future, spoiled on purpose.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use septet_core::seed::SeedTree;

use crate::error::CacheError;
use crate::request::NEVER;
use crate::trace::Trace;

/// How the true next request is spoiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Noise {
    /// Not at all.
    #[default]
    None,
    /// exp(sigma Z) requests too late, Z standard normal. Never too early, so no adversary.
    LogNormal {
        /// At least 0.
        sigma: f64,
    },
    /// sigma Z requests too late.
    Gaussian {
        /// At least 0.
        sigma: f64,
    },
    /// Turned around: the page needed first is predicted to come last.
    Negated,
    /// True up to this part of the trace, turned around from then on.
    Drifting {
        /// In 0..=1.
        at: f64,
    },
    /// Turned around with this probability, each prediction for itself.
    Flipped {
        /// In 0..=1.
        probability: f64,
    },
}

/// The true index of each page's next request, with noise. A page that is not requested again is
/// predicted at 10 000 n, as in the reference code of the study.
///
/// # Errors
/// [`CacheError::NeedsFuture`] when the trace was not annotated, [`CacheError::Argument`] when the
/// noise is out of its range.
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
                Self::LogNormal { .. } | Self::Gaussian { .. } => "a finite number from 0",
                _ => "a number from 0 to 1",
            },
        })
    }
}
