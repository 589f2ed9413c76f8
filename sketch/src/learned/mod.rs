//! A table of exact counts in front of a sketch, filled as an oracle advises.
//!
//! A key that is in the table is counted there, exactly. Every other key is counted by the sketch,
//! and the less mass is left for the sketch, the smaller its errors: what matters about an oracle
//! is the *coverage* of the table, the share of the stream that it takes out of the sketch
//! (C.-Y. Hsu and others, "Learning-based frequency estimation algorithms", ICLR 2019; E. Du, F.
//! Wang, M. Mitzenmacher, "Putting the 'Learning' into Learning-Augmented Algorithms for Frequency
//! Estimation", ICML 2021).
//!
//! A key is looked up in the table first. When it is not there and its place in the table is
//! taken, the oracle is not asked. Otherwise the oracle says whether the key is worth a slot; keys
//! that were turned down lately are remembered, so that the oracle is not asked for every
//! occurrence, and a batch asks for all its new keys together.
//!
//! ```
//! use septet_sketch::learned::{Learned, Threshold};
//! use septet_sketch::oracle::Oracle;
//! use septet_sketch::CountMin;
//!
//! /// Expects small numbers to be frequent.
//! struct Small;
//! impl Oracle<u64> for Small {
//!     fn score(&self, keys: &[&u64], scores: &mut [f32]) {
//!         for (key, score) in keys.iter().zip(scores) {
//!             *score = -(**key as f32);
//!         }
//!     }
//!     fn model_bytes(&self) -> usize {
//!         0
//!     }
//!     fn fingerprint(&self) -> [u8; 16] {
//!         *b"small numbers  1"
//!     }
//! }
//!
//! let mut sketch = Learned::<u64, CountMin<u32>, Small>::builder(Small)
//!     .bytes(4096)
//!     .explicit_share(0.25)
//!     .threshold(Threshold::Fixed(-10.0))
//!     .build(|bytes| CountMin::builder().bytes(bytes).build())?;
//! sketch.push_batch(&[1, 2, 1, 900, 1, 700]);
//! assert_eq!(sketch.estimate(&1).value, 3);
//! assert!(sketch.estimate(&1).exact);
//! assert!(!sketch.estimate(&900).exact);
//! assert!((sketch.coverage() - 4.0 / 6.0).abs() < 1e-12);
//! # Ok::<(), septet_sketch::SketchError>(())
//! ```

mod builder;
mod merge;
mod sketch;
mod stored;
mod table;
mod threshold;
mod verdicts;

pub use builder::{Admission, LearnedBuilder};
pub use sketch::{Learned, LearnedEstimate, LearnedStats};
pub use table::{Entry, ExplicitTable, Slot, Slot8, Slot16};
pub use threshold::Threshold;
