//! Batches: all places are found, then asked for from memory, then updated in order.
//!
//! The order matters to conservative update alone, but there it does: two equal keys in a batch
//! must raise their counters twice.

use super::counter::Counter;
use super::layout::{Layout, Shape};
use super::{CountMin, Update};
use crate::cache_lines::prefetch;
use crate::rows::{BATCH, MAX_DEPTH, Places};

/// Tables of at most this many bytes are in the second-level cache anyway, and asking for their
/// lines costs more than it gains (measured).
pub(crate) const PREFETCH_ABOVE: usize = 256 * 1024;

/// How often each key of a batch occurred.
pub(super) trait Weights: Copy {
    /// The weight of this key.
    fn at(&self, index: usize) -> u64;
    /// The weights from this key on.
    fn skip(&self, begin: usize) -> Self;
    /// The sum of the weights of so many keys, if it fits.
    fn sum(&self, length: usize) -> Option<u64>;
}

/// Each key occurred once.
#[derive(Clone, Copy)]
pub(super) struct Once;

impl Weights for Once {
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

/// The number of occurrences of each key.
#[derive(Clone, Copy)]
pub(super) struct Each<'a>(pub(super) &'a [u64]);

impl Weights for Each<'_> {
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

/// Who wants to know the estimates right after each update.
pub(super) trait Estimates {
    /// Whether anyone does.
    const ASKED: bool;
    /// The estimate of this key is this.
    fn set<C: Counter>(&mut self, index: usize, estimate: C);
}

/// Nobody.
pub(super) struct Unasked;

impl Estimates for Unasked {
    const ASKED: bool = false;

    #[inline(always)]
    fn set<C: Counter>(&mut self, _: usize, _: C) {}
}

/// They go into this slice.
pub(super) struct Asked<'a>(pub(super) &'a mut [u64]);

impl Estimates for Asked<'_> {
    const ASKED: bool = true;

    #[inline(always)]
    fn set<C: Counter>(&mut self, index: usize, estimate: C) {
        self.0[index] = estimate.get();
    }
}

/// How counters are added to.
trait Adder {
    /// Whether no counter can overflow.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "asked by vector instructions")
    )]
    const FITS: bool;
    fn add<C: Counter>(&mut self, count: C, by: u64) -> C;
}

/// No counter is above the total: while that fits into a counter, nothing can overflow.
struct Fits;

impl Adder for Fits {
    const FITS: bool = true;
    #[inline(always)]
    fn add<C: Counter>(&mut self, count: C, by: u64) -> C {
        C::from_small(count.get() + by)
    }
}

/// Stops at the largest value, and remembers that it did.
struct Saturating {
    saturated: bool,
}

impl Adder for Saturating {
    const FITS: bool = false;
    #[inline(always)]
    fn add<C: Counter>(&mut self, count: C, by: u64) -> C {
        let sum = count.get().checked_add(by);
        self.saturated |= sum.is_none_or(|sum| sum > C::MAX);
        C::saturating_from(sum.unwrap_or(u64::MAX))
    }
}

impl<C: Counter> CountMin<C> {
    pub(super) fn update_all(
        &mut self,
        hashes: &[u64],
        by: impl Weights,
        estimates: &mut impl Estimates,
    ) {
        let sum = by.sum(hashes.len());
        let total = sum.and_then(|sum| self.total.checked_add(sum));
        self.total = total.unwrap_or(u64::MAX);
        if total.is_some_and(|total| total <= C::MAX) {
            self.update_with(hashes, by, &mut Fits, estimates);
        } else {
            let mut adder = Saturating { saturated: false };
            self.update_with(hashes, by, &mut adder, estimates);
            self.saturated |= adder.saturated;
        }
    }

    fn update_with<A: Adder, E: Estimates>(
        &mut self,
        hashes: &[u64],
        by: impl Weights,
        adder: &mut A,
        estimates: &mut E,
    ) {
        let mut places = Places::new();
        let shape = self.shape;
        let prefetches = self.cells.size_bytes() > PREFETCH_ABOVE;
        for (batch, hashes) in hashes.chunks(BATCH).enumerate() {
            places.find(self.simd, hashes, shape.rows_of_offsets(), shape.range);
            let mut table = Table {
                shape,
                cells: self.cells.as_mut_slice(),
                places: &places,
                prefetches,
                by: by.skip(batch * BATCH),
                estimates: Part {
                    begin: batch * BATCH,
                    estimates,
                },
            };
            #[cfg(target_arch = "x86_64")]
            if A::FITS
                && let Some(cells) = C::as_u32(table.cells)
                && super::lines::can_update(self.simd, &shape)
            {
                let Table { by, estimates, .. } = table;
                let lines = super::lines::Lines::new(&shape, cells, &places, prefetches, by);
                lines.update(self.simd, self.rule, estimates);
                continue;
            }
            match (shape.layout, self.rule, shape.depth) {
                (Layout::RowMajor, Update::Plain, _) if E::ASKED => table.add_by_key(adder),
                (Layout::RowMajor, Update::Plain, _) => table.add_to_rows(adder),
                (Layout::RowMajor, Update::Conservative, 2) => table.raise_rows::<2>(adder),
                (Layout::RowMajor, Update::Conservative, 3) => table.raise_rows::<3>(adder),
                (Layout::RowMajor, Update::Conservative, 4) => table.raise_rows::<4>(adder),
                (Layout::RowMajor, Update::Conservative, _) => table.raise_rows::<0>(adder),
                (Layout::Blocked, Update::Plain, 2) => table.add_to_lines::<2>(adder),
                (Layout::Blocked, Update::Plain, 4) => table.add_to_lines::<4>(adder),
                (Layout::Blocked, Update::Plain, _) => table.add_to_lines::<0>(adder),
                (Layout::Blocked, Update::Conservative, 2) => table.raise_lines::<2>(adder),
                (Layout::Blocked, Update::Conservative, 4) => table.raise_lines::<4>(adder),
                (Layout::Blocked, Update::Conservative, _) => table.raise_lines::<0>(adder),
            }
        }
    }

    pub(super) fn estimate_all(&self, hashes: &[u64], estimates: &mut [u64]) {
        let mut places = Places::new();
        let shape = &self.shape;
        let cells = self.cells.as_slice();
        let prefetches = self.cells.size_bytes() > PREFETCH_ABOVE;
        for (hashes, estimates) in hashes.chunks(BATCH).zip(estimates.chunks_mut(BATCH)) {
            places.find(self.simd, hashes, shape.rows_of_offsets(), shape.range);
            match shape.layout {
                Layout::RowMajor => {
                    estimates.fill(u64::MAX);
                    for (row, cells) in cells.chunks_exact(shape.stride).enumerate() {
                        let offsets = places.row(row);
                        let ahead = Ahead::new(cells, offsets, 1, prefetches);
                        for (i, estimate) in estimates.iter_mut().enumerate() {
                            ahead.of(i, cells);
                            *estimate = cells[offsets[i] as usize].get().min(*estimate);
                        }
                    }
                }
                Layout::Blocked => {
                    let offsets = places.row(0);
                    let choices = places.choices();
                    let ahead = Ahead::new(cells, offsets, shape.stride, prefetches);
                    for (i, estimate) in estimates.iter_mut().enumerate() {
                        ahead.of(i, cells);
                        let line = &cells[offsets[i] as usize * shape.stride..][..shape.stride];
                        let counts = (0..shape.depth).map(|row| line[shape.slot(row, choices[i])]);
                        *estimate = counts.min().unwrap_or_default().get();
                    }
                }
            }
        }
    }
}

/// How many lines are asked for before they are needed.
pub(crate) const AHEAD: usize = 64;

/// Asks for lines some time before they are needed.
#[derive(Clone, Copy)]
pub(crate) struct Ahead<'a> {
    offsets: &'a [u32],
    stride: usize,
}

impl<'a> Ahead<'a> {
    /// Asks for the first lines. `stride` is the number of counters from one offset to the next.
    #[inline(always)]
    pub(crate) fn new<C>(cells: &[C], offsets: &'a [u32], stride: usize, prefetches: bool) -> Self {
        Self::by(AHEAD, cells, offsets, stride, prefetches)
    }

    #[inline(always)]
    pub(crate) fn by<C>(
        distance: usize,
        cells: &[C],
        offsets: &'a [u32],
        stride: usize,
        prefetches: bool,
    ) -> Self {
        if !prefetches {
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

    /// Before key `i`: asks for a line that is needed later.
    #[inline(always)]
    pub(crate) fn of<C>(&self, i: usize, cells: &[C]) {
        if let Some(&offset) = self.offsets.get(i) {
            prefetch(cells, offset as usize * self.stride);
        }
    }
}

/// Those estimates that belong to one batch.
pub(super) struct Part<'a, E> {
    begin: usize,
    estimates: &'a mut E,
}

impl<E: Estimates> Part<'_, E> {
    #[inline(always)]
    pub(super) fn set<C: Counter>(&mut self, index: usize, estimate: C) {
        self.estimates.set(self.begin + index, estimate);
    }
}

/// A batch of updates, and the counters that they change.
struct Table<'a, C, W, E> {
    shape: Shape,
    cells: &'a mut [C],
    places: &'a Places,
    prefetches: bool,
    by: W,
    estimates: Part<'a, E>,
}

impl<C: Counter, W: Weights, E: Estimates> Table<'_, C, W, E> {
    /// Plain update of rows: row by row, since the order does not matter.
    fn add_to_rows(&mut self, adder: &mut impl Adder) {
        for (row, cells) in self.cells.chunks_exact_mut(self.shape.stride).enumerate() {
            let offsets = self.places.row(row);
            let ahead = Ahead::new(cells, offsets, 1, self.prefetches);
            for (i, &offset) in offsets.iter().enumerate() {
                ahead.of(i, cells);
                let cell = &mut cells[offset as usize];
                *cell = adder.add(*cell, self.by.at(i));
            }
        }
    }

    /// Plain update of rows, key by key.
    fn add_by_key(&mut self, adder: &mut impl Adder) {
        let depth = self.shape.depth;
        self.for_each_key(depth, |cells, by, places| {
            let mut least = None;
            for &place in places {
                let cell = &mut cells[place];
                *cell = adder.add(*cell, by);
                least = Some(least.map_or(*cell, |least: C| least.min(*cell)));
            }
            least.unwrap_or_default()
        });
    }

    /// Conservative update of rows. `DEPTH` is the depth when that is known, or 0.
    fn raise_rows<const DEPTH: usize>(&mut self, adder: &mut impl Adder) {
        let depth = if DEPTH == 0 { self.shape.depth } else { DEPTH };
        self.for_each_key(depth, |cells, by, places| {
            let mut least = cells[places[0]];
            for &place in &places[1..] {
                least = least.min(cells[place]);
            }
            let raised = adder.add(least, by);
            for &place in places {
                let cell = &mut cells[place];
                *cell = raised.max(*cell);
            }
            raised
        });
    }

    /// Calls `update` with the counters, the weight of a key, and where its counters are; it gives
    /// the estimate.
    #[inline(always)]
    fn for_each_key(&mut self, depth: usize, mut update: impl FnMut(&mut [C], u64, &[usize]) -> C) {
        let stride = self.shape.stride;
        let offsets: [&[u32]; MAX_DEPTH] = core::array::from_fn(|row| {
            if row < depth {
                self.places.row(row)
            } else {
                &[]
            }
        });
        let ahead: [Ahead<'_>; MAX_DEPTH] = core::array::from_fn(|row| {
            let cells = self.cells.get(row * stride..).unwrap_or_default();
            Ahead::by(AHEAD / depth, cells, offsets[row], 1, self.prefetches)
        });
        let keys = offsets[0].len();
        (0..keys).for_each(|i| {
            for (row, ahead) in ahead[..depth].iter().enumerate() {
                ahead.of(i, &self.cells[row * stride..]);
            }
            let mut places = [0; MAX_DEPTH];
            for (row, place) in places[..depth].iter_mut().enumerate() {
                *place = row * stride + offsets[row][i] as usize;
            }
            let estimate = update(self.cells, self.by.at(i), &places[..depth]);
            self.estimates.set(i, estimate);
        });
    }

    /// Plain update of lines.
    fn add_to_lines<const DEPTH: usize>(&mut self, adder: &mut impl Adder) {
        let depth = if DEPTH == 0 { self.shape.depth } else { DEPTH };
        let stride = self.shape.stride;
        let (offsets, choices) = (self.places.row(0), self.places.choices());
        let ahead = Ahead::new(self.cells, offsets, stride, self.prefetches);
        for (i, (&offset, &choices)) in offsets.iter().zip(choices).enumerate() {
            ahead.of(i, self.cells);
            let line = &mut self.cells[offset as usize * stride..][..stride];
            let mut least = None;
            for row in 0..depth {
                let cell = &mut line[self.shape.slot(row, choices)];
                *cell = adder.add(*cell, self.by.at(i));
                least = Some(least.map_or(*cell, |least: C| least.min(*cell)));
            }
            self.estimates.set(i, least.unwrap_or_default());
        }
    }

    /// Conservative update of lines.
    fn raise_lines<const DEPTH: usize>(&mut self, adder: &mut impl Adder) {
        let depth = if DEPTH == 0 { self.shape.depth } else { DEPTH };
        let stride = self.shape.stride;
        let (offsets, choices) = (self.places.row(0), self.places.choices());
        let ahead = Ahead::new(self.cells, offsets, stride, self.prefetches);
        for (i, (&offset, &choices)) in offsets.iter().zip(choices).enumerate() {
            ahead.of(i, self.cells);
            let line = &mut self.cells[offset as usize * stride..][..stride];
            let slots: [usize; MAX_DEPTH] = core::array::from_fn(|row| {
                if row < depth {
                    self.shape.slot(row, choices)
                } else {
                    0
                }
            });
            let mut least = line[slots[0]];
            for &slot in &slots[1..depth] {
                least = least.min(line[slot]);
            }
            let raised = adder.add(least, self.by.at(i));
            for &slot in &slots[..depth] {
                line[slot] = raised.max(line[slot]);
            }
            self.estimates.set(i, raised);
        }
    }
}
