//! Models of oracles in files.

use std::path::Path;

use anyhow::Result;
use septet_sketch::oracle::{
    BlockFeatures, Features, FlowFeatures, HashedEmbedMlp, HashedLinear, Oracle, TextFeatures,
};
use septet_sketch::{AnyKey, FlowKey, KeyType, SketchError};

/// An oracle for one type of keys; keys of other types get the lowest score.
pub(crate) enum Model {
    Flows(Box<dyn Oracle<FlowKey>>),
    Text(Box<dyn Oracle<str>>),
    Integers(Box<dyn Oracle<u64>>),
}

impl Model {
    /// Reads a model written by `sketch train`.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        // The file names its kind and features: try the readers until one accepts it.
        let flows = load(path, FlowFeatures::default());
        if !is_other_model(&flows) {
            return Ok(Self::Flows(flows?));
        }
        let text = load(path, TextFeatures::default());
        if !is_other_model(&text) {
            return Ok(Self::Text(text?));
        }
        Ok(Self::Integers(load(path, BlockFeatures::default())?))
    }

    /// The type of the keys that the model scores.
    pub(crate) fn key_type(&self) -> KeyType {
        match self {
            Self::Flows(_) => KeyType::Flow,
            Self::Text(_) => KeyType::Bytes,
            Self::Integers(_) => KeyType::Integer,
        }
    }
}

fn load<K, F>(path: &Path, features: F) -> Result<Box<dyn Oracle<K>>, SketchError>
where
    K: ?Sized + 'static,
    F: Features<K> + Clone + 'static,
{
    let linear = HashedLinear::load(path, features.clone());
    if !is_other_model(&linear) {
        return Ok(Box::new(linear?));
    }
    Ok(Box::new(HashedEmbedMlp::load(path, features)?))
}

/// Whether the file contains a model of another kind.
fn is_other_model<T>(loaded: &Result<T, SketchError>) -> bool {
    matches!(loaded, Err(SketchError::Model { item, .. }) if item == "the model")
}

impl Oracle<AnyKey> for Model {
    fn score(&self, keys: &[&AnyKey], scores: &mut [f32]) {
        match self {
            Self::Flows(oracle) => score(oracle.as_ref(), keys, scores, |key| match key {
                AnyKey::Flow(flow) => Some(flow),
                _ => None,
            }),
            Self::Integers(oracle) => score(oracle.as_ref(), keys, scores, |key| match key {
                AnyKey::Integer(integer) => Some(integer),
                _ => None,
            }),
            Self::Text(oracle) => score(oracle.as_ref(), keys, scores, |key| match key {
                AnyKey::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
                _ => None,
            }),
        }
    }

    fn model_bytes(&self) -> usize {
        match self {
            Self::Flows(oracle) => oracle.model_bytes(),
            Self::Text(oracle) => oracle.model_bytes(),
            Self::Integers(oracle) => oracle.model_bytes(),
        }
    }

    fn fingerprint(&self) -> [u8; 16] {
        match self {
            Self::Flows(oracle) => oracle.fingerprint(),
            Self::Text(oracle) => oracle.fingerprint(),
            Self::Integers(oracle) => oracle.fingerprint(),
        }
    }
}

/// Scores the keys of the right type in one call; the others get NaN, the lowest score.
fn score<'a, K: ?Sized + 'a>(
    oracle: &dyn Oracle<K>,
    keys: &[&'a AnyKey],
    scores: &mut [f32],
    of_type: impl Fn(&'a AnyKey) -> Option<&'a K>,
) {
    let typed: Vec<&K> = keys.iter().filter_map(|key| of_type(key)).collect();
    if typed.len() == keys.len() {
        oracle.score(&typed, scores);
        return;
    }
    let mut some = vec![0.0; typed.len()];
    oracle.score(&typed, &mut some);
    let mut some = some.into_iter();
    for (key, score) in keys.iter().zip(scores) {
        *score = match of_type(key) {
            Some(_) => some.next().unwrap_or(f32::NAN),
            None => f32::NAN,
        };
    }
}
