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
//! * `Learned` (module [`learned`]) puts a table of exact counts in front of a sketch, filled as an
//!   [`Oracle`](oracle::Oracle) advises.
//! * [`codec`] stores sketches as bytes, and reads, asks and writes those of Apache DataSketches;
//!   [`stream`] reads the keys of files.
//! * `theory::plan` chooses depth, width and the share of the table for a budget in bytes.
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
//! # Keys and hashes
//!
//! A [`Key`] is hashed once, to 64 bits, by a function that is part of the format: the same on every
//! platform and in every version. Sketches work on these hashes only. Rows derive their positions
//! from the hash by multiplications with odd constants.
//!
//! # Features
//!
//! `std` is on by default; without it the crate is `no_std + alloc` and holds the linear sketches.
//! `theory` predicts errors and plans budgets; `train` trains oracles on candle; `reproduce` builds the
//! paper's experiment. `cli` builds the program `sketch`. Readers of streams have features of their own
//! where they need other crates (`compression`, `csv`, `npz`, `pcap`), and `serde` puts sketches into
//! what serde writes.

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
#[cfg(feature = "reproduce")]
pub mod reproduce;
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
pub use key::{FlowKey, Key};
