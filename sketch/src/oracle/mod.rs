//! Oracles, which predict the keys that will be frequent.
//!
//! An [`Oracle`] scores keys; [`Learned`](crate::learned) counts those with the highest scores
//! exactly. These oracles score in batches and need no tensor library:
//!
//! | oracle | model | memory |
//! |---|---|---|
//! | [`HashedLinear`] | a weight for each value of each [feature](Features) | 4 bytes a weight |
//! | [`QuantizedLinear`] | the same, rounded | 1 byte a weight |
//! | [`HashedEmbedMlp`] | a vector for each value, and a small network over them | tens of kilobytes |
//! | [`LookupTable`] | the previously frequent keys with their counts | 13 bytes a key |
//! | [`Hybrid`] | a lookup table, and another model for the keys that it lacks | both |
//! | [`Cascade`] | a cheap oracle, and an expensive one for the keys that pass it | both |
//! | [`Perfect`] | the true counts of the stream: an upper bound | 13 bytes a key |
//!
//! The module `train` (feature `train`) trains the first three from examples, and has a recurrent
//! network in addition.

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

/// Scores keys: the higher the score, the higher the expected count.
///
/// Only the order of scores matters, not their scale. NaN is the lowest score.
///
/// # Contract
///
/// The score of a key depends on the key alone: it is bitwise the same in every call and for every
/// batch. [`Learned`](crate::learned::Learned) relies on it: if scores change, it may underestimate even
/// if its sketch does not.
pub trait Oracle<K: ?Sized>: Send + Sync {
    /// Writes the scores of `keys` to `scores`, which has the same length.
    fn score(&self, keys: &[&K], scores: &mut [f32]);

    /// Memory of the model in bytes.
    fn model_bytes(&self) -> usize;

    /// A hash of everything that the scores depend on: oracles with equal fingerprints give equal scores.
    fn fingerprint(&self) -> [u8; 16];
}
