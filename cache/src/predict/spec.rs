//! Predictors by name.

use std::fmt;
use std::str::FromStr;

use septet_core::seed::SeedTree;
use serde::Serialize;

use super::predictions;
use super::{Noise, Pleco, Popularity, Predictor, Recency, ReuseTable, belady_bits, oracle};
use crate::error::CacheError;
use crate::trace::Trace;

const KNOWN: &str = "popu, pleco, recency, reuse-table, oracle, negated, log-normal:SIGMA, \
                     gaussian:SIGMA, drifting:AT, flipped:PROBABILITY, belady-bits:PROBABILITY";

/// A predictor by name, with its parameter after a colon if it has one.
///
/// ```
/// use septet_cache::SeedTree;
/// use septet_cache::predict::PredictorSpec;
/// use septet_cache::trace::Trace;
///
/// let spec: PredictorSpec = "log-normal:2".parse()?;
/// let mut trace = Trace::from_ids([1, 2, 1]);
/// assert!(spec.predict(&trace, 10, &SeedTree::new(0)).is_err(), "the future is not known");
/// trace.annotate();
/// let predictions = spec.predict(&trace, 10, &SeedTree::new(0))?;
/// assert!(predictions[0] > 2.0, "the noise is late, never early");
/// # Ok::<(), septet_cache::CacheError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum PredictorSpec {
    /// [`Popularity`].
    Popularity,
    /// [`Pleco`].
    Pleco,
    /// [`Recency`].
    Recency,
    /// [`ReuseTable`] with 2^16 entries and a history of 2^18 requests.
    ReuseTable,
    /// [`oracle`] with this noise.
    Oracle(Noise),
    /// [`belady_bits`] with this flip probability.
    BeladyBits(f64),
}

impl PredictorSpec {
    /// One prediction per request. Only [`PredictorSpec::BeladyBits`] depends on the capacity.
    ///
    /// # Errors
    /// [`CacheError::NeedsFuture`] if the predictor requires next-access times and the trace is not
    /// annotated; [`CacheError::Argument`] if its parameter is out of range.
    pub fn predict(
        &self,
        trace: &Trace,
        capacity: usize,
        seed: &SeedTree,
    ) -> Result<Vec<f64>, CacheError> {
        match *self {
            Self::Oracle(noise) => oracle(trace, noise, seed),
            Self::BeladyBits(flip) => belady_bits(trace, capacity, flip, seed),
            _ => Ok(self
                .online()
                .map_or_else(Vec::new, |mut online| predictions(&mut *online, trace))),
        }
    }

    /// The online predictor; `None` for predictors from the true future.
    #[must_use]
    pub fn online(&self) -> Option<Box<dyn Predictor>> {
        match self {
            Self::Popularity => Some(Box::new(Popularity::default())),
            Self::Pleco => Some(Box::new(Pleco::default())),
            Self::Recency => Some(Box::new(Recency)),
            Self::ReuseTable => Some(Box::new(ReuseTable::new(16, 1 << 18))),
            Self::Oracle(_) | Self::BeladyBits(_) => None,
        }
    }

    /// Whether the predictions depend on the seed.
    #[must_use]
    pub fn is_randomized(&self) -> bool {
        match self {
            Self::Popularity | Self::Pleco | Self::Recency | Self::ReuseTable => false,
            Self::Oracle(noise) => {
                !matches!(noise, Noise::None | Noise::Negated | Noise::Drifting { .. })
            }
            Self::BeladyBits(flip) => *flip > 0.0,
        }
    }
}

impl FromStr for PredictorSpec {
    type Err = CacheError;

    fn from_str(text: &str) -> Result<Self, CacheError> {
        let unknown = || CacheError::UnknownName {
            what: "predictor",
            name: text.to_string(),
            known: KNOWN.to_string(),
        };
        let Some((name, parameter)) = text.split_once(':') else {
            return Ok(match text.trim() {
                "popu" | "popularity" => Self::Popularity,
                "pleco" => Self::Pleco,
                "recency" => Self::Recency,
                "reuse-table" => Self::ReuseTable,
                "oracle" => Self::Oracle(Noise::None),
                "negated" => Self::Oracle(Noise::Negated),
                "belady-bits" => Self::BeladyBits(0.0),
                _ => return Err(unknown()),
            });
        };
        let value: f64 = parameter.trim().parse().map_err(|_| CacheError::Argument {
            name: "predictor parameter",
            value: parameter.to_string(),
            expected: "a number",
        })?;
        Ok(match name.trim() {
            "log-normal" => Self::Oracle(Noise::LogNormal { sigma: value }),
            "gaussian" => Self::Oracle(Noise::Gaussian { sigma: value }),
            "drifting" => Self::Oracle(Noise::Drifting { at: value }),
            "flipped" => Self::Oracle(Noise::Flipped { probability: value }),
            "belady-bits" => Self::BeladyBits(value),
            _ => return Err(unknown()),
        })
    }
}

impl fmt::Display for PredictorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Popularity => f.write_str("popu"),
            Self::Pleco => f.write_str("pleco"),
            Self::Recency => f.write_str("recency"),
            Self::ReuseTable => f.write_str("reuse-table"),
            Self::Oracle(Noise::None) => f.write_str("oracle"),
            Self::Oracle(Noise::Negated) => f.write_str("negated"),
            Self::Oracle(Noise::LogNormal { sigma }) => write!(f, "log-normal:{sigma}"),
            Self::Oracle(Noise::Gaussian { sigma }) => write!(f, "gaussian:{sigma}"),
            Self::Oracle(Noise::Drifting { at }) => write!(f, "drifting:{at}"),
            Self::Oracle(Noise::Flipped { probability }) => write!(f, "flipped:{probability}"),
            Self::BeladyBits(flip) => write!(f, "belady-bits:{flip}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for text in [
            "popu",
            "pleco",
            "recency",
            "reuse-table",
            "oracle",
            "negated",
            "log-normal:2.5",
            "gaussian:10",
            "drifting:0.5",
            "flipped:0.1",
            "belady-bits:0.2",
        ] {
            assert_eq!(text.parse::<PredictorSpec>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn invalid_text_is_rejected() {
        for text in ["", "parrot", "oracle:1", "log-normal:", "log-normal:x"] {
            assert!(text.parse::<PredictorSpec>().is_err(), "{text}");
        }
        let mut trace = Trace::from_ids([1, 1]);
        trace.annotate();
        for text in [
            "log-normal:-1",
            "flipped:2",
            "gaussian:nan",
            "belady-bits:7",
        ] {
            let spec: PredictorSpec = text.parse().unwrap();
            assert!(
                spec.predict(&trace, 1, &SeedTree::new(0)).is_err(),
                "{text}"
            );
        }
    }
}
