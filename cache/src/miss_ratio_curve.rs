//! Miss-ratio curves: miss ratio as a function of capacity.

use crate::error::CacheError;
use crate::policy::{Policy, Tally};
use crate::trace::Trace;

/// The exact misses of LRU at every capacity, from one pass over a trace of unit sizes (Mattson et
/// al., 1970): a request hits if and only if its stack distance, the number of distinct pages
/// requested since the page's last request, is below the capacity.
///
/// ```
/// use septet_cache::miss_ratio_curve::LruCurve;
/// use septet_cache::trace::Trace;
///
/// let curve = LruCurve::new(&Trace::from_ids([1, 2, 3, 1, 2, 3]));
/// assert_eq!(curve.misses(2), 6);
/// assert_eq!(curve.misses(3), 3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LruCurve {
    requests: u64,
    /// By stack distance d from 0: number of requests with a distance of at most d.
    hits_up_to: Vec<u64>,
}

impl LruCurve {
    /// Computes the curve in O(n log n) time and O(n) memory; sizes are ignored.
    #[must_use]
    pub fn new(trace: &Trace) -> Self {
        // The tree has a 1 at the last request of each page, so the ones since a page's last request are
        // the distinct pages requested since.
        let mut tree = Fenwick::new(trace.len());
        let mut last: Vec<Option<usize>> = vec![None; trace.page_count()];
        let mut histogram = vec![0_u64; trace.page_count()];
        for (now, &page) in trace.pages().iter().enumerate() {
            if let Some(before) = last[page as usize] {
                // Each page is counted at its last request alone.
                let distance = tree.sum_from(before + 1);
                histogram[distance] += 1;
                tree.add(before, -1);
            }
            tree.add(now, 1);
            last[page as usize] = Some(now);
        }
        // Cumulate the histogram of distances: a cache of capacity c hits distances 0..c.
        let mut sum = 0;
        for hits in &mut histogram {
            sum += *hits;
            *hits = sum;
        }
        Self {
            requests: trace.len() as u64,
            hits_up_to: histogram,
        }
    }

    /// Misses of an LRU cache of `capacity` pages.
    #[must_use]
    pub fn misses(&self, capacity: u64) -> u64 {
        let hits = match (capacity, self.hits_up_to.last()) {
            (0, _) | (_, None) => 0,
            (capacity, Some(&all)) => {
                let index = usize::try_from(capacity - 1).unwrap_or(usize::MAX);
                self.hits_up_to.get(index).copied().unwrap_or(all)
            }
        };
        self.requests - hits
    }

    /// Miss ratio of an LRU cache of `capacity` pages; 0 without requests.
    #[must_use]
    pub fn miss_ratio(&self, capacity: u64) -> f64 {
        if self.requests == 0 {
            0.0
        } else {
            self.misses(capacity) as f64 / self.requests as f64
        }
    }
}

/// A Fenwick tree: suffix sums of a mutable array in O(log n).
struct Fenwick {
    tree: Vec<i32>,
    total: i32,
}

impl Fenwick {
    fn new(len: usize) -> Self {
        Self {
            tree: vec![0; len + 1],
            total: 0,
        }
    }

    fn add(&mut self, index: usize, value: i32) {
        self.total += value;
        let mut node = index + 1;
        // Node n covers the n & -n values that end at index n - 1.
        while node < self.tree.len() {
            self.tree[node] += value;
            node += node & node.wrapping_neg();
        }
    }

    /// Sum of the values from this index to the end.
    fn sum_from(&self, index: usize) -> usize {
        let mut below = 0;
        let mut node = index;
        while node > 0 {
            below += self.tree[node];
            node -= node & node.wrapping_neg();
        }
        (self.total - below) as usize
    }
}

/// Estimates the miss ratio of any policy at several capacities from a spatially hashed sample of the
/// pages (SHARDS, Waldspurger et al., FAST 2015; for policies other than LRU, miniature simulation,
/// ATC 2017). Pages are sampled with probability `rate`, and capacities are scaled by the same factor.
/// The difference between the expected and the actual number of sampled requests counts as hits.
///
/// # Errors
/// [`CacheError::Argument`] if the rate is not in (0, 1]; an error of `make`; an unmet requirement of
/// the policy. Next accesses and predictions of the sampled requests are kept.
pub fn sampled_miss_ratios(
    trace: &Trace,
    rate: f64,
    capacities: &[u64],
    mut make: impl FnMut(u64) -> Result<Box<dyn Policy>, CacheError>,
) -> Result<Vec<f64>, CacheError> {
    if !(rate > 0.0 && rate <= 1.0) {
        return Err(CacheError::Argument {
            name: "rate",
            value: rate.to_string(),
            expected: "a number in (0, 1]",
        });
    }
    if trace.is_empty() {
        return Ok(vec![0.0; capacities.len()]);
    }
    // Sampling by the hash of the id keeps all requests of a page or none, which preserves stack
    // distances up to the factor `rate`.
    let sampled: Vec<usize> = (0..trace.len())
        .filter(|&index| is_sampled(trace.original_id(trace.pages()[index]), rate))
        .collect();
    let sample = trace.sample(&sampled);
    // SHARDS-adj: divide by the expected number of sampled requests, not the actual one.
    let expected = trace.len() as f64 * rate;
    capacities
        .iter()
        .map(|&capacity| {
            let scaled = ((capacity as f64 * rate).round() as u64).max(1);
            let tally: Tally = make(scaled)?.replay(&sample)?;
            // A surplus of sampled requests comes from popular pages, which hit.
            Ok((tally.misses as f64 / expected).clamp(0.0, 1.0))
        })
        .collect()
}

/// Whether the hash of an id is below `rate` times its range.
fn is_sampled(id: u64, rate: f64) -> bool {
    // The finalizer of SplitMix64.
    let mut hash = id.wrapping_add(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    ((hash >> 11) as f64) < rate * (1_u64 << 53) as f64
}
