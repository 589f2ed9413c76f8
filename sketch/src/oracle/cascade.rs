//! A cheap oracle in front of a costly one.

use super::Oracle;
use super::fingerprint::Fingerprint;

/// Asks a cheap oracle about every key, and a costly one only about those whose cheap score exceeds a
/// threshold. Keys that fail stand below all others, and among themselves in their order as far as their
/// scores differ by more than rounding.
///
/// A threshold that lets three times as many keys pass as there are slots costs little coverage: the
/// cheap oracle need only be right about what is hopeless.
#[derive(Clone, Debug)]
pub struct Cascade<S, M> {
    screen: S,
    threshold: f32,
    model: M,
}

/// Below the scores of any sensible model, with room for as many different ones.
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
        let mut places = Vec::new();
        for (place, (key, score)) in keys.iter().zip(scores.iter_mut()).enumerate() {
            if *score > self.threshold {
                passed.push(*key);
                places.push(place);
            } else {
                // From twice the bound to the bound as the score goes up.
                let share = 0.5 - score.atan() / std::f32::consts::PI;
                *score = BELOW_ALL * (1.0 + share);
            }
        }
        let mut found = vec![0.0; passed.len()];
        self.model.score(&passed, &mut found);
        for (place, score) in places.into_iter().zip(found) {
            scores[place] = score;
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
