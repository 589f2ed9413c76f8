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
const PREFETCH_ABOVE: usize = 256 * 1024;

/// How often each key of a batch occurred.
pub(super) trait Weights: Copy {
    /// The weight of this key.
    fn at(&self, index: usize) -> u64;
    /// The weights from this key on.
    fn skip(&self, begin: usize) -> Self;
    /// The sum of the weights of so many keys.
    fn sum(&self, length: usize) -> u64;
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
    fn sum(&self, length: usize) -> u64 {
        length as u64
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

    fn sum(&self, length: usize) -> u64 {
        self.0[..length]
            .iter()
            .fold(0, |sum, &by| sum.saturating_add(by))
    }
}

/// How counters are added to.
trait Adder {
    fn add<C: Counter>(&mut self, count: C, by: u64) -> C;
}

/// No counter is above the total: while that fits into a counter, nothing can overflow.
struct Fits;

impl Adder for Fits {
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
    #[inline(always)]
    fn add<C: Counter>(&mut self, count: C, by: u64) -> C {
        let sum = count.get().checked_add(by);
        self.saturated |= sum.is_none_or(|sum| sum > C::MAX);
        C::saturating_from(sum.unwrap_or(u64::MAX))
    }
}

impl<C: Counter> CountMin<C> {
    pub(super) fn update_all(&mut self, hashes: &[u64], by: impl Weights) {
        let total = self.total.checked_add(by.sum(hashes.len()));
        self.total = total.unwrap_or(u64::MAX);
        if total.is_some_and(|total| total <= C::MAX) {
            self.update_with(hashes, by, &mut Fits);
        } else {
            let mut adder = Saturating { saturated: false };
            self.update_with(hashes, by, &mut adder);
            self.saturated |= adder.saturated;
        }
    }

    fn update_with(&mut self, hashes: &[u64], by: impl Weights, adder: &mut impl Adder) {
        let mut places = Places::new();
        let shape = self.shape;
        for (batch, hashes) in hashes.chunks(BATCH).enumerate() {
            let by = by.skip(batch * BATCH);
            self.look_up(&mut places, hashes);
            let length = hashes.len();
            let cells = self.cells.as_mut_slice();
            match (shape.layout, self.rule) {
                (Layout::RowMajor, Update::Plain) => {
                    add_to_rows(&shape, cells, &places, length, by, adder);
                }
                (Layout::RowMajor, Update::Conservative) => match shape.depth {
                    2 => raise_rows::<2, C>(&shape, cells, &places, length, by, adder),
                    3 => raise_rows::<3, C>(&shape, cells, &places, length, by, adder),
                    4 => raise_rows::<4, C>(&shape, cells, &places, length, by, adder),
                    _ => raise_rows::<0, C>(&shape, cells, &places, length, by, adder),
                },
                (Layout::Blocked, Update::Plain) => match shape.depth {
                    2 => add_to_lines::<2, C>(&shape, cells, &places, length, by, adder),
                    4 => add_to_lines::<4, C>(&shape, cells, &places, length, by, adder),
                    _ => add_to_lines::<0, C>(&shape, cells, &places, length, by, adder),
                },
                (Layout::Blocked, Update::Conservative) => match shape.depth {
                    2 => raise_lines::<2, C>(&shape, cells, &places, length, by, adder),
                    4 => raise_lines::<4, C>(&shape, cells, &places, length, by, adder),
                    _ => raise_lines::<0, C>(&shape, cells, &places, length, by, adder),
                },
            }
        }
    }

    pub(super) fn estimate_all(&self, hashes: &[u64], estimates: &mut [u64]) {
        let mut places = Places::new();
        let shape = &self.shape;
        let cells = self.cells.as_slice();
        for (hashes, estimates) in hashes.chunks(BATCH).zip(estimates.chunks_mut(BATCH)) {
            self.look_up(&mut places, hashes);
            match shape.layout {
                Layout::RowMajor => {
                    estimates.fill(u64::MAX);
                    let rows = cells.chunks_exact(shape.stride);
                    for (offsets, row) in places.offsets.iter().zip(rows) {
                        for (estimate, &offset) in estimates.iter_mut().zip(offsets) {
                            *estimate = row[offset as usize].get().min(*estimate);
                        }
                    }
                }
                Layout::Blocked => {
                    for (i, estimate) in estimates.iter_mut().enumerate() {
                        let line = line(shape, cells, &places, i);
                        let counts = (0..shape.depth)
                            .map(|row| line[shape.slot(row, places.choices[i])].get());
                        *estimate = counts.min().unwrap_or_default();
                    }
                }
            }
        }
    }

    /// Finds the places of a batch, and asks for their lines.
    #[inline(always)]
    fn look_up(&self, places: &mut Places, hashes: &[u64]) {
        let shape = &self.shape;
        let rows = match shape.layout {
            Layout::RowMajor => shape.depth,
            Layout::Blocked => 1,
        };
        places.find(self.simd, hashes, rows, shape.range);
        let cells = self.cells.as_slice();
        if self.cells.size_bytes() <= PREFETCH_ABOVE {
            return;
        }
        match shape.layout {
            Layout::RowMajor => {
                for (offsets, row) in places.offsets.iter().zip(cells.chunks_exact(shape.stride)) {
                    for &offset in &offsets[..hashes.len()] {
                        prefetch(&row[offset as usize]);
                    }
                }
            }
            Layout::Blocked => {
                for i in 0..hashes.len() {
                    prefetch(&line(shape, cells, places, i)[0]);
                }
            }
        }
    }
}

/// The line of key `i`.
#[inline(always)]
fn line<'a, C: Counter>(shape: &Shape, cells: &'a [C], places: &Places, i: usize) -> &'a [C] {
    &cells[places.offsets[0][i] as usize * shape.stride..][..shape.stride]
}

/// Plain update of rows: row by row, since the order does not matter.
#[inline(always)]
fn add_to_rows<C: Counter>(
    shape: &Shape,
    cells: &mut [C],
    places: &Places,
    length: usize,
    by: impl Weights,
    adder: &mut impl Adder,
) {
    let rows = cells.chunks_exact_mut(shape.stride);
    for (offsets, row) in places.offsets.iter().zip(rows) {
        for (i, &offset) in offsets[..length].iter().enumerate() {
            let cell = &mut row[offset as usize];
            *cell = adder.add(*cell, by.at(i));
        }
    }
}

/// Conservative update of rows. `DEPTH` is the depth when that is known, or 0.
#[inline(always)]
fn raise_rows<const DEPTH: usize, C: Counter>(
    shape: &Shape,
    cells: &mut [C],
    places: &Places,
    length: usize,
    by: impl Weights,
    adder: &mut impl Adder,
) {
    let depth = if DEPTH == 0 { shape.depth } else { DEPTH };
    for i in 0..length {
        let place = |row: usize| row * shape.stride + places.offsets[row][i] as usize;
        let mut least = cells[place(0)];
        for row in 1..depth {
            least = least.min(cells[place(row)]);
        }
        let raised = adder.add(least, by.at(i));
        for row in 0..depth {
            let cell = &mut cells[place(row)];
            *cell = raised.max(*cell);
        }
    }
}

/// Plain update of lines.
#[inline(always)]
fn add_to_lines<const DEPTH: usize, C: Counter>(
    shape: &Shape,
    cells: &mut [C],
    places: &Places,
    length: usize,
    by: impl Weights,
    adder: &mut impl Adder,
) {
    let depth = if DEPTH == 0 { shape.depth } else { DEPTH };
    for i in 0..length {
        let line = &mut cells[places.offsets[0][i] as usize * shape.stride..][..shape.stride];
        for row in 0..depth {
            let cell = &mut line[shape.slot(row, places.choices[i])];
            *cell = adder.add(*cell, by.at(i));
        }
    }
}

/// Conservative update of lines.
#[inline(always)]
fn raise_lines<const DEPTH: usize, C: Counter>(
    shape: &Shape,
    cells: &mut [C],
    places: &Places,
    length: usize,
    by: impl Weights,
    adder: &mut impl Adder,
) {
    let depth = if DEPTH == 0 { shape.depth } else { DEPTH };
    for i in 0..length {
        let line = &mut cells[places.offsets[0][i] as usize * shape.stride..][..shape.stride];
        let mut slots = [0; MAX_DEPTH];
        for (row, slot) in slots.iter_mut().enumerate().take(depth) {
            *slot = shape.slot(row, places.choices[i]);
        }
        let mut least = line[slots[0]];
        for &slot in &slots[1..depth] {
            least = least.min(line[slot]);
        }
        let raised = adder.add(least, by.at(i));
        for &slot in &slots[..depth] {
            line[slot] = raised.max(line[slot]);
        }
    }
}
