//! Oracles: which keys will be frequent?
//!
//! An [`Oracle`] scores keys; [`Learned`](crate::learned) counts those with the highest scores
//! exactly. All of these answer without a tensor library, in batches:
//!
//! | oracle | knows | memory |
//! |---|---|---|
//! | [`HashedLinear`] | a weight for each value of each [feature](Features) | 4 bytes a weight |
//! | [`QuantizedLinear`] | the same, rounded | 1 byte a weight |
//! | [`HashedEmbedMlp`] | a vector for each value, and a small network over them | tens of kilobytes |
//! | [`LookupTable`] | the keys that were frequent before, with their counts | 13 bytes a key |
//! | [`Hybrid`] | a lookup table, and a model for the keys that it lacks | both |
//! | [`Cascade`] | a cheap oracle, and a costly one for the keys that pass it | both |
//! | [`Perfect`] | the counts of the very stream: the bound for all others | 13 bytes a key |
//!
//! The module `train` (feature `train`) makes the first three from examples, and has a recurrent
//! network besides.

mod calibration;
mod cascade;
mod dense;
pub mod features;
mod file;
mod fingerprint;
mod hashed_embed_mlp;
mod hashed_linear;
mod hybrid;
mod lookup_table;
mod perfect;
mod proportional_fit;
mod quantized_linear;

pub use calibration::Calibration;
pub use cascade::Cascade;
pub use features::{BlockFeatures, Features, FlowFeatures, TextFeatures};
pub use hashed_embed_mlp::HashedEmbedMlp;
pub use hashed_linear::HashedLinear;
pub use hybrid::Hybrid;
pub use lookup_table::LookupTable;
pub use perfect::Perfect;
pub use quantized_linear::QuantizedLinear;

/// Scores keys: the higher, the more frequent the key is expected to be.
///
/// Only the order of scores matters; their scale is the oracle's own. A score that is not a number
/// counts as the lowest.
///
/// # Contract
///
/// The score of a key depends on the key alone: it is the same each time it is asked, and whatever
/// else is asked in the same batch, bit for bit. [`Learned`](crate::learned::Learned) relies on it:
/// with an oracle that changes its mind, it may underestimate although its sketch does not.
pub trait Oracle<K: ?Sized>: Send + Sync {
    /// The scores of `keys`, into `scores` (of the same length).
    fn score(&self, keys: &[&K], scores: &mut [f32]);

    /// Bytes that the model takes in memory.
    fn model_bytes(&self) -> usize;

    /// A hash of everything that the scores depend on: two oracles of the same fingerprint give the
    /// same scores.
    fn fingerprint(&self) -> [u8; 16];
}
