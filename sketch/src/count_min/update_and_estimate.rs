//! Updates that give the new estimate: what a table of the most frequent keys asks for.

use super::batch::{Ahead, PREFETCH_ABOVE};
use super::counter::Counter;
use super::layout::Layout;
use super::{CountMin, Update};
use crate::rows::{BATCH, Places};

impl<C: Counter> CountMin<C> {
    /// Counts one more occurrence of each; the estimates are those right after each update.
    pub(super) fn update_and_estimate_all(&mut self, hashes: &[u64], estimates: &mut [u64]) {
        let mut places = Places::new();
        for (hashes, estimates) in hashes.chunks(BATCH).zip(estimates.chunks_mut(BATCH)) {
            places.find(
                self.simd,
                hashes,
                self.shape.rows_of_offsets(),
                self.shape.range,
            );
            match (self.shape.layout, self.shape.depth) {
                (Layout::RowMajor, 2) => self.row_batch::<2>(&places, estimates),
                (Layout::RowMajor, 3) => self.row_batch::<3>(&places, estimates),
                (Layout::RowMajor, 4) => self.row_batch::<4>(&places, estimates),
                (Layout::RowMajor, _) => self.row_batch::<0>(&places, estimates),
                (Layout::Blocked, 2) => self.line_batch::<2>(&places, estimates),
                (Layout::Blocked, 4) => self.line_batch::<4>(&places, estimates),
                (Layout::Blocked, _) => self.line_batch::<0>(&places, estimates),
            }
        }
        self.total = self.total.saturating_add(hashes.len() as u64);
    }

    fn row_batch<const DEPTH: usize>(&mut self, places: &Places, estimates: &mut [u64]) {
        let depth = if DEPTH == 0 { self.shape.depth } else { DEPTH };
        let stride = self.shape.stride;
        if self.cells.size_bytes() > PREFETCH_ABOVE {
            for (row, cells) in self.cells.as_slice().chunks_exact(stride).enumerate() {
                let ahead = Ahead::new(cells, places.row(row), 1, true);
                (0..estimates.len()).for_each(|i| ahead.of(i, cells));
            }
        }
        for (i, estimate) in estimates.iter_mut().enumerate() {
            let place = |row: usize| row * stride + places.row(row)[i] as usize;
            *estimate = self.add_one(depth, place);
        }
    }

    fn line_batch<const DEPTH: usize>(&mut self, places: &Places, estimates: &mut [u64]) {
        let depth = if DEPTH == 0 { self.shape.depth } else { DEPTH };
        let shape = self.shape;
        let (offsets, choices) = (places.row(0), places.choices());
        if self.cells.size_bytes() > PREFETCH_ABOVE {
            let cells = self.cells.as_slice();
            let ahead = Ahead::new(cells, offsets, shape.stride, true);
            (0..estimates.len()).for_each(|i| ahead.of(i, cells));
        }
        for (i, estimate) in estimates.iter_mut().enumerate() {
            let line = offsets[i] as usize * shape.stride;
            let place = |row: usize| line + shape.slot(row, choices[i]);
            *estimate = self.add_one(depth, place);
        }
    }

    /// Counts one more occurrence of the key of these places, and gives the estimate.
    #[inline(always)]
    fn add_one(&mut self, depth: usize, place: impl Fn(usize) -> usize) -> u64 {
        let cells = self.cells.as_mut_slice();
        let mut least = cells[place(0)];
        for row in 1..depth {
            least = least.min(cells[place(row)]);
        }
        let raised = C::saturating_from(least.get().saturating_add(1));
        match self.rule {
            Update::Conservative => {
                self.saturated |= least == raised;
                for row in 0..depth {
                    let cell = &mut cells[place(row)];
                    *cell = raised.max(*cell);
                }
            }
            Update::Plain => {
                for row in 0..depth {
                    let cell = &mut cells[place(row)];
                    let more = C::saturating_from(cell.get().saturating_add(1));
                    self.saturated |= *cell == more;
                    *cell = more;
                }
            }
        }
        raised.get()
    }
}
