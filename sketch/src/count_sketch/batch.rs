//! Batches: all places are found, then asked for, then updated row by row.

use super::counter::SignedCounter;
use super::median::median;
use super::{CountSketch, sign};
use crate::count_min::batch::{AHEAD, Ahead, PREFETCH_ABOVE};
use crate::rows::{BATCH, MAX_DEPTH, Places};

/// Adds to a counter, and says whether it stopped at an end.
#[inline(always)]
pub(super) fn add<C: SignedCounter>(cell: &mut C, sign: i64, by: i64) -> bool {
    let count = cell.get();
    let sum = sign.checked_mul(by).and_then(|by| count.checked_add(by));
    // A sum beyond 64 bits lies on the side of the signed weight.
    let end = if (by < 0) == (sign < 0) {
        i64::MAX
    } else {
        i64::MIN
    };
    *cell = C::saturating_from(sum.unwrap_or(end));
    sum != Some(cell.get())
}

impl<C: SignedCounter> CountSketch<C> {
    /// Adds `by(i)` to the frequency of hash `i`.
    #[inline]
    pub(super) fn add_all(&mut self, hashes: &[u64], by: impl Fn(usize) -> i64) {
        let mut places = Places::new();
        let mut saturated = false;
        for (batch, hashes) in hashes.chunks(BATCH).enumerate() {
            let by = |i| by(batch * BATCH + i);
            places.find(self.simd, hashes, self.depth, self.width as u32);
            for i in 0..hashes.len() {
                self.total = self.total.saturating_add(by(i));
            }
            let prefetches = self.cells.size_bytes() > PREFETCH_ABOVE;
            let rows = self.cells.as_mut_slice().chunks_exact_mut(self.stride);
            for (row, cells) in rows.enumerate() {
                let offsets = places.row(row);
                let ahead = Ahead::new(cells, offsets, 1, prefetches);
                for (i, (&offset, &choices)) in offsets.iter().zip(places.choices()).enumerate() {
                    ahead.of(i, cells);
                    saturated |= add(&mut cells[offset as usize], sign(choices, row), by(i));
                }
            }
        }
        self.saturated |= saturated;
    }

    pub(super) fn estimate_all(&self, hashes: &[u64], estimates: &mut [f64]) {
        let mut places = Places::new();
        let cells = self.cells.as_slice();
        let prefetches = self.cells.size_bytes() > PREFETCH_ABOVE;
        for (hashes, estimates) in hashes.chunks(BATCH).zip(estimates.chunks_mut(BATCH)) {
            places.find(self.simd, hashes, self.depth, self.width as u32);
            let ahead: [Ahead<'_>; MAX_DEPTH] = core::array::from_fn(|row| {
                let (cells, offsets) = if row < self.depth {
                    (&cells[row * self.stride..], places.row(row))
                } else {
                    (&cells[..0], &[][..])
                };
                Ahead::by(AHEAD / self.depth, cells, offsets, 1, prefetches)
            });
            for (i, estimate) in estimates.iter_mut().enumerate() {
                let mut counts = [0; MAX_DEPTH];
                for (row, count) in counts.iter_mut().enumerate().take(self.depth) {
                    ahead[row].of(i, &cells[row * self.stride..]);
                    let place = row * self.stride + places.row(row)[i] as usize;
                    *count = sign(places.choices()[i], row) * cells[place].get();
                }
                *estimate = median(&mut counts[..self.depth]);
            }
        }
    }
}
