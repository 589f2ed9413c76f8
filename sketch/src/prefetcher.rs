//! Prefetching the counters of a batch some keys ahead of their update.

use crate::cache_lines::prefetch;

/// How many cache lines are in flight: a line is requested this many keys before it is used.
pub(crate) const PREFETCH_DISTANCE: usize = 64;

/// Tables of at most this many bytes stay in the second-level cache; prefetching their lines costs
/// more than it gains (measured).
pub(crate) const PREFETCH_MIN_BYTES: usize = 256 * 1024;

/// Requests the cache lines of a batch ahead of their use.
#[derive(Clone, Copy)]
pub(crate) struct Prefetcher<'a> {
    /// The offsets that are not requested yet: entry `i` is requested while key `i` is handled.
    /// Empty when nothing is to be prefetched.
    offsets: &'a [u32],
    stride: usize,
}

impl<'a> Prefetcher<'a> {
    /// Requests the first lines. `stride` is the number of counters from one offset to the next.
    #[inline(always)]
    pub(crate) fn new<C>(cells: &[C], offsets: &'a [u32], stride: usize, enabled: bool) -> Self {
        Self::with_distance(PREFETCH_DISTANCE, cells, offsets, stride, enabled)
    }

    /// As [`new`](Self::new), `distance` keys ahead: several rows share the lines in flight.
    #[inline(always)]
    pub(crate) fn with_distance<C>(
        distance: usize,
        cells: &[C],
        offsets: &'a [u32],
        stride: usize,
        enabled: bool,
    ) -> Self {
        if !enabled {
            return Self {
                offsets: &[],
                stride,
            };
        }
        let (first, rest) = offsets.split_at(distance.min(offsets.len()));
        for &offset in first {
            prefetch(cells, offset as usize * stride);
        }
        Self {
            offsets: rest,
            stride,
        }
    }

    /// Requests the line of the key that comes `distance` keys after key `i`. Call it before key
    /// `i` is handled.
    #[inline(always)]
    pub(crate) fn before<C>(&self, i: usize, cells: &[C]) {
        if let Some(&offset) = self.offsets.get(i) {
            prefetch(cells, offset as usize * self.stride);
        }
    }
}
