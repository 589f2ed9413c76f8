//! The maximum over windows: forward keeps where it is, so that backward only adds to there.

use std::sync::OnceLock;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{Axis, Windows, spread};
use crate::nn::operation::values::{Float, by_type, elements, stored};
use crate::nn::operation::vectorize::{Loop, vectorize};

/// Windows of a row that are compared at once.
const LANES: usize = 8;

/// What comparisons need.
trait Ordered: Float {
    const LOWEST: Self;

    /// Replaces the maxima by the values that are larger, or the first NaN: a NaN is not hidden, and
    /// among equal maxima the first one stays. Returns masks of ones where a value was taken.
    ///
    /// Selection by bits, in loops of one kind of work each: the compiler turns a selection between
    /// floats, or one loop for all, into branches, which take three times as long.
    fn raise(maxima: &mut [Self; LANES], values: [Self; LANES]) -> [u32; LANES];
}

macro_rules! ordered {
    ($($float:ident, $bits:ident;)*) => {$(
        impl Ordered for $float {
            const LOWEST: Self = $float::NEG_INFINITY;

            #[inline(always)]
            fn raise(maxima: &mut [Self; LANES], values: [Self; LANES]) -> [u32; LANES] {
                let mut masks: [$bits; LANES] = [0; LANES];
                for ((mask, value), maximum) in masks.iter_mut().zip(values).zip(*maxima) {
                    let replaces =
                        ((value > maximum) | value.is_nan()) & !maximum.is_nan();
                    *mask = $bits::from(replaces).wrapping_neg();
                }
                for ((maximum, value), mask) in maxima.iter_mut().zip(values).zip(masks) {
                    let bits = value.to_bits() & mask | maximum.to_bits() & !mask;
                    *maximum = $float::from_bits(bits);
                }
                masks.map(|mask| mask as u32)
            }
        }
    )*};
}
ordered!(f32, u32; f64, u64;);

/// The operation with the positions of its maxima.
pub(super) struct Maximum {
    windows: Windows,
    /// Whether there may be a backward pass.
    tracked: bool,
    /// For each window, the position of its maximum in the channel.
    positions: OnceLock<Vec<u32>>,
}

impl Maximum {
    pub(super) fn new(windows: Windows, tracked: bool) -> Result<Self> {
        if u32::try_from(windows.plane()).is_err() {
            candle_core::bail!(
                "max_pool: a channel has at most {} elements, found {}",
                u32::MAX,
                windows.plane()
            );
        }
        Ok(Self {
            windows,
            tracked,
            positions: OnceLock::new(),
        })
    }
}

impl CustomOp1 for Maximum {
    fn name(&self) -> &'static str {
        "max_pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!(self.name(), x.dtype(), forward(self, x, layout))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        by_type!(self.name(), x.dtype(), backward(self, x, gradient)).map(Some)
    }
}

fn forward<T: Ordered>(
    operation: &Maximum,
    x: &CpuStorage,
    layout: &Layout,
) -> Result<(CpuStorage, Shape)> {
    let windows = &operation.windows;
    let width = &windows.axes[2];
    let phases = Phases::new(width);
    let rows: Vec<Row> = (windows.rows().iter())
        .map(|starts| Row::new(starts, width, phases))
        .collect();
    let lanes = width.out.next_multiple_of(LANES);
    // Wrapping: a padded column counts from before the row, and only sums inside are used.
    let columns: Vec<u32> = (0..lanes).map(|i| (i * width.stride) as u32).collect();
    let firsts: Vec<u32> = (0..lanes)
        .map(|i| ((i * width.stride).max(width.padding) - width.padding) as u32)
        .collect();
    let count = windows.shape.elem_count();
    let mut results = Vec::with_capacity(count);
    let mut positions = Vec::with_capacity(if operation.tracked { count } else { 0 });
    // Padding never replaces a maximum. The last lanes may reach beyond the last row.
    let height = windows.axes[0].size * windows.axes[1].size;
    let mut values = vec![T::LOWEST; height * phases.elements() + LANES];
    let mut line = vec![T::LOWEST; phases.elements()];
    let mut places = vec![0; windows.out_plane()];
    for plane in elements::<T>(x, layout)?.chunks_exact(windows.plane().max(1)) {
        let lines = values.chunks_exact_mut(phases.elements());
        for (row, values) in plane.chunks_exact(width.size).zip(lines) {
            line[width.padding..][..width.size].copy_from_slice(row);
            phases.split(&line, values);
        }
        // Grown plane by plane: written while it is in the cache.
        let start = results.len();
        results.resize(start + windows.out_plane(), T::zero());
        vectorize(Maxima {
            rows: &rows,
            out: width.out,
            columns: &columns,
            firsts: &firsts,
            values: &values,
            results: &mut results[start..],
            positions: &mut places,
        });
        if operation.tracked {
            positions.extend_from_slice(&places);
        }
    }
    // An operation runs forward once: nothing is there yet.
    let _ = operation.positions.set(positions);
    Ok(stored(results, windows.shape.clone()))
}

/// Adds the gradient of each window to its maximum.
fn backward<T: Float>(operation: &Maximum, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let windows = &operation.windows;
    let positions = operation.positions.get().map_or(&[][..], Vec::as_slice);
    let mut positions = positions.chunks_exact(windows.out_plane().max(1));
    spread::<T>(windows, x, gradient, |gradient, to| {
        let positions = positions.next().unwrap_or_default();
        for (&position, &gradient) in positions.iter().zip(gradient) {
            to[position as usize] += gradient;
        }
    })
}

/// A padded row, its columns ordered by their remainder modulo the stride: what one point of all
/// windows of a row covers is contiguous.
#[derive(Clone, Copy, Debug)]
struct Phases {
    stride: usize,
    length: usize,
}

impl Phases {
    fn new(width: &Axis) -> Self {
        Self {
            stride: width.stride,
            length: width.padded().div_ceil(width.stride),
        }
    }

    fn elements(self) -> usize {
        self.stride * self.length
    }

    fn index(self, column: usize) -> usize {
        column % self.stride * self.length + column / self.stride
    }

    /// Copies a padded row into this order.
    fn split<T: Copy>(self, line: &[T], values: &mut [T]) {
        match self.stride {
            1 => values.copy_from_slice(line),
            // A constant distance becomes shuffles of whole vectors.
            2 => {
                let (even, odd) = values.split_at_mut(self.length);
                let pairs = line.as_chunks::<2>().0;
                for ((even, odd), pair) in even.iter_mut().zip(odd).zip(pairs) {
                    [*even, *odd] = *pair;
                }
            }
            _ => {
                for (phase, values) in values.chunks_exact_mut(self.length).enumerate() {
                    let columns = line[phase..].iter().step_by(self.stride);
                    for (value, &column) in values.iter_mut().zip(columns) {
                        *value = column;
                    }
                }
            }
        }
    }
}

/// The windows of one row, all planes alike.
struct Row {
    /// Where the first row starts that they cover.
    start: u32,
    /// For each point inside the rows, its place in phases and in the plane at the first window.
    points: Vec<(usize, u32)>,
}

impl Row {
    fn new(starts: &[usize], width: &Axis, phases: Phases) -> Self {
        let of_row = |&start: &usize| {
            let line = start / width.size * phases.elements();
            (0..width.kernel).map(move |point| {
                let position = (start + point).wrapping_sub(width.padding) as u32;
                (line + phases.index(point), position)
            })
        };
        Self {
            start: starts.first().map_or(0, |&start| start as u32),
            points: starts.iter().flat_map(of_row).collect(),
        }
    }
}

/// The maxima of one channel of one image.
struct Maxima<'a, T> {
    rows: &'a [Row],
    /// Windows in a row.
    out: usize,
    /// The first column of each window, from the first window on, and its first column inside.
    columns: &'a [u32],
    firsts: &'a [u32],
    /// The rows of the plane in phases.
    values: &'a [T],
    results: &'a mut [T],
    positions: &'a mut [u32],
}

impl<T: Ordered> Loop for Maxima<'_, T> {
    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let results = self.results.chunks_exact_mut(self.out);
        let results = results.zip(self.positions.chunks_exact_mut(self.out));
        for (row, (results, positions)) in self.rows.iter().zip(results) {
            let columns = self.columns.as_chunks::<LANES>().0;
            let firsts = self.firsts.as_chunks::<LANES>().0;
            let results = results.chunks_mut(LANES).zip(positions.chunks_mut(LANES));
            for (block, (results, positions)) in results.enumerate() {
                // Maxima and positions stay in registers over all points of the windows.
                let mut maxima = [T::LOWEST; LANES];
                let mut at = firsts[block].map(|first| first.wrapping_add(row.start));
                for &(place, position) in &row.points {
                    let values = self.values[place + block * LANES..].first_chunk();
                    let Some(&values): Option<&[T; LANES]> = values else {
                        break;
                    };
                    let masks = T::raise(&mut maxima, values);
                    for ((at, column), mask) in at.iter_mut().zip(columns[block]).zip(masks) {
                        let here = position.wrapping_add(column);
                        *at = here & mask | *at & !mask;
                    }
                }
                results.copy_from_slice(&maxima[..results.len()]);
                positions.copy_from_slice(&at[..positions.len()]);
            }
        }
    }
}
