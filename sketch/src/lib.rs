//! How often did each key occur? Sketches answer it for streams whose keys do not fit into memory.
//!
//! A *count-min sketch* adds the keys of a stream into `depth` rows of `width` counters and reports
//! the least of a key's counters: never too little, and too much by about `N / width`. A *learned*
//! sketch asks an oracle which keys will be frequent and counts those exactly, outside the sketch,
//! so that they no longer spoil the counters of the others. What the oracle has to be good at is
//! *coverage*, the share of the stream that it takes out of the sketch: E. Du, F. Wang,
//! M. Mitzenmacher, "Putting the 'Learning' into Learning-Augmented Algorithms for Frequency
//! Estimation" (ICML 2021). This crate holds the sketches, the oracles, their training for
//! coverage, and the theory that predicts the error before a byte is spent.
//!
//! # The principal types
//!
//! * [`CountMin`] counts keys in a fixed number of bytes and never underestimates;
//!   [`CountSketch`] has no bias. Both are updated key by key or, faster,
//!   in batches ([`FrequencySketch`]), and merged ([`Merge`]).
//! * [`Learned`](learned) puts a table of exact counts in front of a sketch, filled as an
//!   [`Oracle`](oracle) advises.
//! * [`codec`] stores sketches as bytes, and reads, asks and writes those of Apache DataSketches;
//!   [`stream`] reads the keys of files.
//! * `theory::plan` (feature `theory`) chooses depth, width and the share of the table for a budget
//!   in bytes.
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
//! # An oracle that learns
//!
//! The oracle below is fitted to one window of a stream and fills the table of the next window, whose
//! keys are new to it: flows of a network that go to the same places.
//!
//! ```
//! use septet_core::seed::SeedTree;
//! use septet_sketch::learned::Learned;
//! use septet_sketch::oracle::{FlowFeatures, HashedLinear, Oracle, QuantizedLinear};
//! use septet_sketch::stream::HeteroFlows;
//! use septet_sketch::{CountMin, FlowKey};
//!
//! let world = HeteroFlows::new(&SeedTree::new(7));
//! let (yesterday, today) = (world.window(0, 20_000), world.window(1, 20_000));
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
//! // The table holds one flow in eight, and more than half of the packets.
//! assert!(sketch.coverage() > 0.5);
//! let (key, count) = (&today.keys()[0], today.counts()[0]);
//! assert!(sketch.estimate(key).value >= count);
//! # Ok::<(), septet_sketch::SketchError>(())
//! ```
//!
//! # Features
//!
//! `std` is on by default; without it the crate is `no_std + alloc` and holds the linear sketches.
//! `theory` predicts errors and plans budgets; `train` trains oracles on candle; `compression`, `csv`,
//! `pcap` and `npz` read such streams; `serde` wraps the binary format; `cli` builds the tool
//! `sketch`. The paper's experiment is a package of its own, `septet-sketch-reproduce`. SQL functions
//! for DataFusion are in the package `septet-sketch-datafusion`, a workspace of its own.

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
