//! The stream that all contenders count.

use std::collections::HashMap;

use septet_sketch::key::hash_integer;

/// Identities that arrivals are drawn from.
const IDENTITIES: usize = 1_000_000;

/// A stream and its exact counts.
#[derive(Debug)]
pub struct Stream {
    /// The keys in the order of arrival.
    pub keys: Vec<u64>,
    /// The distinct keys with their counts, the most frequent first.
    pub counts: Vec<(u64, u64)>,
}

impl Stream {
    /// Draws arrivals of a million identities, the probability of which falls as 1/rank. Keys are
    /// scrambled ranks, so that their order carries no information.
    #[must_use]
    pub fn zipf(arrivals: usize) -> Self {
        let mut sum = 0.0;
        let cumulated: Vec<f64> = (1..=IDENTITIES)
            .map(|rank| {
                sum += 1.0 / rank as f64;
                sum
            })
            .collect();
        let keys: Vec<u64> = (0..arrivals as u64)
            .map(|arrival| {
                // 53 random bits are a uniform number in [0, 1); the inverse of the distribution is
                // found by binary search among the cumulated weights.
                let uniform = (hash_integer(arrival, 1) >> 11) as f64 / (1_u64 << 53) as f64;
                let rank = cumulated.partition_point(|&below| below < uniform * sum);
                hash_integer(rank as u64, 2)
            })
            .collect();
        let mut counts = HashMap::new();
        for &key in &keys {
            *counts.entry(key).or_insert(0_u64) += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        // Ties by key, as the order of a hash map is random.
        counts.sort_unstable_by_key(|&(key, count)| (std::cmp::Reverse(count), key));
        Self { keys, counts }
    }

    /// The average absolute error of a random arrival.
    pub fn error(&self, mut estimate: impl FnMut(u64) -> f64) -> f64 {
        let errors = self.counts.iter().map(|&(key, count)| {
            let count = count as f64;
            count * (count - estimate(key)).abs()
        });
        errors.sum::<f64>() / self.keys.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_that_of_the_law() {
        let stream = Stream::zipf(100_000);
        let total: u64 = stream.counts.iter().map(|&(_, count)| count).sum();
        assert_eq!(total, 100_000);
        // The first of a million ranks has 1 / 14.39 of the arrivals.
        let first = stream.counts[0].1 as f64 / 100_000.0;
        assert!((first - 0.0695).abs() < 0.004, "{first}");
        assert_eq!(stream.error(|_| 0.0), {
            let squares = stream
                .counts
                .iter()
                .map(|&(_, count)| (count * count) as f64);
            squares.sum::<f64>() / 100_000.0
        });
    }
}
