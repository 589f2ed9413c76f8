//! The sizes of a convolution, checked, and how its tensors are cut into independent blocks.

use candle_core::Result;

use super::Convolution;

/// The spatial axes, of which a convolution in two dimensions has the last two.
const AXES: [&str; 3] = ["time", "height", "width"];

/// One spatial axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    pub(super) size: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
    pub(super) dilation: usize,
    /// The positions of the kernel.
    pub(super) out: usize,
}

impl Axis {
    /// An axis along which the kernel is one point that visits every element.
    fn pointwise(size: usize) -> Self {
        Self {
            size,
            kernel: 1,
            stride: 1,
            padding: 0,
            dilation: 1,
            out: size,
        }
    }

    fn is_pointwise(&self) -> bool {
        *self == Self::pointwise(self.size)
    }

    fn checked(operation: &str, name: &str, mut axis: Self) -> Result<Self> {
        if axis.kernel == 0 || axis.stride == 0 || axis.dilation == 0 {
            candle_core::bail!(
                "{operation}: kernel, stride and dilation must be at least 1, found {}, {} and {} \
                 for the {name}",
                axis.kernel,
                axis.stride,
                axis.dilation
            );
        }
        // Checked arithmetic: options may come from a file.
        let reach = (axis.kernel - 1)
            .checked_mul(axis.dilation)
            .and_then(|reach| reach.checked_add(1));
        let padded = axis
            .padding
            .checked_mul(2)
            .and_then(|padding| padding.checked_add(axis.size));
        // out = floor((size + 2 padding - reach) / stride) + 1.
        match (reach, padded) {
            (Some(reach), Some(padded)) if reach <= padded && padded <= usize::MAX / 2 => {
                // A stride beyond the input leaves one position, however long it is.
                axis.stride = axis.stride.min(padded);
                axis.out = (padded - reach) / axis.stride + 1;
                Ok(axis)
            }
            _ => candle_core::bail!(
                "{operation}: a kernel of {} with dilation {} does not fit into the {name} of {} \
                 with padding {}",
                axis.kernel,
                axis.dilation,
                axis.size,
                axis.padding
            ),
        }
    }
}

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub(super) images: usize,
    /// Channels of the input and of the output in one group.
    pub(super) channels: usize,
    pub(super) outputs: usize,
    pub(super) groups: usize,
    /// The axes of one part.
    pub(super) axes: [Axis; 3],
    /// The sizes of a whole result.
    out: [usize; 3],
    /// How often the axes occur in one image: frames or pieces of frames that do not depend on
    /// each other.
    pub(super) parts: usize,
    pub(super) input: Strides,
    pub(super) output: Strides,
}

/// Distances in a tensor `[images, groups * channels, time, height, width]`, whose last axis is
/// contiguous.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strides {
    pub(super) image: usize,
    pub(super) group: usize,
    pub(super) part: usize,
    pub(super) channel: usize,
    pub(super) frame: usize,
    pub(super) row: usize,
}

impl Geometry {
    pub(super) fn new<const D: usize>(
        operation: &str,
        options: &Convolution<D>,
        x: &[usize],
        weight: &[usize],
    ) -> Result<Self> {
        let rank = D + 2;
        if x.len() != rank || weight.len() != rank {
            candle_core::bail!(
                "{operation}: expected an input and a weight of rank {rank}, found {x:?} and \
                 {weight:?}"
            );
        }
        // Checked arithmetic for the same reason as in `Axis::checked`: groups may come from a
        // file.
        let (images, channels, outputs, groups) = (x[0], x[1], weight[0], options.groups);
        if groups == 0 || Some(channels) != weight[1].checked_mul(groups) || outputs % groups != 0 {
            candle_core::bail!(
                "{operation}: the weight {weight:?} does not fit {channels} channels in {groups} \
                 groups"
            );
        }
        // An image is a clip of one frame: axes that are absent have one point.
        let mut axes = [Axis::pointwise(1); 3];
        for i in 0..D {
            let position = 3 - D + i;
            axes[position] = Axis::checked(
                operation,
                AXES[position],
                Axis {
                    size: x[2 + i],
                    kernel: weight[2 + i],
                    stride: options.stride[i],
                    padding: options.padding[i],
                    dilation: options.dilation[i],
                    out: 0,
                },
            )?;
        }
        // Twice the padded sizes bound the blocks of both passes and the result.
        let padded = axes.map(|axis| 2 * (axis.size + 2 * axis.padding));
        let elements = padded.iter().try_fold(
            images.max(1).saturating_mul(channels.max(outputs).max(1)),
            |elements, &size| elements.checked_mul(size),
        );
        if elements.is_none_or(|elements| elements > isize::MAX as usize / 16) {
            candle_core::bail!(
                "{operation}: {x:?} with padding {:?} is too large",
                options.padding
            );
        }
        // The sizes of the whole result, before the axes are cut into parts.
        let out = axes.map(|axis| axis.out);
        let (channels, outputs) = (channels / groups, outputs / groups);
        let (parts, axes, input, output) = cut(groups, channels, outputs, axes);
        Ok(Self {
            images,
            channels,
            outputs,
            groups,
            axes,
            out,
            parts,
            input,
            output,
        })
    }

    /// The sizes of the result along the last `dimensions` axes.
    pub(super) fn out_sizes(&self, dimensions: usize) -> &[usize] {
        &self.out[3 - dimensions..]
    }

    /// Elements of the kernels of one group.
    pub(super) fn kernel_elements(&self) -> usize {
        self.outputs * self.channels * self.axes.iter().map(|axis| axis.kernel).product::<usize>()
    }
}

/// Cuts frames apart that do not depend on each other, so that a block is small enough to stay in
/// the cache: the frames of a clip when the kernel has no extent in time, pieces of the picture
/// when it has none in space.
fn cut(
    groups: usize,
    channels: usize,
    outputs: usize,
    axes: [Axis; 3],
) -> (usize, [Axis; 3], Strides, Strides) {
    /// Positions of a block in space; the transposition of a row runs along it.
    const LONGEST: usize = 512;
    let sizes = axes.map(|axis| axis.size);
    let outs = axes.map(|axis| axis.out);
    let [_, height, width] = axes;
    let mut parts = 1;
    let mut cut = axes;
    let (mut part, mut rows) = ((0, 0), (sizes[2], outs[2]));
    // No extent in time: each frame is a part.
    if axes[0].is_pointwise() {
        parts = sizes[0];
        cut[0] = Axis::pointwise(1);
        part = (sizes[1] * sizes[2], outs[1] * outs[2]);
    } else if height.is_pointwise() && width.is_pointwise() {
        // No extent in space: a frame becomes one row, cut into the longest equal pieces that fit.
        // A piece has 64 pixels or more, as short rows cost more than a large block.
        let space = sizes[1] * sizes[2];
        let longest = (1..=space.min(LONGEST)).rev();
        let length = longest.into_iter().find(|length| space % length == 0);
        // A prime number of pixels stays whole.
        let length = length.filter(|&length| length >= 64).unwrap_or(space);
        parts = space / length.max(1);
        cut[1] = Axis::pointwise(1);
        cut[2] = Axis::pointwise(length);
        part = (length, length);
        rows = (length, length);
    }
    // The distances are those of the whole tensors, in which parts are views.
    let strides = |channels: usize, sizes: [usize; 3], part: usize, row: usize| {
        let channel = sizes.iter().product::<usize>();
        Strides {
            image: groups * channels * channel,
            group: channels * channel,
            part,
            channel,
            frame: sizes[1] * sizes[2],
            row,
        }
    };
    let input = strides(channels, sizes, part.0, rows.0);
    let output = strides(outputs, outs, part.1, rows.1);
    (parts, cut, input, output)
}
