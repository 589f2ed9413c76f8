//! Frequency estimation for streams whose keys do not fit into memory: how often did each key occur?
//!
//! A *count-min sketch* counts the keys of a stream in `depth` rows of `width` counters and reports
//! the minimum of a key's counters: never an underestimate, and an overestimate of about `N / width`.
//! A *learned* sketch asks an oracle which keys will be frequent and counts those exactly, outside the
//! sketch, so that they do not collide with the others. The quality of an oracle is its *coverage*,
//! the fraction of the stream that is counted exactly: E. Du, F. Wang, M. Mitzenmacher, "Putting the
//! 'Learning' into Learning-Augmented Algorithms for Frequency Estimation" (ICML 2021). This crate
//! contains the sketches, the oracles, their training for coverage, and a theory that predicts the
//! error of a sketch before it is built.
//!
//! # Overview
//!
//! * [`CountMin`] counts keys in a fixed number of bytes and never underestimates; [`CountSketch`] is
//!   unbiased. Both are updated key by key or, faster, in batches ([`FrequencySketch`]), and merged
//!   ([`Merge`]).
//! * [`Learned`](learned) puts a table of exact counts in front of a sketch, filled by the advice of
//!   an [`Oracle`](oracle).
//! * [`codec`] stores sketches as bytes, and reads, queries and writes those of Apache DataSketches;
//!   [`stream`] reads keys from files.
//! * `theory::plan` (feature `theory`) chooses depth, width and the size of the table for a memory
//!   budget.
//!
//! ```
//! use septet_sketch::{CountMin, FrequencySketch};
//!
//! let mut sketch = CountMin::<u32>::builder().bytes(64 * 1024).build()?;
//! for word in "the quick brown fox jumps over the lazy dog".split(' ') {
//!     sketch.update(word);
//! }
//! assert_eq!(sketch.estimate("the"), 2);
//! assert_eq!(sketch.total(), 9);
//! # Ok::<(), septet_sketch::SketchError>(())
//! ```
//!
//! # A learned oracle
//!
//! The oracle below is fitted to one window of a stream and fills the table of the next window. Its
//! keys are new, but their destinations are not.
//!
//! ```
//! use septet_core::seed::SeedTree;
//! use septet_sketch::learned::Learned;
//! use septet_sketch::oracle::{FlowFeatures, HashedLinear, Oracle, QuantizedLinear};
//! use septet_sketch::stream::HeteroFlows;
//! use septet_sketch::{CountMin, FlowKey};
//!
//! let traffic = HeteroFlows::new(&SeedTree::new(7));
//! let (yesterday, today) = (traffic.window(0, 20_000), traffic.window(1, 20_000));
//!
//! let features = FlowFeatures::new(&[16])?;
//! let linear = HashedLinear::fit(features, 256, yesterday.keys(), yesterday.counts(), 12)?;
//! let oracle = QuantizedLinear::new(&linear);
//! let keys: Vec<&FlowKey> = yesterday.keys().iter().collect();
//! let mut scores = vec![0.0; keys.len()];
//! oracle.score(&keys, &mut scores);
//!
//! let mut sketch = Learned::<FlowKey, CountMin, _>::builder(oracle)
//!     .bytes(64 * 1024)
//!     .explicit_fraction(0.4)
//!     .validation_scores(scores)
//!     .build(|bytes| CountMin::builder().bytes(bytes).build())?;
//! let order = today.packets(&SeedTree::new(5));
//! for flow in order {
//!     sketch.update_by(&today.keys()[flow as usize], 1);
//! }
//! // The table holds one flow in eight, but more than half of the packets.
//! assert!(sketch.coverage() > 0.5);
//! let (key, count) = (&today.keys()[0], today.counts()[0]);
//! assert!(sketch.estimate(key).value >= count);
//! # Ok::<(), septet_sketch::SketchError>(())
//! ```
//!
//! # Features
//!
//! `std` is on by default; without it the crate is `no_std + alloc` and contains the linear sketches.
//! `theory` predicts errors and plans budgets; `train` trains oracles with candle; `compression`,
//! `csv`, `pcap` and `npz` read streams in these formats; `serde` serializes sketches in the binary
//! format; `cli` builds the tool `sketch`. The paper's experiments are in the package
//! `septet-sketch-reproduce`. SQL functions for DataFusion are in the package
//! `septet-sketch-datafusion`, a workspace of its own.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod any_key;
mod cache_lines;
pub mod codec;
#[cfg(feature = "std")]
pub mod concurrent;
pub mod count_min;
pub mod count_sketch;
pub mod error;
pub mod frequency;
#[cfg(feature = "std")]
pub mod heavy_hitters;
pub mod key;
#[cfg(feature = "std")]
pub mod learned;
#[cfg(feature = "std")]
pub mod metrics;
#[cfg(feature = "std")]
pub mod oracle;
mod prefetcher;
mod rows;
pub mod simd;
#[cfg(feature = "std")]
pub mod simulate;
#[cfg(feature = "std")]
pub mod stream;
#[cfg(feature = "theory")]
pub mod theory;
#[cfg(feature = "train")]
pub mod train;

pub use any_key::{AnyKey, KeyType};
pub use count_min::CountMin;
pub use count_sketch::CountSketch;
pub use error::SketchError;
pub use frequency::{Estimate, FrequencySketch, Merge};
pub use key::{FlowKey, Key, KeyHash};

#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../README.md")]
struct Readme;
