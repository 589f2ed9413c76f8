//! A cheap oracle in front of an expensive one.

use super::Oracle;
use super::fingerprint::Fingerprint;

/// Scores every key with a cheap oracle, and with an expensive one only those whose first score exceeds
/// a threshold. Other keys rank below all of these, among themselves in the order of their first scores
/// (up to rounding).
///
/// A threshold that passes three times as many keys as there are slots costs little coverage: the cheap
/// oracle only has to recognize keys that are certainly infrequent.
#[derive(Clone, Debug)]
pub struct Cascade<S, M> {
    screen: S,
    threshold: f32,
    model: M,
}

/// Below the scores of any reasonable model, with room for distinct values below it.
const BELOW_ALL: f32 = -1e30;

impl<S, M> Cascade<S, M> {
    /// Puts `screen` in front of `model`.
    #[must_use]
    pub fn new(screen: S, threshold: f32, model: M) -> Self {
        Self {
            screen,
            threshold,
            model,
        }
    }
}

impl<K: ?Sized, S: Oracle<K>, M: Oracle<K>> Oracle<K> for Cascade<S, M> {
    fn score(&self, keys: &[&K], scores: &mut [f32]) {
        self.screen.score(keys, scores);
        let mut passed = Vec::new();
        let mut positions = Vec::new();
        for (position, (key, score)) in keys.iter().zip(scores.iter_mut()).enumerate() {
            if *score > self.threshold {
                passed.push(*key);
                positions.push(position);
            } else {
                // Increases with the score, from twice the bound to the bound.
                let share = 0.5 - score.atan() / std::f32::consts::PI;
                *score = BELOW_ALL * (1.0 + share);
            }
        }
        let mut found = vec![0.0; passed.len()];
        self.model.score(&passed, &mut found);
        // Overwrite the scores of the keys that passed.
        for (position, score) in positions.into_iter().zip(found) {
            scores[position] = score;
        }
    }

    fn model_bytes(&self) -> usize {
        size_of::<f32>() + self.screen.model_bytes() + self.model.model_bytes()
    }

    fn fingerprint(&self) -> [u8; 16] {
        Fingerprint::new("cascade")
            .bytes(&self.screen.fingerprint())
            .bytes(&self.model.fingerprint())
            .numbers(&[self.threshold])
            .finish()
    }
}
