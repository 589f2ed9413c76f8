//! The two ways in which batch updates differ: what each key weighs, and whether estimates are
//! recorded. Both are type parameters, so that the update loops have no branches for them.

use super::counter::Counter;

/// How often each key of a batch occurred.
pub(super) trait Weights: Copy {
    /// The weight of key `index`.
    fn at(&self, index: usize) -> u64;
    /// The weights from key `begin` on.
    fn skip(&self, begin: usize) -> Self;
    /// The sum of the first `length` weights, `None` on overflow.
    fn sum(&self, length: usize) -> Option<u64>;
}

/// Each key occurred once.
#[derive(Clone, Copy)]
pub(super) struct UnitWeights;

impl Weights for UnitWeights {
    #[inline(always)]
    fn at(&self, _: usize) -> u64 {
        1
    }

    #[inline(always)]
    fn skip(&self, _: usize) -> Self {
        Self
    }

    #[inline(always)]
    fn sum(&self, length: usize) -> Option<u64> {
        Some(length as u64)
    }
}

/// One weight for each key.
#[derive(Clone, Copy)]
pub(super) struct SliceWeights<'a>(pub(super) &'a [u64]);

impl Weights for SliceWeights<'_> {
    #[inline(always)]
    fn at(&self, index: usize) -> u64 {
        self.0[index]
    }

    #[inline(always)]
    fn skip(&self, begin: usize) -> Self {
        Self(&self.0[begin..])
    }

    fn sum(&self, length: usize) -> Option<u64> {
        let mut weights = self.0[..length].iter();
        weights.try_fold(0_u64, |sum, &by| sum.checked_add(by))
    }
}

/// Sink for the estimate of each key right after its update.
pub(super) trait EstimateSink {
    /// Whether estimates are recorded; where they are not, they need not be computed.
    const RECORDS: bool;
    /// Records the estimate of key `index`.
    fn set<C: Counter>(&mut self, index: usize, estimate: C);
}

/// Discards the estimates.
pub(super) struct Discard;

impl EstimateSink for Discard {
    const RECORDS: bool = false;

    #[inline(always)]
    fn set<C: Counter>(&mut self, _: usize, _: C) {}
}

/// Records the estimates in a slice.
pub(super) struct Record<'a>(pub(super) &'a mut [u64]);

impl EstimateSink for Record<'_> {
    const RECORDS: bool = true;

    #[inline(always)]
    fn set<C: Counter>(&mut self, index: usize, estimate: C) {
        self.0[index] = estimate.get();
    }
}

/// The estimates of one batch: those of a sink from `begin` on.
pub(super) struct BatchSink<'a, E> {
    pub(super) begin: usize,
    pub(super) sink: &'a mut E,
}

impl<E: EstimateSink> BatchSink<'_, E> {
    #[inline(always)]
    pub(super) fn set<C: Counter>(&mut self, index: usize, estimate: C) {
        self.sink.set(self.begin + index, estimate);
    }
}
