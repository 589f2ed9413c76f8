//! Batch updates in three passes: find all positions, prefetch their cache lines, update in order.
//!
//! Conservative update depends on the order: a key that occurs twice in a batch must raise its
//! counters twice, so updates are never merged or reordered.

use super::counter::Counter;
use super::layout::{Layout, Shape};
use super::sinks::{BatchSink, EstimateSink, Weights};
use super::{CountMin, UpdateRule};
use crate::prefetcher::{PREFETCH_DISTANCE, PREFETCH_MIN_BYTES, Prefetcher};
use crate::rows::{BATCH, MAX_DEPTH, Positions};

/// How a weight is added to a counter.
trait Adder {
    /// Whether no counter can overflow.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "only the vector code reads it")
    )]
    const NEVER_OVERFLOWS: bool;
    /// The sum of a count and a weight.
    fn add<C: Counter>(&mut self, count: C, by: u64) -> C;
}

/// Adds without a check. No counter exceeds the total, so while the total fits into a counter,
/// nothing can overflow.
struct Unchecked;

impl Adder for Unchecked {
    const NEVER_OVERFLOWS: bool = true;
    #[inline(always)]
    fn add<C: Counter>(&mut self, count: C, by: u64) -> C {
        C::from_small(count.get() + by)
    }
}

/// Saturates at the largest value, and records that it did.
struct Saturating {
    saturated: bool,
}

impl Adder for Saturating {
    const NEVER_OVERFLOWS: bool = false;
    #[inline(always)]
    fn add<C: Counter>(&mut self, count: C, by: u64) -> C {
        let sum = count.get().checked_add(by);
        self.saturated |= sum.is_none_or(|sum| sum > C::MAX);
        C::saturating_from(sum.unwrap_or(u64::MAX))
    }
}

impl<C: Counter> CountMin<C> {
    /// Counts each hash with its weight, and passes the new estimates to `estimates`.
    pub(super) fn update_all(
        &mut self,
        hashes: &[u64],
        by: impl Weights,
        estimates: &mut impl EstimateSink,
    ) {
        // The total after the whole batch decides which adder is safe.
        let sum = by.sum(hashes.len());
        let total = sum.and_then(|sum| self.total.checked_add(sum));
        self.total = total.unwrap_or(u64::MAX);
        if total.is_some_and(|total| total <= C::MAX) {
            self.update_with(hashes, by, &mut Unchecked, estimates);
        } else {
            let mut adder = Saturating { saturated: false };
            self.update_with(hashes, by, &mut adder, estimates);
            self.saturated |= adder.saturated;
        }
    }

    fn update_with<A: Adder, E: EstimateSink>(
        &mut self,
        hashes: &[u64],
        by: impl Weights,
        adder: &mut A,
        estimates: &mut E,
    ) {
        let mut positions = Positions::new();
        let shape = self.shape;
        let prefetches = self.cells.size_bytes() > PREFETCH_MIN_BYTES;
        for (batch, hashes) in hashes.chunks(BATCH).enumerate() {
            positions.find(self.simd, hashes, shape.rows_of_offsets(), shape.range);
            let mut table = Table {
                shape,
                cells: self.cells.as_mut_slice(),
                positions: &positions,
                prefetches,
                by: by.skip(batch * BATCH),
                estimates: BatchSink {
                    begin: batch * BATCH,
                    sink: estimates,
                },
            };
            // Blocked `u32` tables have vector instructions of their own; they do not check for
            // overflow.
            #[cfg(target_arch = "x86_64")]
            if A::NEVER_OVERFLOWS
                && let Some(cells) = C::as_u32(table.cells)
                && super::lines::can_update(self.simd, &shape)
            {
                let Table { by, estimates, .. } = table;
                let lines = super::lines::Lines::new(&shape, cells, &positions, prefetches, by);
                lines.update(self.simd, self.rule, estimates);
                continue;
            }
            // The usual depths are constants, so that the compiler unrolls the loops over rows. A
            // plain update goes row by row, unless estimates are needed, which take all rows of a key.
            match (shape.layout, self.rule, shape.depth) {
                (Layout::RowMajor, UpdateRule::Plain, _) if E::RECORDS => table.add_by_key(adder),
                (Layout::RowMajor, UpdateRule::Plain, _) => table.add_to_rows(adder),
                (Layout::RowMajor, UpdateRule::Conservative, 2) => table.raise_rows::<2>(adder),
                (Layout::RowMajor, UpdateRule::Conservative, 3) => table.raise_rows::<3>(adder),
                (Layout::RowMajor, UpdateRule::Conservative, 4) => table.raise_rows::<4>(adder),
                (Layout::RowMajor, UpdateRule::Conservative, _) => table.raise_rows::<0>(adder),
                (Layout::Blocked, UpdateRule::Plain, 2) => table.add_to_lines::<2>(adder),
                (Layout::Blocked, UpdateRule::Plain, 4) => table.add_to_lines::<4>(adder),
                (Layout::Blocked, UpdateRule::Plain, _) => table.add_to_lines::<0>(adder),
                (Layout::Blocked, UpdateRule::Conservative, 2) => table.raise_lines::<2>(adder),
                (Layout::Blocked, UpdateRule::Conservative, 4) => table.raise_lines::<4>(adder),
                (Layout::Blocked, UpdateRule::Conservative, _) => table.raise_lines::<0>(adder),
            }
        }
    }

    /// The estimates of all hashes: the minimum of the counters of each.
    pub(super) fn estimate_all(&self, hashes: &[u64], estimates: &mut [u64]) {
        let mut positions = Positions::new();
        let shape = &self.shape;
        let cells = self.cells.as_slice();
        let prefetches = self.cells.size_bytes() > PREFETCH_MIN_BYTES;
        for (hashes, estimates) in hashes.chunks(BATCH).zip(estimates.chunks_mut(BATCH)) {
            positions.find(self.simd, hashes, shape.rows_of_offsets(), shape.range);
            match shape.layout {
                // Row by row: the running minimum stays in the cache, one row is read at a time.
                Layout::RowMajor => {
                    estimates.fill(u64::MAX);
                    for (row, cells) in cells.chunks_exact(shape.stride).enumerate() {
                        let offsets = positions.row(row);
                        let prefetcher = Prefetcher::new(cells, offsets, 1, prefetches);
                        for (i, estimate) in estimates.iter_mut().enumerate() {
                            prefetcher.before(i, cells);
                            *estimate = cells[offsets[i] as usize].get().min(*estimate);
                        }
                    }
                }
                // One line holds all counters of a key.
                Layout::Blocked => {
                    let offsets = positions.row(0);
                    let choices = positions.choices();
                    let prefetcher = Prefetcher::new(cells, offsets, shape.stride, prefetches);
                    for (i, estimate) in estimates.iter_mut().enumerate() {
                        prefetcher.before(i, cells);
                        let line = &cells[offsets[i] as usize * shape.stride..][..shape.stride];
                        let counts = (0..shape.depth).map(|row| line[shape.slot(row, choices[i])]);
                        *estimate = counts.min().unwrap_or_default().get();
                    }
                }
            }
        }
    }
}

/// A batch of updates, and the counters that they change.
struct Table<'a, C, W, E> {
    shape: Shape,
    cells: &'a mut [C],
    positions: &'a Positions,
    prefetches: bool,
    by: W,
    estimates: BatchSink<'a, E>,
}

impl<C: Counter, W: Weights, E: EstimateSink> Table<'_, C, W, E> {
    /// Plain update, row-major, row by row: additions commute, so the order of keys does not matter.
    fn add_to_rows(&mut self, adder: &mut impl Adder) {
        for (row, cells) in self.cells.chunks_exact_mut(self.shape.stride).enumerate() {
            let offsets = self.positions.row(row);
            let prefetcher = Prefetcher::new(cells, offsets, 1, self.prefetches);
            for (i, &offset) in offsets.iter().enumerate() {
                prefetcher.before(i, cells);
                let cell = &mut cells[offset as usize];
                *cell = adder.add(*cell, self.by.at(i));
            }
        }
    }

    /// Plain update, row-major, key by key, so that the estimate of each key is known at once.
    fn add_by_key(&mut self, adder: &mut impl Adder) {
        let depth = self.shape.depth;
        self.for_each_key(depth, |cells, by, positions| {
            let mut min = None;
            for &position in positions {
                let cell = &mut cells[position];
                *cell = adder.add(*cell, by);
                min = Some(min.map_or(*cell, |min: C| min.min(*cell)));
            }
            min.unwrap_or_default()
        });
    }

    /// Conservative update, row-major. `DEPTH` is the depth when it is known at compile time, else 0.
    fn raise_rows<const DEPTH: usize>(&mut self, adder: &mut impl Adder) {
        let depth = if DEPTH == 0 { self.shape.depth } else { DEPTH };
        self.for_each_key(depth, |cells, by, positions| {
            // The new estimate is the minimum plus the weight; counters above it stay as they are.
            let mut min = cells[positions[0]];
            for &position in &positions[1..] {
                min = min.min(cells[position]);
            }
            let raised = adder.add(min, by);
            for &position in positions {
                let cell = &mut cells[position];
                *cell = raised.max(*cell);
            }
            raised
        });
    }

    /// Calls `update` for each key with all counters, its weight, and the positions of its counters;
    /// `update` returns the new estimate.
    #[inline(always)]
    fn for_each_key(&mut self, depth: usize, mut update: impl FnMut(&mut [C], u64, &[usize]) -> C) {
        let stride = self.shape.stride;
        // Arrays of the largest depth, of which `depth` entries are used: nothing is allocated.
        let offsets: [&[u32]; MAX_DEPTH] = core::array::from_fn(|row| {
            if row < depth {
                self.positions.row(row)
            } else {
                &[]
            }
        });
        let prefetcher: [Prefetcher<'_>; MAX_DEPTH] = core::array::from_fn(|row| {
            let cells = self.cells.get(row * stride..).unwrap_or_default();
            // The rows share the lines in flight.
            let distance = PREFETCH_DISTANCE / depth;
            Prefetcher::with_distance(distance, cells, offsets[row], 1, self.prefetches)
        });
        let keys = offsets[0].len();
        (0..keys).for_each(|i| {
            for (row, prefetcher) in prefetcher[..depth].iter().enumerate() {
                prefetcher.before(i, &self.cells[row * stride..]);
            }
            let mut positions = [0; MAX_DEPTH];
            for (row, position) in positions[..depth].iter_mut().enumerate() {
                *position = row * stride + offsets[row][i] as usize;
            }
            let estimate = update(self.cells, self.by.at(i), &positions[..depth]);
            self.estimates.set(i, estimate);
        });
    }

    /// Plain update, blocked.
    fn add_to_lines<const DEPTH: usize>(&mut self, adder: &mut impl Adder) {
        let depth = if DEPTH == 0 { self.shape.depth } else { DEPTH };
        let stride = self.shape.stride;
        let (offsets, choices) = (self.positions.row(0), self.positions.choices());
        let prefetcher = Prefetcher::new(self.cells, offsets, stride, self.prefetches);
        for (i, (&offset, &choices)) in offsets.iter().zip(choices).enumerate() {
            prefetcher.before(i, self.cells);
            let line = &mut self.cells[offset as usize * stride..][..stride];
            let mut min = None;
            for row in 0..depth {
                let cell = &mut line[self.shape.slot(row, choices)];
                *cell = adder.add(*cell, self.by.at(i));
                min = Some(min.map_or(*cell, |min: C| min.min(*cell)));
            }
            self.estimates.set(i, min.unwrap_or_default());
        }
    }

    /// Conservative update, blocked.
    fn raise_lines<const DEPTH: usize>(&mut self, adder: &mut impl Adder) {
        let depth = if DEPTH == 0 { self.shape.depth } else { DEPTH };
        let stride = self.shape.stride;
        let (offsets, choices) = (self.positions.row(0), self.positions.choices());
        let prefetcher = Prefetcher::new(self.cells, offsets, stride, self.prefetches);
        for (i, (&offset, &choices)) in offsets.iter().zip(choices).enumerate() {
            prefetcher.before(i, self.cells);
            let line = &mut self.cells[offset as usize * stride..][..stride];
            let slots: [usize; MAX_DEPTH] = core::array::from_fn(|row| {
                if row < depth {
                    self.shape.slot(row, choices)
                } else {
                    0
                }
            });
            // As in `raise_rows`.
            let mut min = line[slots[0]];
            for &slot in &slots[1..depth] {
                min = min.min(line[slot]);
            }
            let raised = adder.add(min, self.by.at(i));
            for &slot in &slots[..depth] {
                line[slot] = raised.max(line[slot]);
            }
            self.estimates.set(i, raised);
        }
    }
}
