//! Memory for the keys that were frequent before, a model for the others.

use super::fingerprint::Fingerprint;
use super::{Calibration, LookupTable, Oracle};
use crate::key::Key;

/// Asks a lookup table first and a model for the keys that the table lacks. Scores are expected
/// counts: those of the table, and the model's after [`Calibration`].
#[derive(Clone, Debug)]
pub struct Hybrid<M> {
    table: LookupTable,
    model: M,
    calibration: Calibration,
    scale: f32,
}

impl<M> Hybrid<M> {
    /// Joins a table and a model. The calibration is best fitted to keys that the table lacks: the
    /// model is asked about no others. `scale` is what a count of the table is multiplied by, such as
    /// 0.2 for counts of five days where the next day is to be foretold.
    #[must_use]
    pub fn new(table: LookupTable, model: M, calibration: Calibration, scale: f32) -> Self {
        Self {
            table,
            model,
            calibration,
            scale,
        }
    }
}

impl<K: Key + ?Sized, M: Oracle<K>> Oracle<K> for Hybrid<M> {
    fn score(&self, keys: &[&K], scores: &mut [f32]) {
        // The model is asked about all keys that the table lacks, in one batch.
        let mut unknown = Vec::new();
        let mut places = Vec::new();
        for (place, (key, score)) in keys.iter().zip(scores.iter_mut()).enumerate() {
            match self.table.get(*key) {
                Some(count) => *score = self.scale * count,
                None => {
                    unknown.push(*key);
                    places.push(place);
                }
            }
        }
        let mut found = vec![0.0; unknown.len()];
        self.model.score(&unknown, &mut found);
        for (place, score) in places.into_iter().zip(found) {
            scores[place] = self.calibration.count(score);
        }
    }

    fn model_bytes(&self) -> usize {
        size_of::<f32>()
            + size_of_val(&self.calibration)
            + size_of_val(self.calibration.knots())
            + Oracle::<K>::model_bytes(&self.table)
            + self.model.model_bytes()
    }

    fn fingerprint(&self) -> [u8; 16] {
        let (scores, counts): (Vec<f32>, Vec<f32>) =
            self.calibration.knots().iter().copied().unzip();
        Fingerprint::new("hybrid")
            .bytes(&Oracle::<K>::fingerprint(&self.table))
            .bytes(&self.model.fingerprint())
            .numbers(&scores)
            .numbers(&counts)
            .numbers(&[self.scale])
            .finish()
    }
}
