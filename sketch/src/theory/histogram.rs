//! Histograms of counts.

use std::collections::BTreeMap;

/// The number of keys for each count. Numbers of keys are real: a histogram can contain expectations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Counts and numbers of keys in ascending order of counts, all positive.
    entries: Vec<(u64, f64)>,
}

impl Histogram {
    /// The histogram of these counts, without keys of count zero. Takes `O(n)` time, apart from counts
    /// of 2^16 and more, which are sorted.
    #[must_use]
    pub fn from_counts(counts: impl IntoIterator<Item = u64>) -> Self {
        // Small counts, which are most, are tallied in an array.
        let mut small = vec![0_u64; 1 << 16];
        let mut large = Vec::new();
        for count in counts {
            match usize::try_from(count)
                .ok()
                .and_then(|count| small.get_mut(count))
            {
                Some(keys) => *keys += 1,
                None => large.push(count),
            }
        }
        large.sort_unstable();
        let small = small.into_iter().enumerate().skip(1);
        let entries = small
            .filter(|(_, keys)| *keys > 0)
            .map(|(count, keys)| (count as u64, keys as f64))
            .chain(
                large
                    .chunk_by(|a, b| a == b)
                    .map(|keys| (keys[0], keys.len() as f64)),
            )
            .collect();
        Self { entries }
    }

    /// The histogram with `keys` keys of each `count`; counts may be repeated. Counts of zero, and
    /// numbers of keys that are not positive and finite, are ignored.
    #[must_use]
    pub fn from_keys(entries: impl IntoIterator<Item = (u64, f64)>) -> Self {
        // A sorted map, because counts may be repeated in any order.
        let mut sums = BTreeMap::new();
        for (count, keys) in entries {
            if count > 0 && keys.is_finite() && keys > 0.0 {
                *sums.entry(count).or_insert(0.0) += keys;
            }
        }
        Self {
            entries: sums.into_iter().collect(),
        }
    }

    /// Counts and numbers of keys, in ascending order of counts.
    #[must_use]
    pub fn entries(&self) -> &[(u64, f64)] {
        &self.entries
    }

    /// The number of keys.
    #[must_use]
    pub fn keys(&self) -> f64 {
        self.sum(|_| 1.0)
    }

    /// The total count of all keys.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.sum(|count| count)
    }

    /// The sum of the squares of the counts.
    #[must_use]
    pub fn squares(&self) -> f64 {
        self.sum(|count| count * count)
    }

    /// The histogram without one key of this count.
    pub(super) fn without_one(&self, count: u64) -> Self {
        let entries = self.entries.iter();
        Self::from_keys(entries.map(|&(other, keys)| {
            let taken = if other == count { 1.0 } else { 0.0 };
            (other, keys - taken)
        }))
    }

    /// The keys in groups in descending order of counts: a representative count, and the total count of
    /// the group. A group spans counts within a ratio of 1.5, and has fewer than a tenth as many keys as
    /// there are heavier ones.
    pub(super) fn groups(&self) -> Vec<(u64, f64)> {
        // From the heaviest count down; a group is extended while both limits hold.
        let mut groups: Vec<Group> = Vec::new();
        let mut heavier = 0.0;
        for &(count, keys) in self.entries.iter().rev() {
            match groups.last_mut() {
                Some(group)
                    if (group.largest as f64) < 1.5 * count as f64
                        && group.keys + keys < 0.1 * (heavier - group.keys) =>
                {
                    group.keys += keys;
                    group.occurrences += keys * count as f64;
                    group.middle = count.midpoint(group.largest);
                }
                _ => groups.push(Group {
                    largest: count,
                    middle: count,
                    keys,
                    occurrences: keys * count as f64,
                }),
            }
            heavier += keys;
        }
        let groups = groups.into_iter();
        groups
            .map(|group| (group.middle, group.occurrences))
            .collect()
    }

    fn sum(&self, term: impl Fn(f64) -> f64) -> f64 {
        let terms = self.entries.iter();
        terms.map(|&(count, keys)| keys * term(count as f64)).sum()
    }
}

struct Group {
    largest: u64,
    middle: u64,
    keys: f64,
    occurrences: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_agree() {
        let counts = Histogram::from_counts([3, 1, 0, 1, 7]);
        let keys = Histogram::from_keys([(7, 1.0), (1, 2.0), (3, 1.0), (0, 5.0), (9, f64::NAN)]);
        assert_eq!(counts, keys);
        assert_eq!(counts.entries(), [(1, 2.0), (3, 1.0), (7, 1.0)]);
        assert_eq!(
            (counts.keys(), counts.total(), counts.squares()),
            (4.0, 12.0, 60.0)
        );
    }
}
