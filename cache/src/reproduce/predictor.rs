//! Predictors over families of instances.

use crate::SeedTree;
use crate::error::CacheError;
use crate::predict::{Noise, PredictorSpec};
use crate::trace::Trace;

use super::families::Family;

/// The instances of a family with predictions.
pub(super) fn apply(
    predictor: PredictorSpec,
    family: &Family,
    seed: &SeedTree,
) -> Result<Vec<Trace>, CacheError> {
    if predictor == PredictorSpec::ReuseTable
        && let Some((whole, sets)) = &family.sets
        && let Some(mut online) = predictor.online()
    {
        // The table is shared by all sets; each predicts in the clock of its own set.
        let mut sets = sets.clone();
        sets.predict(&mut *online, whole)?;
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
            let column = predictor.predict(&instance, family.capacity, &seed)?;
            instance.set_predictions(column)?;
            Ok(instance)
        })
        .collect()
}

/// What reports call a predictor.
pub(super) fn title(predictor: PredictorSpec) -> String {
    match predictor {
        PredictorSpec::Popularity => "POPU".into(),
        PredictorSpec::Pleco => "PLECO".into(),
        PredictorSpec::ReuseTable => "reuse table".into(),
        PredictorSpec::Oracle(Noise::Negated) => "negated oracle".into(),
        other => other.to_string(),
    }
}
