//! The perfect oracle.

use super::{LookupTable, Oracle};
use crate::key::Key;

/// An oracle with the true count of every key of the stream. No oracle has a higher coverage; it is an
/// upper bound for evaluations.
#[derive(Clone, Debug)]
pub struct Perfect {
    counts: LookupTable,
}

impl Perfect {
    /// The oracle of a stream with these counts.
    pub fn new<K: Key>(counts: impl IntoIterator<Item = (K, u64)>) -> Self {
        Self {
            counts: LookupTable::new(counts, usize::MAX),
        }
    }
}

impl<K: Key + ?Sized> Oracle<K> for Perfect {
    fn score(&self, keys: &[&K], scores: &mut [f32]) {
        self.counts.score(keys, scores);
    }

    /// The bytes of its table, which evaluations usually exclude.
    fn model_bytes(&self) -> usize {
        Oracle::<K>::model_bytes(&self.counts)
    }

    fn fingerprint(&self) -> [u8; 16] {
        Oracle::<K>::fingerprint(&self.counts)
    }
}
