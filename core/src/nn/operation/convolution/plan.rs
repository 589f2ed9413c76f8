//! What the kernel covers at each position: the forward pass and the gradient of the input as the
//! same sum over runs of a padded, channels-last block.

use super::depthwise;
use super::geometry::{Axis, Geometry, Strides};
use super::kernel::Run;
use super::transpose::{Transpose, Transposition};

/// The layout of a block `[channels, time, height, width]` in its padded form
/// `[time, height, width, channels]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Padded {
    /// Of the block.
    sizes: [usize; 3],
    /// Elements before the block along each axis.
    before: [usize; 3],
    /// The sizes of the padded form.
    extents: [usize; 3],
    channels: usize,
}

impl Padded {
    /// Elements of the padded form.
    pub(super) fn elements(&self) -> usize {
        self.extents.iter().product::<usize>() * self.channels
    }

    fn pixel(&self, [t, y, x]: [usize; 3]) -> usize {
        (t * self.extents[1] + y) * self.extents[2] + x
    }

    /// Where the elements of the block start, in the order of time, height and width.
    pub(super) fn starts(&self) -> Vec<usize> {
        let starts = positions(self.sizes).map(|position| {
            let position = std::array::from_fn(|axis| position[axis] + self.before[axis]);
            self.pixel(position) * self.channels
        });
        starts.collect()
    }

    /// Copies a block, which starts at the first element of `block`, into its padded form. What
    /// is outside the block stays as it is.
    pub(super) fn fill<T: Transpose>(&self, block: &[T], strides: &Strides, padded: &mut [T]) {
        // Without channels there may be no block to start in.
        if self.channels == 0 {
            return;
        }
        let [frames, rows, width] = self.sizes;
        for t in 0..frames {
            for y in 0..rows {
                let pixel = [t + self.before[0], y + self.before[1], self.before[2]];
                let row = &mut padded[self.pixel(pixel) * self.channels..];
                let row = &mut row[..width * self.channels];
                let from = &block[t * strides.frame + y * strides.row..];
                // With one channel both layouts of a row are the same.
                if self.channels == 1 {
                    row.copy_from_slice(&from[..width]);
                    continue;
                }
                T::transpose(Transposition {
                    from,
                    from_stride: strides.channel,
                    to: row,
                    to_stride: self.channels,
                    rows: self.channels,
                    columns: width,
                });
            }
        }
    }
}

/// One sum over runs: all positions of the forward pass, or those positions of the input that meet
/// the same points of the kernel.
#[derive(Debug)]
pub(super) struct Pass {
    /// Of each position in the padded form.
    pub(super) starts: Vec<usize>,
    pub(super) runs: Vec<Run>,
    /// The points of the kernel in the order of the runs, as indices into the kernel.
    pub(super) taps: Vec<usize>,
    /// The positions along each axis: first, distance and number in the result.
    first: [usize; 3],
    step: [usize; 3],
    pub(super) counts: [usize; 3],
    /// Between neighboring positions of a row in the padded form, whose pixels have `channels`.
    in_step: usize,
    channels: usize,
}

/// The points of the kernel that the positions `first, first + step, ..` of one axis meet.
struct Phase {
    first: usize,
    count: usize,
    /// Point of the kernel, and its place in the padded form at the first position.
    taps: Vec<(usize, usize)>,
}

/// One axis of a pass: how it is padded and which phases it has.
struct Phases {
    before: usize,
    extent: usize,
    /// Between neighboring positions, in the result and in the padded form.
    out_step: usize,
    in_step: usize,
    phases: Vec<Phase>,
}

impl Phases {
    fn forward(axis: &Axis) -> Self {
        let taps = (0..axis.kernel).map(|k| (k, k * axis.dilation)).collect();
        // The padded form holds the input and what the last position reaches; padding behind both
        // is never read.
        let reach = (axis.kernel - 1) * axis.dilation + 1;
        Self {
            before: axis.padding,
            extent: (axis.padding + axis.size).max((axis.out.max(1) - 1) * axis.stride + reach),
            out_step: 1,
            in_step: axis.stride,
            phases: vec![Phase {
                first: 0,
                count: axis.out,
                taps,
            }],
        }
    }

    /// Element `i` of the input gets its gradient from the positions `(i + padding - k dilation) /
    /// stride` where the division leaves no rest, which depends on `i` modulo the stride.
    fn transposed(axis: &Axis) -> Self {
        let stride = axis.stride.cast_signed();
        let mut phases = Vec::new();
        let (mut lowest, mut highest) = (0, axis.out.cast_signed() - 1);
        for first in 0..axis.stride.min(axis.size) {
            let count = (axis.size - first).div_ceil(axis.stride);
            // Point k of the kernel meets element i at position (i + padding - k dilation) /
            // stride, if that is a whole number.
            let place =
                |k: usize| (first + axis.padding).cast_signed() - (k * axis.dilation).cast_signed();
            let meets = (0..axis.kernel).filter(|&k| place(k) % stride == 0);
            let taps: Vec<(usize, isize)> = meets.map(|k| (k, place(k) / stride)).collect();
            // The positions that any phase reads. Those outside of the result have the gradient 0,
            // which the padding holds.
            for &(_, place) in &taps {
                lowest = lowest.min(place);
                highest = highest.max(place + count.cast_signed() - 1);
            }
            phases.push((first, count, taps));
        }
        // From here on places count from the lowest position, the start of the padded form.
        let phases = phases.into_iter().map(|(first, count, taps)| Phase {
            first,
            count,
            taps: taps
                .into_iter()
                .map(|(k, place)| (k, (place - lowest).cast_unsigned()))
                .collect(),
        });
        Self {
            before: (-lowest).cast_unsigned(),
            extent: (highest - lowest + 1).cast_unsigned(),
            out_step: axis.stride,
            in_step: 1,
            phases: phases.collect(),
        }
    }
}

/// The forward pass: the padded input, and one pass over all positions of the result.
pub(super) fn forward(geometry: &Geometry) -> (Padded, Vec<Pass>) {
    let sizes = geometry.axes.map(|axis| axis.size);
    plan(
        sizes,
        geometry.channels,
        &geometry.axes.each_ref().map(Phases::forward),
        geometry.axes.map(|axis| axis.kernel),
    )
}

/// The gradient of the input: the padded gradient of the result, and a pass for each remainder
/// modulo the strides.
pub(super) fn input_gradient(geometry: &Geometry) -> (Padded, Vec<Pass>) {
    let sizes = geometry.axes.map(|axis| axis.out);
    plan(
        sizes,
        geometry.outputs,
        &geometry.axes.each_ref().map(Phases::transposed),
        geometry.axes.map(|axis| axis.kernel),
    )
}

fn plan(
    sizes: [usize; 3],
    channels: usize,
    axes: &[Phases; 3],
    kernel: [usize; 3],
) -> (Padded, Vec<Pass>) {
    let padded = Padded {
        sizes,
        before: axes.each_ref().map(|axis| axis.before),
        extents: axes.each_ref().map(|axis| axis.extent),
        channels,
    };
    // One pass for each combination of the phases of the three axes.
    let passes = positions(axes.each_ref().map(|axis| axis.phases.len())).map(|phase| {
        let phase: [&Phase; 3] = std::array::from_fn(|axis| &axes[axis].phases[phase[axis]]);
        let counts = phase.map(|phase| phase.count);
        // Where the kernel starts at each position of this pass, in the padded form.
        let starts = positions(counts).map(|position| {
            let place = std::array::from_fn(|axis| position[axis] * axes[axis].in_step);
            padded.pixel(place) * channels
        });
        let (runs, taps) = runs(&padded, phase, kernel);
        Pass {
            starts: starts.collect(),
            runs,
            taps,
            first: phase.map(|phase| phase.first),
            step: axes.each_ref().map(|axis| axis.out_step),
            counts,
            in_step: axes[2].in_step,
            channels,
        }
    });
    let passes = passes.collect();
    (padded, passes)
}

/// The elements whose kernels, for a block of channels, take a third of the first-level cache.
pub(super) const LONGEST: usize = 192;

/// The points of the kernel in the order in which they are stored in the padded form, neighbors joined:
/// all points of a row without dilation are one run, unless it is longer than [`LONGEST`].
fn runs(padded: &Padded, phase: [&Phase; 3], kernel: [usize; 3]) -> (Vec<Run>, Vec<usize>) {
    let counts = phase.map(|phase| phase.taps.len());
    let mut points: Vec<(usize, usize)> = positions(counts)
        .map(|point| {
            let taps: [(usize, usize); 3] =
                std::array::from_fn(|axis| phase[axis].taps[point[axis]]);
            let [t, y, x] = taps.map(|(k, _)| k);
            let place = padded.pixel(taps.map(|(_, place)| place));
            (place * padded.channels, (t * kernel[1] + y) * kernel[2] + x)
        })
        .collect();
    // In the order of their places, so that neighbors can be joined.
    points.sort_unstable();
    let mut runs: Vec<Run> = Vec::new();
    for &(start, _) in &points {
        match runs.last_mut() {
            Some(run) if run.start + run.length == start => run.length += padded.channels,
            _ => runs.push(Run {
                start,
                length: padded.channels,
            }),
        }
    }
    // Longer runs are cut, so that the kernels of a piece stay in the cache.
    let pieces = runs.into_iter().flat_map(|run| {
        (0..run.length).step_by(LONGEST).map(move |first| Run {
            start: run.start + first,
            length: (run.length - first).min(LONGEST),
        })
    });
    let runs = pieces.collect();
    (runs, points.into_iter().map(|(_, tap)| tap).collect())
}

impl Pass {
    /// Some whole rows of positions, if one channel goes to one channel.
    pub(super) fn depthwise<'a>(
        &'a self,
        starts: &'a [usize],
        channels: usize,
    ) -> Option<depthwise::Rows<'a>> {
        (self.channels == 1 && channels == 1).then_some(depthwise::Rows {
            starts,
            width: self.counts[2],
            step: self.in_step,
            runs: &self.runs,
        })
    }

    /// Copies the results of the positions of some rows, `[position, stride]` with the channels
    /// first, to their places in a block.
    pub(super) fn scatter<T: Transpose>(
        &self,
        rows: std::ops::Range<usize>,
        (results, stride): (&[T], usize),
        channels: usize,
        block: &mut [T],
        strides: &Strides,
    ) {
        let [_, height, width] = self.counts;
        let [_, _, step] = self.step;
        for (results, row) in results.chunks_exact(width * stride).zip(rows) {
            let (t, y) = (row / height, row % height);
            let to = (self.first[0] + t * self.step[0]) * strides.frame
                + (self.first[1] + y * self.step[1]) * strides.row
                + self.first[2];
            let block = &mut block[to..];
            // The layouts of a row agree when a position has one number and none is skipped.
            if step == 1 && stride == 1 {
                block[..width].copy_from_slice(results);
            } else if step == 1 {
                // Back from channels last to a plane for each channel.
                T::transpose(Transposition {
                    from: results,
                    from_stride: stride,
                    to: block,
                    to_stride: strides.channel,
                    rows: width,
                    columns: channels,
                });
            } else {
                for channel in 0..channels {
                    let to = block[channel * strides.channel..].iter_mut().step_by(step);
                    for (to, position) in to.zip(results.chunks_exact(stride)) {
                        *to = position[channel];
                    }
                }
            }
        }
    }
}

/// All positions of a box, the last axis fastest.
fn positions([frames, rows, columns]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..frames).flat_map(move |t| (0..rows).flat_map(move |y| (0..columns).map(move |x| [t, y, x])))
}
