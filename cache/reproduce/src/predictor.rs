//! Predictors over families of instances.

use septet_cache::predict::{Noise, PredictorSpec};
use septet_cache::trace::Trace;
use septet_cache::{CacheError, SeedTree};

use crate::families::{Draw, Family};

/// The instances of a draw of a family with predictions.
pub(crate) fn apply(
    predictor: PredictorSpec,
    family: &Family,
    draw: &Draw,
    seed: &SeedTree,
) -> Result<Vec<Trace>, CacheError> {
    if predictor == PredictorSpec::ReuseTable
        && let Some((whole, sets)) = &draw.sets
        && let Some(mut online) = predictor.online()
    {
        // The table is shared by all sets; each predicts in the clock of its own set.
        let mut sets = sets.clone();
        sets.predict(&mut *online, whole)?;
        return Ok(sets.into_sets());
    }
    let seed = seed.child(&family.name).child("predictions");
    draw.instances
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
pub(crate) fn title(predictor: PredictorSpec) -> String {
    match predictor {
        PredictorSpec::Popularity => "POPU".into(),
        PredictorSpec::Pleco => "PLECO".into(),
        PredictorSpec::ReuseTable => "reuse table".into(),
        PredictorSpec::Oracle(Noise::Negated) => "negated oracle".into(),
        other => other.to_string(),
    }
}
