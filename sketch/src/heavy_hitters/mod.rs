//! Which keys are the most frequent?
//!
//! * [`MisraGries`] and [`SpaceSaving`] count a fixed number of keys and know of the others only
//!   that they are not frequent. They find every key above the `k`-th part of the stream, with
//!   certainty, and their errors do not depend on chance.
//! * [`TopK`] puts a small table of candidates beside any sketch of frequencies. At equal bytes it
//!   knows the counts of the most frequent keys much better than the other two.
//!
//! ```
//! use septet_sketch::heavy_hitters::SpaceSaving;
//!
//! let mut words = SpaceSaving::<String>::new(3, 0)?;
//! for word in "a b a c a d a e b a".split(' ') {
//!     words.update(word);
//! }
//! let most = &words.top(1)[0];
//! assert_eq!((most.key.as_str(), most.estimate), ("a", 5));
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

use crate::key::Key;

/// A key with what is known of its frequency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeavyHitter<K, E = u64> {
    /// The key.
    pub key: K,
    /// The estimated number of its occurrences.
    pub estimate: E,
}

/// The bounds between which the number of a key's occurrences lies, both included.
pub type CountRange = RangeInclusive<u64>;

/// The hash of a key in place of the key: for summaries that need not name what they have counted.
///
/// It is its own hash under any seed. Two keys of one hash are one key then; among `n` keys that
/// happens with a probability of about `n * n / 2^65`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(
    /// The hash.
    pub u64,
);

impl Key for KeyHash {
    #[inline]
    fn hash64(&self, _seed: u64) -> u64 {
        self.0
    }
}

/// The `k` entries of the largest counts, the largest first; entries of one count stay in order.
fn largest<K>(mut entries: Vec<(K, u64)>, k: usize) -> Vec<HeavyHitter<K>> {
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.1));
    entries.truncate(k);
    entries
        .into_iter()
        .map(|(key, estimate)| HeavyHitter { key, estimate })
        .collect()
}
