//! The gradient of a maximum over windows.

use candle_core::{Result, Tensor};

use super::{Axis, Ordered, Windows, spread};
use crate::nn::operation::operand::Operand;
use crate::nn::operation::vectorize::{Loop, vectorize};

/// Adds the gradient of each window to its first maximum.
pub(super) fn spread_maximum<T: Ordered>(
    windows: &Windows,
    x: &Tensor,
    result: &Tensor,
    gradient: &Tensor,
) -> Result<Tensor> {
    let width = &windows.axes[2];
    let rows = windows.rows();
    let phases = Phases::new(width);
    let elements = phases.elements() * windows.axes[0].size * windows.axes[1].size;
    let columns = (width.padding..width.padding + width.size).map(|column| phases.index(column));
    let columns: Vec<usize> = columns.collect();
    // Phases are of equal length, so that some have elements behind the row: these and the padding
    // are not inside.
    let mut inside = vec![0; phases.elements()];
    for &column in &columns {
        inside[column] = 1;
    }
    // Zeros in the padding, which `inside` leaves out.
    let (mut values, mut sums) = (vec![T::zero(); elements], vec![T::zero(); elements]);
    let mut found = vec![0; width.out];
    let result = Operand::new(result);
    let mut results = result
        .values::<T>()?
        .chunks_exact(windows.out_plane().max(1));
    spread::<T>(windows, x, gradient, |plane, gradient, to| {
        vectorize(SpreadMaximum {
            width,
            phases,
            rows: &rows,
            columns: &columns,
            inside: &inside,
            plane,
            result: results.next().unwrap_or_default(),
            gradient,
            to,
            values: &mut values,
            sums: &mut sums,
            found: &mut found,
        });
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
}

/// [`spread_maximum`] for one channel of one image.
struct SpreadMaximum<'a, T> {
    width: &'a Axis,
    phases: Phases,
    rows: &'a [Vec<usize>],
    /// The index in phases of each column of a row.
    columns: &'a [usize],
    /// 1 for the elements of a row in phases that are no padding.
    inside: &'a [u32],
    plane: &'a [T],
    result: &'a [T],
    gradient: &'a [T],
    to: &'a mut [T],
    /// The rows of the plane in phases, and their gradients.
    values: &'a mut [T],
    sums: &'a mut [T],
    /// For each window of a row, whether its maximum has been found.
    found: &'a mut [u32],
}

impl<T: Ordered> Loop for SpreadMaximum<'_, T> {
    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let Self { width, phases, .. } = self;
        let length = phases.elements();
        // Into phases: a point of neighboring windows is contiguous there.
        let planes = self.plane.chunks_exact(width.size);
        for (row, values) in planes.zip(self.values.chunks_exact_mut(length)) {
            for (&value, &column) in row.iter().zip(self.columns) {
                values[column] = value;
            }
        }
        self.sums.fill(T::zero());
        // Each point of the window is compared for all windows of a row at once.
        let windows = self.result.chunks_exact(width.out);
        let windows = windows.zip(self.gradient.chunks_exact(width.out));
        for (starts, (maxima, gradient)) in self.rows.iter().zip(windows) {
            self.found.fill(0);
            for start in starts {
                let row = start / width.size * length;
                for point in 0..width.kernel {
                    let first = phases.index(point);
                    let values = &self.values[row + first..][..width.out];
                    let sums = &mut self.sums[row + first..][..width.out];
                    let inside = &self.inside[first..][..width.out];
                    let found = &mut self.found[..width.out];
                    for i in 0..width.out {
                        let (value, maximum) = (values[i], maxima[i]);
                        // A window with a NaN has the maximum NaN: its first NaN gets the gradient.
                        let is_nan = value.is_nan() & maximum.is_nan();
                        // `inside` exceeds `found` only within the input and before the first
                        // maximum, so that padding and later ties get nothing, without a branch.
                        let is_it = ((value == maximum) | is_nan) & (inside[i] > found[i]);
                        sums[i] += if is_it { gradient[i] } else { T::zero() };
                        found[i] |= u32::from(is_it);
                    }
                }
            }
        }
        // Back from phases to columns.
        let rows = self.to.chunks_exact_mut(width.size);
        for (row, sums) in rows.zip(self.sums.chunks_exact(length)) {
            for (sum, &column) in row.iter_mut().zip(self.columns) {
                *sum = sums[column];
            }
        }
    }
}
