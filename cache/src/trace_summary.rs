//! Summary statistics of a trace: counts, popularity and reuse.

use septet_core::stats::log_log_slope;
use serde::Serialize;

use crate::miss_ratio_curve::LruCurve;
use crate::trace::Trace;

/// Summary statistics of a trace.
///
/// ```
/// use septet_cache::trace::Trace;
/// use septet_cache::trace_summary::TraceSummary;
///
/// let summary = TraceSummary::new(&Trace::from_ids([1, 2, 1, 3]));
/// assert_eq!((summary.requests, summary.pages), (4, 3));
/// assert_eq!(summary.one_hit_wonders, 2);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TraceSummary {
    /// Number of requests.
    pub requests: u64,
    /// Number of distinct pages.
    pub pages: u64,
    /// Sum of the sizes of all requests; 1 per request without size.
    pub requested_bytes: u64,
    /// Sum of the sizes of pages at their first request.
    pub distinct_bytes: u64,
    /// Pages with exactly one request.
    pub one_hit_wonders: u64,
    /// Number of requests of the most frequent page.
    pub max_page_requests: u64,
    /// The first and the last time stamp, if any.
    pub times: Option<(u64, u64)>,
    /// Number of distinct program counters, if any.
    pub program_counters: Option<u64>,
    /// Whether the trace is annotated with next accesses.
    pub has_next_access: bool,
    /// The exponent of Zipf's law: the negated slope of log frequency over log rank, by least
    /// squares at ranks 1, 2, 4, 8, .. of the pages with more than one request. `None` for fewer
    /// than three ranks.
    pub zipf_alpha: Option<f64>,
    /// Stack distances of repeated requests: the number of distinct pages requested since the
    /// page's last request, including the page, which is the smallest LRU cache in which the
    /// request hits. `None` if no page is requested twice.
    pub stack_distances: Option<Quantiles>,
    /// Usage of cache sets ([`TraceSummary::count_sets`]).
    pub sets: Option<SetUsage>,
}

/// Quantiles of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// 10 % quantile.
    pub p10: u64,
    /// Median.
    pub p50: u64,
    /// 90 % quantile.
    pub p90: u64,
    /// 99 % quantile.
    pub p99: u64,
    /// Maximum.
    pub max: u64,
}

/// The distribution of requests over the sets of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SetUsage {
    /// Number of sets with at least one request.
    pub used: u64,
    /// Minimum number of requests of a used set.
    pub min_requests: u64,
    /// Maximum number of requests of a used set.
    pub max_requests: u64,
}

impl TraceSummary {
    /// Computes the statistics in O(n log n).
    #[must_use]
    pub fn new(trace: &Trace) -> Self {
        let mut frequencies = vec![0_u64; trace.page_count()];
        let mut requested_bytes = 0;
        let mut distinct_bytes = 0;
        for (index, &page) in trace.pages().iter().enumerate() {
            let size = u64::from(trace.sizes().map_or(1, |sizes| sizes[index]));
            requested_bytes += size;
            if frequencies[page as usize] == 0 {
                distinct_bytes += size;
            }
            frequencies[page as usize] += 1;
        }
        // Descending frequencies: the index is the popularity rank.
        frequencies.sort_unstable_by(|left, right| right.cmp(left));
        let repeated = frequencies.partition_point(|&count| count > 1);
        Self {
            requests: trace.len() as u64,
            pages: trace.page_count() as u64,
            requested_bytes,
            distinct_bytes,
            one_hit_wonders: (frequencies.len() - repeated) as u64,
            max_page_requests: frequencies.first().copied().unwrap_or_default(),
            times: trace
                .times()
                .and_then(|times| Some((*times.first()?, *times.last()?))),
            program_counters: trace.pcs().map(|pcs| count_distinct(pcs.to_vec())),
            has_next_access: trace.next().is_some(),
            zipf_alpha: zipf_alpha(&frequencies[..repeated]),
            stack_distances: stack_distances(trace),
            sets: None,
        }
    }

    /// Adds the usage of a cache with `sets` sets of lines of `line_bytes` bytes (at least 1 each),
    /// with ids as byte addresses.
    #[must_use]
    pub fn count_sets(mut self, trace: &Trace, line_bytes: u64, sets: u64) -> Self {
        let mut by_set = hashbrown::HashMap::<u64, u64, foldhash::fast::FixedState>::default();
        for &page in trace.pages() {
            let set = trace.original_id(page) / line_bytes.max(1) % sets.max(1);
            *by_set.entry(set).or_default() += 1;
        }
        self.sets = Some(SetUsage {
            used: by_set.len() as u64,
            min_requests: by_set.values().min().copied().unwrap_or_default(),
            max_requests: by_set.values().max().copied().unwrap_or_default(),
        });
        self
    }
}

fn count_distinct(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.dedup();
    values.len() as u64
}

/// The exponent for frequencies in descending order.
fn zipf_alpha(frequencies: &[u64]) -> Option<f64> {
    const LEVEL: f64 = 0.95;
    // Ranks at powers of two weigh each octave of ranks equally; all ranks would weigh the tail only.
    let points: Vec<(f64, f64)> = std::iter::successors(Some(1_usize), |rank| rank.checked_mul(2))
        .take_while(|&rank| rank <= frequencies.len())
        .map(|rank| (rank as f64, frequencies[rank - 1] as f64))
        .collect();
    Some(-log_log_slope(&points, LEVEL)?.exponent)
}

fn stack_distances(trace: &Trace) -> Option<Quantiles> {
    let curve = LruCurve::new(trace);
    let pages = trace.page_count() as u64;
    let requests = trace.len() as u64;
    let repeated = requests - pages;
    if repeated == 0 {
        return None;
    }
    // The smallest cache in which at least this fraction of the repeated requests hits, by
    // bisection: hits of LRU grow with the capacity.
    let quantile = |fraction: f64| {
        let wanted = (fraction * repeated as f64).ceil() as u64;
        let (mut low, mut high) = (1, pages);
        while low < high {
            let middle = low.midpoint(high);
            if requests - curve.misses(middle) >= wanted {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    };
    Some(Quantiles {
        p10: quantile(0.1),
        p50: quantile(0.5),
        p90: quantile(0.9),
        p99: quantile(0.99),
        max: quantile(1.0),
    })
}

#[cfg(test)]
mod tests {
    use septet_core::seed::SeedTree;

    use super::*;
    use crate::trace::Record;
    use crate::trace::generate::Pattern;

    fn trace(pattern: &Pattern, requests: usize) -> Trace {
        let requests = pattern.requests(&SeedTree::new(5)).unwrap().take(requests);
        Trace::from_records(requests.map(Ok)).unwrap()
    }

    #[test]
    fn counts() {
        let record = |id, size, time| {
            Ok(Record {
                size,
                time,
                ..Record::from_id(id)
            })
        };
        let records = [record(1, 10, 3), record(2, 5, 4), record(1, 20, 9)];
        let summary = TraceSummary::new(&Trace::from_records(records).unwrap());
        assert_eq!((summary.requested_bytes, summary.distinct_bytes), (35, 15));
        assert_eq!((summary.one_hit_wonders, summary.max_page_requests), (1, 2));
        assert_eq!(summary.times, Some((3, 9)));
        assert_eq!(summary.stack_distances.unwrap().p50, 2);
        let empty = TraceSummary::new(&Trace::default());
        assert_eq!((empty.requests, empty.stack_distances), (0, None));
    }

    #[test]
    fn a_scan_has_one_stack_distance() {
        let summary = TraceSummary::new(&trace(&Pattern::Scan { pages: 50 }, 1000));
        let quantiles = summary.stack_distances.unwrap();
        assert_eq!((quantiles.p10, quantiles.max), (50, 50));
    }

    /// Of 400 000 draws, the frequencies at the fitted ranks are within a few percent.
    #[test]
    fn the_exponent_of_zipf_is_found() {
        for alpha in [0.6, 1.0, 1.4] {
            let objects = 2_000;
            let summary = TraceSummary::new(&trace(&Pattern::Zipf { objects, alpha }, 400_000));
            let found = summary.zipf_alpha.unwrap();
            assert!((found - alpha).abs() < 0.05, "{found} for {alpha}");
        }
    }

    #[test]
    fn programs_fall_into_the_sampled_sets() {
        for name in ["mcf-like", "libquantum-like", "lbm-like", "astar-like"] {
            let trace = trace(&name.parse().unwrap(), 100_000);
            let summary = TraceSummary::new(&trace).count_sets(&trace, 64, 2048);
            assert_eq!(summary.sets.unwrap().used, 64, "{name}");
            assert!(summary.pages > 1_024, "{name} has {} lines", summary.pages);
            assert!(summary.program_counters.unwrap() >= 2, "{name}");
        }
    }
}
