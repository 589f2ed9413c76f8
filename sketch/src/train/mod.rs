//! Training of oracles, on candle.
//!
//! A [`Network`] is a model under training: [`LinearNetwork`] and [`EmbedMlpNetwork`], which become
//! the oracles [`HashedLinear`](crate::oracle::HashedLinear) and
//! [`HashedEmbedMlp`](crate::oracle::HashedEmbedMlp), the recurrent [`HsuLstm`], which is an oracle
//! itself, or one of your own, for which there is the layer [`Lstm`]. A [`Trainer`] fits it to the
//! counts of earlier windows, for a [`Loss`], with examples drawn by a [`Sampler`].
//!
//! What the loss is makes the difference. An explicit table should hold the keys with the largest
//! *expected count*; the squared error of logarithms ranks by the expected logarithm instead, and so
//! misses the classes of keys that are mostly small and sometimes huge. [`Loss::BatchRank`] is the
//! paper's answer.
//!
//! ```
//! use septet_core::seed::SeedTree;
//! use septet_sketch::oracle::{BlockFeatures, Oracle};
//! use septet_sketch::train::{LinearNetwork, Loss, Trainer};
//!
//! // Every sixteenth block is read often.
//! let keys: Vec<u64> = (0..4096).collect();
//! let counts: Vec<u64> = keys.iter().map(|key| if key % 16 == 0 { 50 } else { 1 }).collect();
//!
//! let seed = SeedTree::new(7);
//! let network = LinearNetwork::new(BlockFeatures::new(&[8])?, 64, &seed)?;
//! Trainer::new(Loss::BatchRank { group: 8 }, &seed)
//!     .learning_rate(0.02)
//!     .batch_size(256)
//!     .steps(100)
//!     .fit(&network, &keys, &counts, |_| ())?;
//!
//! let oracle = network.oracle()?;
//! let mut scores = [0.0; 2];
//! oracle.score(&[&8192, &8193], &mut scores);
//! assert!(scores[0] > scores[1]);
//! # Ok::<(), septet_sketch::SketchError>(())
//! ```
//!
//! The same seed gives the same bits, whatever the number of threads. Small models train fastest on
//! one thread each, beside each other: `septet_core::nn::one_math_thread` sees to it.

mod embed_mlp;
mod hsu_lstm;
mod linear;
mod loss;
mod lstm;
mod monitor;
mod network;
mod sampler;
mod trainer;

pub use embed_mlp::{EmbedMlpNetwork, EmbedMlpSize};
pub use hsu_lstm::HsuLstm;
pub use linear::LinearNetwork;
pub use loss::Loss;
pub use lstm::Lstm;
pub use monitor::{Coverage, MONITORED_SHARES, monitor};
pub use network::Network;
pub use sampler::Sampler;
pub use trainer::{Progress, Trainer};
