//! Batch updates in three passes: find all positions, prefetch their cache lines, update row by row.

use super::counter::SignedCounter;
use super::median::median;
use super::{CountSketch, sign};
use crate::prefetcher::{PREFETCH_DISTANCE, PREFETCH_MIN_BYTES, Prefetcher};
use crate::rows::{BATCH, MAX_DEPTH, Positions};

/// Adds to a counter; returns whether it saturated.
#[inline(always)]
pub(super) fn add<C: SignedCounter>(cell: &mut C, sign: i64, by: i64) -> bool {
    let count = cell.get();
    let sum = sign.checked_mul(by).and_then(|by| count.checked_add(by));
    // A sum beyond 64 bits overflows in the direction of the signed weight.
    let end = if (by < 0) == (sign < 0) {
        i64::MAX
    } else {
        i64::MIN
    };
    *cell = C::saturating_from(sum.unwrap_or(end));
    sum != Some(cell.get())
}

impl<C: SignedCounter> CountSketch<C> {
    /// Adds `by(i)` to the count of hash `i`.
    #[inline]
    pub(super) fn add_all(&mut self, hashes: &[u64], by: impl Fn(usize) -> i64) {
        let mut positions = Positions::new();
        let mut saturated = false;
        for (batch, hashes) in hashes.chunks(BATCH).enumerate() {
            let by = |i| by(batch * BATCH + i);
            positions.find(self.simd, hashes, self.depth, self.width as u32);
            // One by one: a sum of weights could overflow where saturating steps do not.
            for i in 0..hashes.len() {
                self.total = self.total.saturating_add(by(i));
            }
            let prefetches = self.cells.size_bytes() > PREFETCH_MIN_BYTES;
            // Row by row: additions commute, so the order of keys does not matter.
            let rows = self.cells.as_mut_slice().chunks_exact_mut(self.stride);
            for (row, cells) in rows.enumerate() {
                let offsets = positions.row(row);
                let prefetcher = Prefetcher::new(cells, offsets, 1, prefetches);
                for (i, (&offset, &choices)) in offsets.iter().zip(positions.choices()).enumerate()
                {
                    prefetcher.before(i, cells);
                    saturated |= add(&mut cells[offset as usize], sign(choices, row), by(i));
                }
            }
        }
        self.saturated |= saturated;
    }

    /// The estimates of all hashes. The median needs all rows of a key, so keys are the outer loop.
    pub(super) fn estimate_all(&self, hashes: &[u64], estimates: &mut [f64]) {
        let mut positions = Positions::new();
        let cells = self.cells.as_slice();
        let prefetches = self.cells.size_bytes() > PREFETCH_MIN_BYTES;
        for (hashes, estimates) in hashes.chunks(BATCH).zip(estimates.chunks_mut(BATCH)) {
            positions.find(self.simd, hashes, self.depth, self.width as u32);
            let prefetcher: [Prefetcher<'_>; MAX_DEPTH] = core::array::from_fn(|row| {
                let (cells, offsets) = if row < self.depth {
                    (&cells[row * self.stride..], positions.row(row))
                } else {
                    (&cells[..0], &[][..])
                };
                let distance = PREFETCH_DISTANCE / self.depth;
                Prefetcher::with_distance(distance, cells, offsets, 1, prefetches)
            });
            for (i, estimate) in estimates.iter_mut().enumerate() {
                let mut counts = [0; MAX_DEPTH];
                for (row, count) in counts.iter_mut().enumerate().take(self.depth) {
                    prefetcher[row].before(i, &cells[row * self.stride..]);
                    let position = row * self.stride + positions.row(row)[i] as usize;
                    *count = sign(positions.choices()[i], row) * cells[position].get();
                }
                *estimate = median(&mut counts[..self.depth]);
            }
        }
    }
}
