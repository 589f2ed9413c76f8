//! A table of exact counts in front of a sketch, filled by the advice of an oracle.
//!
//! A key in the table is counted exactly. All other keys are counted by the sketch, whose errors
//! decrease with the mass that is left to it. The quality of an oracle is therefore the *coverage* of
//! the table, the fraction of the stream that is counted there
//! (C.-Y. Hsu and others, "Learning-based frequency estimation algorithms", ICLR 2019; E. Du, F.
//! Wang, M. Mitzenmacher, "Putting the 'Learning' into Learning-Augmented Algorithms for Frequency
//! Estimation", ICML 2021).
//!
//! A key is looked up in the table first. If it is not there and its bucket has a free slot, the
//! oracle scores it, and the key is admitted if its score exceeds the threshold. A cache of recently
//! rejected keys saves the oracle from scoring every occurrence, and a batch scores all its new keys
//! in one call.
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
//!     .explicit_fraction(0.25)
//!     .threshold(Threshold::Fixed(-10.0))
//!     .build(|bytes| CountMin::builder().bytes(bytes).build())?;
//! sketch.update_batch(&[1, 2, 1, 900, 1, 700]);
//! assert_eq!(sketch.estimate(&1).value, 3);
//! assert!(sketch.estimate(&1).exact);
//! assert!(!sketch.estimate(&900).exact);
//! assert!((sketch.coverage() - 4.0 / 6.0).abs() < 1e-12);
//! # Ok::<(), septet_sketch::SketchError>(())
//! ```

mod builder;
mod cut;
mod policy;
mod rejection_cache;
mod sample;
mod sketch;
mod table;
mod threshold;

pub use builder::LearnedBuilder;
pub use policy::Admission;
pub use sketch::{Learned, LearnedEstimate, LearnedStats};
pub use table::{Entry, ExplicitTable, Slot, Slot8, Slot16};
pub use threshold::Threshold;
