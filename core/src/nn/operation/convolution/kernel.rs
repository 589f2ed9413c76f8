//! The two inner loops of a convolution on channels-last data, blocked for vector registers.

use super::transpose::Transpose;
use crate::nn::operation::vectorize::Loop;

/// What a multiply-add is in each type.
pub(super) trait MultiplyAdd: Transpose {
    /// `self * factor + addend`, rounded once if `FUSED`, which is fast only where the processor
    /// has the instruction and the surrounding function is compiled for it.
    fn multiply_add<const FUSED: bool>(self, factor: Self, addend: Self) -> Self;
}

macro_rules! multiply_add {
    ($($float:ty)*) => {$(
        impl MultiplyAdd for $float {
            #[inline(always)]
            fn multiply_add<const FUSED: bool>(self, factor: Self, addend: Self) -> Self {
                if FUSED {
                    self.mul_add(factor, addend)
                } else {
                    self * factor + addend
                }
            }
        }
    )*};
}
multiply_add!(f32 f64);

/// Elements that follow each other in the input of every position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// Distance of the first one from the start of the position.
    pub(super) start: usize,
    pub(super) length: usize,
}

/// The output channels are computed in blocks of 16, of which the last may have 8.
pub(super) const WIDE: usize = 16;
pub(super) const NARROW: usize = 8;

/// The blocks that cover `channels`, as first channel and width.
pub(super) fn channel_blocks(channels: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..channels).step_by(WIDE).map(move |first| {
        let wide = channels - first > NARROW;
        (first, if wide { WIDE } else { NARROW })
    })
}

/// The channels of all blocks together.
pub(super) fn padded_channels(channels: usize) -> usize {
    channels.next_multiple_of(NARROW)
}

/// `out[p] = bias + sum over runs and k of input[starts[p] + run.start + k] * weight[k]` for all
/// positions `p`, through one block of `L` output channels. Without a bias, the sum is added.
pub(super) struct Correlate<'a, T, const L: usize> {
    pub(super) input: &'a [T],
    pub(super) starts: &'a [usize],
    pub(super) runs: &'a [Run],
    /// `[sum of the lengths, L]`.
    pub(super) weight: &'a [T],
    /// `L` numbers.
    pub(super) bias: Option<&'a [T]>,
    /// Position `p` is at `out[p * out_stride..][..L]`.
    pub(super) out: &'a mut [T],
    pub(super) out_stride: usize,
}

impl<T: MultiplyAdd, const L: usize> Loop for Correlate<'_, T, L> {
    #[inline(always)]
    fn run<const FUSED: bool>(mut self) {
        // Tiles of positions whose sums fit into twelve vector registers of eight numbers.
        let mut first = 0;
        if L == NARROW {
            first = self.tiles::<FUSED, 8>(first);
        }
        first = self.tiles::<FUSED, 6>(first);
        first = self.tiles::<FUSED, 4>(first);
        first = self.tiles::<FUSED, 2>(first);
        self.tiles::<FUSED, 1>(first);
    }
}

impl<T: MultiplyAdd, const L: usize> Correlate<'_, T, L> {
    /// Computes the positions from `first` on, `P` at a time; returns the first one left over.
    #[inline(always)]
    #[expect(
        clippy::needless_range_loop,
        clippy::manual_memcpy,
        reason = "loops of constant length over arrays, none borrowed whole, stay in registers"
    )]
    fn tiles<const FUSED: bool, const P: usize>(&mut self, mut first: usize) -> usize {
        let weight = self.weight.as_chunks::<L>().0;
        while let Some(starts) = self.starts.get(first..).and_then(<[_]>::first_chunk::<P>) {
            // P x L sums in registers, starting from the bias or from what earlier runs left.
            let mut sums = [[T::zero(); L]; P];
            for i in 0..P {
                let out = &self.out[(first + i) * self.out_stride..];
                let initial = &self.bias.unwrap_or(out)[..L];
                for j in 0..L {
                    sums[i][j] = initial[j];
                }
            }
            // One row of weights serves P positions: P x L multiply-adds for L + P loads.
            let mut element = 0;
            for run in self.runs {
                let mut rows: [&[T]; P] = [&[]; P];
                for (row, start) in rows.iter_mut().zip(starts) {
                    *row = &self.input[start + run.start..][..run.length];
                }
                for k in 0..run.length {
                    let weight = &weight[element];
                    element += 1;
                    for i in 0..P {
                        let value = rows[i][k];
                        for j in 0..L {
                            sums[i][j] = value.multiply_add::<FUSED>(weight[j], sums[i][j]);
                        }
                    }
                }
            }
            for i in 0..P {
                let out = &mut self.out[(first + i) * self.out_stride..][..L];
                for j in 0..L {
                    out[j] = sums[i][j];
                }
            }
            first += P;
        }
        first
    }
}

/// `sums[k] += sum over p of input[starts[p] + run.start + k] * gradient[gradient_starts[p]..]` for
/// all elements `k` of all runs, through one block of `L` output channels.
pub(super) struct Outer<'a, T, const L: usize> {
    pub(super) input: &'a [T],
    pub(super) starts: &'a [usize],
    pub(super) runs: &'a [Run],
    pub(super) gradient: &'a [T],
    pub(super) gradient_starts: &'a [usize],
    /// Of the block, in the gradient of a position.
    pub(super) first_channel: usize,
    /// `[sum of the lengths, L]`.
    pub(super) sums: &'a mut [T],
}

impl<T: MultiplyAdd, const L: usize> Loop for Outer<'_, T, L> {
    #[inline(always)]
    fn run<const FUSED: bool>(mut self) {
        // A row of sums for each element of the runs; `offset` is its place relative to a position.
        let mut row = 0;
        for run in self.runs {
            let end = row + run.length;
            let mut offset = run.start;
            if L == NARROW {
                self.tiles::<FUSED, 8>(&mut row, end, &mut offset);
            }
            self.tiles::<FUSED, 6>(&mut row, end, &mut offset);
            self.tiles::<FUSED, 4>(&mut row, end, &mut offset);
            self.tiles::<FUSED, 2>(&mut row, end, &mut offset);
            self.tiles::<FUSED, 1>(&mut row, end, &mut offset);
        }
    }
}

impl<T: MultiplyAdd, const L: usize> Outer<'_, T, L> {
    /// Adds to the rows from `row` on, `R` at a time.
    #[inline(always)]
    fn tiles<const FUSED: bool, const R: usize>(
        &mut self,
        row: &mut usize,
        end: usize,
        offset: &mut usize,
    ) {
        while end - *row >= R {
            // Summed from zero and added once: rounding errors grow with the positions of one
            // call, not with those of the batch.
            let mut sums = [[T::zero(); L]; R];
            let input = &self.input[*offset..];
            let gradient = &self.gradient[self.first_channel..];
            for (&start, &gradient_start) in self.starts.iter().zip(self.gradient_starts) {
                let rows = &input[start..][..R];
                let gradient = &gradient[gradient_start..][..L];
                for i in 0..R {
                    for j in 0..L {
                        sums[i][j] = rows[i].multiply_add::<FUSED>(gradient[j], sums[i][j]);
                    }
                }
            }
            let totals = self.sums[*row * L..].as_chunks_mut::<L>().0;
            for (totals, sums) in totals.iter_mut().zip(sums) {
                for (total, sum) in totals.iter_mut().zip(sums) {
                    *total += sum;
                }
            }
            *row += R;
            *offset += R;
        }
    }
}
