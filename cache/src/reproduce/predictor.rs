//! The predictors of the experiments.

use serde::Serialize;

use crate::SeedTree;
use crate::error::CacheError;
use crate::predict::{Noise, Pleco, Popularity, Predictor, ReuseTable, belady_bits, oracle, predictions};
use crate::trace::Trace;

use super::families::Family;

/// A predictor, as experiments name it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) enum PredictorKind {
    Pleco,
    Popu,
    /// Reuse distances by program counter.
    ReuseTable,
    /// The truth with noise.
    Oracle(Noise),
    /// Belady's decisions, each turned around with this probability.
    BeladyBits(f64),
}

impl PredictorKind {
    pub(super) fn name(self) -> String {
        match self {
            Self::Pleco => "PLECO".into(),
            Self::Popu => "POPU".into(),
            Self::ReuseTable => "reuse table".into(),
            Self::Oracle(Noise::None) => "oracle".into(),
            Self::Oracle(Noise::Negated) => "negated oracle".into(),
            Self::Oracle(Noise::LogNormal { sigma }) => format!("log-normal {sigma}"),
            Self::Oracle(Noise::Gaussian { sigma }) => format!("Gaussian {sigma}"),
            Self::Oracle(Noise::Drifting { .. }) => "drifting oracle".into(),
            Self::Oracle(Noise::Flipped { probability }) => format!("flipped {probability}"),
            Self::BeladyBits(flip) => format!("Belady bits, flip {flip}"),
        }
    }

    /// Whether the predictions depend on the seed.
    pub(super) fn is_random(self) -> bool {
        match self {
            Self::Pleco | Self::Popu | Self::ReuseTable => false,
            Self::Oracle(noise) => !matches!(
                noise,
                Noise::None | Noise::Negated | Noise::Drifting { .. }
            ),
            Self::BeladyBits(flip) => flip > 0.0,
        }
    }

    /// The instances of a family with predictions.
    pub(super) fn apply(self, family: &Family, seed: &SeedTree) -> Result<Vec<Trace>, CacheError> {
        if self == Self::ReuseTable
            && let Some((whole, sets)) = &family.sets
        {
            // The table is shared by all sets; each predicts in the clock of its own set.
            let mut sets = sets.clone();
            sets.predict(&mut reuse_table(), whole)?;
            return Ok(sets.into_sets());
        }
        let seed = seed.child(&family.name).child("predictions");
        family
            .instances
            .iter()
            .enumerate()
            .map(|(index, instance)| {
                let mut instance = instance.clone();
                let seed = seed.index(index as u64);
                let column = match self {
                    Self::Pleco => online(&mut Pleco::default(), &instance),
                    Self::Popu => online(&mut Popularity::default(), &instance),
                    Self::ReuseTable => online(&mut reuse_table(), &instance),
                    Self::Oracle(noise) => oracle(&instance, noise, &seed)?,
                    Self::BeladyBits(flip) => {
                        belady_bits(&instance, family.capacity, flip, &seed)?
                    }
                };
                instance.set_predictions(column)?;
                Ok(instance)
            })
            .collect()
    }
}

fn online(predictor: &mut dyn Predictor, trace: &Trace) -> Vec<f64> {
    predictions(predictor, trace)
}

fn reuse_table() -> ReuseTable {
    ReuseTable::new(12, 32_768)
}
