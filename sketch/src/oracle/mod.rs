//! Oracles: which keys will be frequent?

/// Scores keys: the higher, the more frequent the key is expected to be.
///
/// Only the order of scores matters; their scale is the oracle's own. A score that is not a number
/// counts as the lowest.
pub trait Oracle<K: ?Sized>: Send + Sync {
    /// The scores of `keys`, into `scores` (of the same length).
    fn score(&self, keys: &[&K], scores: &mut [f32]);

    /// Bytes that the model takes in memory.
    fn model_bytes(&self) -> usize;

    /// A hash of everything that the scores depend on: two oracles of the same fingerprint give the
    /// same scores.
    fn fingerprint(&self) -> [u8; 16];
}
