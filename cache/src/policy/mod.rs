//! Classic replacement policies behind one trait.
//!
//! Queue- and list-based policies ([`Lru`], [`Fifo`], [`Clock`], [`Sieve`], [`S3Fifo`], [`TwoQueue`],
//! [`SegmentedLru`], [`AdaptiveReplacement`], [`Lfu`], [`WTinyLfu`], [`Gdsf`], [`Random`], [`Belady`],
//! [`BeladySize`]) accept objects of any size. The others are paging algorithms and require pages of
//! size 1 ([`Needs::unit_sizes`]).

use crate::error::CacheError;
use crate::request::{NEVER, PageId, Request};
use crate::trace::Trace;

mod adaptive_replacement;
mod belady;
mod belady_size;
mod clock;
mod fifo;
mod gdsf;
pub(crate) mod ghost;
pub(crate) mod layers;
mod lecar;
mod lfu;
mod lirs;
mod lru;
mod marker;
pub(crate) mod online_min;
pub(crate) mod page_set;
mod random;
mod s3_fifo;
mod segmented_lru;
mod sieve;
pub(crate) mod slots;
pub(crate) mod table;
mod two_queue;
mod w_tiny_lfu;

pub use adaptive_replacement::AdaptiveReplacement;
pub use belady::Belady;
pub use belady_size::BeladySize;
pub use clock::Clock;
pub use fifo::Fifo;
pub use gdsf::Gdsf;
pub use lecar::LeCar;
pub use lfu::Lfu;
pub use lirs::Lirs;
pub use lru::Lru;
pub use marker::Marker;
pub use online_min::OnlineMin;
pub use random::Random;
pub use s3_fifo::S3Fifo;
pub use segmented_lru::SegmentedLru;
pub use sieve::Sieve;
pub use two_queue::TwoQueue;
pub use w_tiny_lfu::WTinyLfu;

/// A replacement policy together with the cache that it manages.
///
/// Capacities are in the unit of [`Request::size`]: pages in paging, bytes when the trace has
/// sizes. A request larger than the capacity is a miss that changes nothing.
pub trait Policy: std::fmt::Debug + Send {
    /// The policy's name in the literature.
    fn name(&self) -> String;

    /// What the policy requires of a trace.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Serves one request and returns whether it hits. Appends to `evicted` each page that was
    /// cached before the request and is not afterwards; `evicted` is not cleared.
    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool;

    /// Whether the page is in the cache.
    fn contains(&self, page: PageId) -> bool;

    /// Replays a whole trace.
    ///
    /// # Errors
    /// When the trace lacks what the policy [needs](Policy::needs).
    fn replay(&mut self, trace: &Trace) -> Result<Tally, CacheError> {
        self.needs().check(&self.name(), trace)?;
        Ok(self.replay_range(trace, 0..trace.len()))
    }

    /// Replays a range of a trace without checking [`Policy::needs`]. Replaying consecutive ranges
    /// is equivalent to replaying the whole.
    ///
    /// # Panics
    /// If the range is not within the trace.
    fn replay_range(&mut self, trace: &Trace, range: std::ops::Range<usize>) -> Tally {
        let needs = self.needs();
        let mut tally = Tally::default();
        let mut evicted = Vec::new();
        if trace.sizes().is_none() && !needs.future && !needs.predictions {
            // Fast path: only the page is read, 4 bytes per request. The loop is a provided method
            // so that it is compiled once per policy with `access` inlined.
            let (start, count) = (range.start, range.len());
            for (offset, &page) in trace.pages()[range].iter().enumerate() {
                let request = Request::new(page, (start + offset) as u32);
                tally.misses += u64::from(!self.access(&request, &mut evicted));
                evicted.clear();
            }
            tally.requests = count as u64;
            tally.bytes = tally.requests;
            tally.bytes_missed = tally.misses;
            return tally;
        }
        let sizes = trace.sizes();
        let next = needs.future.then(|| trace.next()).flatten();
        let predictions = needs.predictions.then(|| trace.predictions()).flatten();
        for index in range {
            let request = Request {
                page: trace.pages()[index],
                size: sizes.map_or(1, |sizes| sizes[index]),
                now: index as u32,
                next: next.map_or(NEVER, |next| next[index]),
                predicted: predictions.map_or(f64::INFINITY, |column| column[index]),
            };
            let hit = self.access(&request, &mut evicted);
            evicted.clear();
            tally.count(&request, hit);
        }
        tally
    }
}

/// What a policy requires of a trace beyond the requested pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Next-access times ([`Trace::annotate`]).
    pub future: bool,
    /// Predictions ([`Trace::set_predictions`]).
    pub predictions: bool,
    /// Objects of size 1.
    pub unit_sizes: bool,
}

impl Needs {
    /// Paging: pages of size 1 and nothing else.
    pub(crate) const PAGING: Self = Self {
        future: false,
        predictions: false,
        unit_sizes: true,
    };

    /// Learning-augmented paging: pages of size 1, and predictions.
    pub(crate) const PREDICTED_PAGING: Self = Self {
        future: false,
        predictions: true,
        unit_sizes: true,
    };

    /// The union of two policies' requirements.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            future: self.future || other.future,
            predictions: self.predictions || other.predictions,
            unit_sizes: self.unit_sizes || other.unit_sizes,
        }
    }

    /// Checks that the trace meets the requirements.
    ///
    /// # Errors
    /// [`CacheError::NeedsFuture`], [`CacheError::NeedsPredictions`] or
    /// [`CacheError::NeedsUnitSizes`], with the policy's name.
    pub fn check(self, policy: &str, trace: &Trace) -> Result<(), CacheError> {
        let policy = || policy.to_string();
        if self.future && trace.next().is_none() {
            return Err(CacheError::NeedsFuture { policy: policy() });
        }
        if self.predictions && trace.predictions().is_none() {
            return Err(CacheError::NeedsPredictions { policy: policy() });
        }
        if self.unit_sizes
            && let Some(sizes) = trace.sizes()
            && let Some((request, &size)) = sizes.iter().enumerate().find(|&(_, &size)| size != 1)
        {
            return Err(CacheError::NeedsUnitSizes {
                policy: policy(),
                request,
                size,
            });
        }
        Ok(())
    }
}

/// The counts of a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tally {
    /// Requests served.
    pub requests: u64,
    /// Requests that missed, including the first request of each page.
    pub misses: u64,
    /// Sum of the sizes of the requests.
    pub bytes: u64,
    /// Sum of the sizes of the requests that missed.
    pub bytes_missed: u64,
}

impl Tally {
    /// Counts one request.
    #[inline]
    pub fn count(&mut self, request: &Request, hit: bool) {
        let size = u64::from(request.size);
        self.requests += 1;
        self.bytes += size;
        if !hit {
            self.misses += 1;
            self.bytes_missed += size;
        }
    }

    /// Requests that hit.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.requests - self.misses
    }

    /// Misses over requests; 0 without requests.
    #[must_use]
    pub fn miss_ratio(&self) -> f64 {
        ratio(self.misses, self.requests)
    }

    /// Bytes missed over bytes requested; 0 without requests.
    #[must_use]
    pub fn byte_miss_ratio(&self) -> f64 {
        ratio(self.bytes_missed, self.bytes)
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.misses += other.misses;
        self.bytes += other.bytes;
        self.bytes_missed += other.bytes_missed;
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}
