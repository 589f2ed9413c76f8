//! A table of previously frequent keys.

use std::collections::HashMap;

use super::Oracle;
use super::fingerprint::Fingerprint;
use crate::key::Key;

/// The most frequent keys of earlier streams with their counts. The score of a key is its count, 0 for a
/// key that is not in the table. Where keys recur, this oracle is hard to beat.
///
/// Keys are identified by their 64-bit hash; takes 13 bytes a key.
///
/// ```
/// use septet_sketch::oracle::{LookupTable, Oracle};
///
/// let counts = [("bread", 40), ("milk", 35), ("salt", 2), ("bread", 5), ("oil", 2)];
/// let table = LookupTable::new(counts, 3);
/// // Salt and oil are tied and would need four slots: ties are included or excluded together.
/// assert_eq!(table.len(), 2);
/// let mut scores = [0.0; 2];
/// table.score(&["bread", "salt"], &mut scores);
/// assert_eq!(scores, [45.0, 0.0]);
/// ```
#[derive(Clone, Debug)]
pub struct LookupTable {
    /// Sorted.
    hashes: Vec<u64>,
    counts: Vec<f32>,
    /// The start of the hashes with each value of the upper bits, and the end of the last range.
    starts: Vec<u32>,
    /// The shift that extracts the upper bits.
    shift: u32,
}

/// The seed of the hash.
const SEED: u64 = 0;

impl LookupTable {
    /// A table of the most frequent keys, at most `slots`. The counts of repeated keys are added up.
    /// Keys with equal counts are included or excluded together.
    ///
    /// Takes `O(n log n)` time and, while it is built, memory for all keys.
    pub fn new<K: Key>(counts: impl IntoIterator<Item = (K, u64)>, slots: usize) -> Self {
        let mut sums: HashMap<u64, u64> = HashMap::new();
        for (key, count) in counts {
            let sum = sums.entry(key.hash64(SEED)).or_default();
            *sum = sum.saturating_add(count);
        }
        // In descending order of counts; of the keys tied with the first excluded one, none stays.
        let mut ranked: Vec<(u64, u64)> = sums.into_iter().collect();
        ranked.sort_unstable_by_key(|&(hash, count)| (std::cmp::Reverse(count), hash));
        if let Some(&(_, left_out)) = ranked.get(slots) {
            ranked.truncate(slots);
            let tied = ranked.partition_point(|&(_, count)| count > left_out);
            ranked.truncate(tied);
        }
        ranked.sort_unstable();
        Self::from_sorted(&ranked)
    }

    /// Builds the ranges over entries that are sorted by hash.
    fn from_sorted(entries: &[(u64, u64)]) -> Self {
        // About four hashes in each range.
        let bits = (entries.len() / 4).max(2).ilog2();
        let shift = 64 - bits;
        let hashes: Vec<u64> = entries.iter().map(|&(hash, _)| hash).collect();
        let starts = (0..=1u64 << bits)
            .map(|prefix| match prefix.checked_shl(shift) {
                Some(first) if prefix >> bits == 0 => hashes.partition_point(|&h| h < first) as u32,
                _ => hashes.len() as u32,
            })
            .collect();
        Self {
            counts: entries.iter().map(|&(_, count)| count as f32).collect(),
            hashes,
            starts,
            shift,
        }
    }

    /// The number of keys in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether no key is in the table.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The count of a key, rounded to 24 bits; `None` when it is not in the table.
    pub fn get<K: Key + ?Sized>(&self, key: &K) -> Option<f32> {
        let hash = key.hash64(SEED);
        // A linear scan of about four hashes.
        let range = (hash >> self.shift) as usize;
        let range = self.starts[range] as usize..self.starts[range + 1] as usize;
        let index = self.hashes[range.clone()].iter().position(|&h| h == hash)?;
        Some(self.counts[range.start + index])
    }
}

impl<K: Key + ?Sized> Oracle<K> for LookupTable {
    fn score(&self, keys: &[&K], scores: &mut [f32]) {
        for (key, score) in keys.iter().zip(scores) {
            *score = self.get(*key).unwrap_or(0.0);
        }
    }

    fn model_bytes(&self) -> usize {
        size_of::<Self>()
            + size_of_val(self.hashes.as_slice())
            + size_of_val(self.counts.as_slice())
            + size_of_val(self.starts.as_slice())
    }

    fn fingerprint(&self) -> [u8; 16] {
        let hashes: Vec<u8> = self.hashes.iter().flat_map(|h| h.to_le_bytes()).collect();
        Fingerprint::new("lookup table")
            .bytes(&hashes)
            .numbers(&self.counts)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn it_is_the_head_of_the_sorted_counts(
            counts in prop::collection::vec((0u64..300, 1u64..40), 0..400),
            slots in 0usize..200,
        ) {
            let table = LookupTable::new(counts.iter().copied(), slots);
            let mut sums = std::collections::BTreeMap::new();
            for (key, count) in counts {
                *sums.entry(key).or_insert(0) += count;
            }
            let mut sorted: Vec<u64> = sums.values().copied().collect();
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            let cut = sorted.get(slots).copied().unwrap_or(0);
            for (key, &count) in &sums {
                let expected = (count > cut).then_some(count as f32);
                prop_assert_eq!(table.get(key), expected);
            }
            prop_assert!(table.len() <= slots);
            prop_assert_eq!(table.get(&1_000u64), None);
        }
    }

    #[test]
    fn thirteen_bytes_a_key() {
        let table = LookupTable::new((0..100_000u64).map(|key| (key, key)), usize::MAX);
        let bytes = Oracle::<u64>::model_bytes(&table) as f64 / table.len() as f64;
        assert!((12.0..14.2).contains(&bytes), "{bytes}");
    }
}
