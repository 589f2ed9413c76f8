//! Heavy hitters: the most frequent keys of a stream.
//!
//! * [`MisraGries`] and [`SpaceSaving`] keep a fixed number `k` of counters. They are deterministic:
//!   every key with more than `1 / k` of the stream has a counter, and errors are bounded with
//!   certainty.
//! * [`TopK`] adds a small table of candidates to any frequency sketch. At equal memory its counts of
//!   the most frequent keys are much more accurate than those of the other two.
//!
//! ```
//! use septet_sketch::heavy_hitters::SpaceSaving;
//!
//! let mut words = SpaceSaving::<String>::new(3, 0)?;
//! for word in "a b a c a d a e b a".split(' ') {
//!     words.update(word);
//! }
//! let first = &words.top(1)[0];
//! assert_eq!((first.key.as_str(), first.estimate), ("a", 5));
//! # Ok::<(), septet_sketch::SketchError>(())
//! ```

mod index;
mod misra_gries;
mod monitored;
mod space_saving;
mod stored;
mod top_k;

pub use misra_gries::MisraGries;
pub use space_saving::SpaceSaving;
pub use top_k::TopK;

use std::ops::RangeInclusive;

/// A key and the estimate of its count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeavyHitter<K, E = u64> {
    /// The key.
    pub key: K,
    /// The estimated count.
    pub estimate: E,
}

/// Inclusive bounds of a count.
pub type CountRange = RangeInclusive<u64>;

/// The `k` entries with the largest counts in descending order; ties stay in order.
fn largest<K>(mut entries: Vec<(K, u64)>, k: usize) -> Vec<HeavyHitter<K>> {
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.1));
    entries.truncate(k);
    entries
        .into_iter()
        .map(|(key, estimate)| HeavyHitter { key, estimate })
        .collect()
}
