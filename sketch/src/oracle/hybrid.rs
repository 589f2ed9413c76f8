//! A lookup table for previously frequent keys, and a model for the others.

use super::fingerprint::Fingerprint;
use super::{Calibration, LookupTable, Oracle};
use crate::key::Key;

/// Scores keys by a lookup table, and by a model where the table lacks them. Scores are expected counts:
/// those of the table, and those of the model after [`Calibration`].
#[derive(Clone, Debug)]
pub struct Hybrid<M> {
    table: LookupTable,
    model: M,
    calibration: Calibration,
    scale: f32,
}

impl<M> Hybrid<M> {
    /// Combines a table and a model. The calibration should be fitted to keys that the table lacks,
    /// since the model scores no others. `scale` is a factor on the counts of the table, such as 0.2
    /// for counts of five days when the next day is predicted.
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
        // The model scores all keys that the table lacks in one batch.
        let mut unknown = Vec::new();
        let mut positions = Vec::new();
        for (position, (key, score)) in keys.iter().zip(scores.iter_mut()).enumerate() {
            match self.table.get(*key) {
                Some(count) => *score = self.scale * count,
                None => {
                    unknown.push(*key);
                    positions.push(position);
                }
            }
        }
        let mut found = vec![0.0; unknown.len()];
        self.model.score(&unknown, &mut found);
        for (position, score) in positions.into_iter().zip(found) {
            scores[position] = self.calibration.count(score);
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
