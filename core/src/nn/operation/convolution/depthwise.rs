//! The inner loops of depthwise convolution, one channel to one channel: along the rows, since
//! there are no channels to fill a vector with.

use super::kernel::{MultiplyAdd, NARROW, Run};
use crate::nn::operation::vectorize::Loop;

/// The positions, as the loops take them.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    /// Of each position, in whole rows.
    pub(super) starts: &'a [usize],
    /// Positions in a row, at least 1.
    pub(super) width: usize,
    /// Between neighboring positions of a row in the input.
    pub(super) step: usize,
    pub(super) runs: &'a [Run],
}

impl Rows<'_> {
    /// The points of the kernel, as distances from the start of a position.
    #[inline(always)]
    fn points(&self) -> impl Iterator<Item = usize> {
        let points = |run: &Run| run.start..run.start + run.length;
        self.runs.iter().flat_map(points)
    }
}

/// `out[p] += sum over points of input[starts[p] + point] * weight[point]` for all positions `p`.
pub(super) struct Correlate<'a, T> {
    pub(super) rows: Rows<'a>,
    pub(super) input: &'a [T],
    /// `[points, NARROW]`, of which the first column counts.
    pub(super) weight: &'a [T],
    pub(super) out: &'a mut [T],
}

impl<T: MultiplyAdd> Loop for Correlate<'_, T> {
    #[inline(always)]
    fn run<const FUSED: bool>(mut self) {
        let Rows { starts, width, .. } = self.rows;
        // The kernel is packed in blocks of NARROW channels, of which the first is this one.
        let weights = self.weight.iter().step_by(NARROW).copied();
        let points: Vec<(usize, T)> = self.rows.points().zip(weights).collect();
        for (row, &start) in starts.iter().step_by(width).enumerate() {
            // Neighboring positions read neighboring elements only at step 1; otherwise they are
            // computed one by one.
            let mut x = 0;
            if self.rows.step == 1 {
                x = self.tiles::<FUSED, 32>(&points, row, start, x);
                x = self.tiles::<FUSED, 8>(&points, row, start, x);
            }
            self.tiles::<FUSED, 1>(&points, row, start, x);
        }
    }
}

impl<T: MultiplyAdd> Correlate<'_, T> {
    /// Computes the positions of a row from `x` on, `P` at a time; returns the first one left
    /// over.
    #[inline(always)]
    #[expect(
        clippy::manual_memcpy,
        reason = "loops of constant length over arrays, none borrowed whole, stay in registers"
    )]
    fn tiles<const FUSED: bool, const P: usize>(
        &mut self,
        points: &[(usize, T)],
        row: usize,
        start: usize,
        mut x: usize,
    ) -> usize {
        let Rows { width, step, .. } = self.rows;
        while x + P <= width {
            let out = &mut self.out[row * width + x..][..P];
            // P sums stay in registers over all points of the kernel.
            let mut sums = [T::zero(); P];
            for i in 0..P {
                sums[i] = out[i];
            }
            let input = &self.input[start + x * step..];
            for &(point, weight) in points {
                let input = &input[point..][..P];
                for i in 0..P {
                    sums[i] = input[i].multiply_add::<FUSED>(weight, sums[i]);
                }
            }
            for i in 0..P {
                out[i] = sums[i];
            }
            x += P;
        }
        x
    }
}

/// `sums[point] += sum over p of input[starts[p] + point] * gradient[gradient_starts[p]]`.
pub(super) struct Outer<'a, T> {
    pub(super) rows: Rows<'a>,
    pub(super) input: &'a [T],
    pub(super) gradient: &'a [T],
    pub(super) gradient_starts: &'a [usize],
    /// `[points, NARROW]`, of which the first column is added to.
    pub(super) sums: &'a mut [T],
}

impl<T: MultiplyAdd> Loop for Outer<'_, T> {
    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        const LANES: usize = 8;
        let Rows {
            starts,
            width,
            step,
            ..
        } = self.rows;
        let totals = self.sums.iter_mut().step_by(NARROW);
        for (point, total) in self.rows.points().zip(totals) {
            // Summed from zero and added once: rounding errors grow with the rows of one call, not
            // with those of the batch.
            let mut lanes = [T::zero(); LANES];
            let firsts = starts.iter().zip(self.gradient_starts).step_by(width);
            for (&start, &gradient_start) in firsts {
                let gradient = &self.gradient[gradient_start..][..width];
                let input = &self.input[start + point..][..(width - 1) * step + 1];
                // Whole vectors where the input is contiguous; the rest of the row one by one.
                let whole = if step == 1 { width / LANES * LANES } else { 0 };
                for first in (0..whole).step_by(LANES) {
                    let (gradient, input) = (&gradient[first..][..LANES], &input[first..][..LANES]);
                    for lane in 0..LANES {
                        lanes[lane] =
                            input[lane].multiply_add::<FUSED>(gradient[lane], lanes[lane]);
                    }
                }
                for x in whole..width {
                    let lane = &mut lanes[x % LANES];
                    *lane = input[x * step].multiply_add::<FUSED>(gradient[x], *lane);
                }
            }
            for lane in lanes {
                *total += lane;
            }
        }
    }
}
