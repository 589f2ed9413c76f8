//! Convolution in two and three dimensions.
//!
//! Tensors are `[n, channels, ..]`. Each image, or piece of a clip that does not depend on the
//! others, is laid out channels last with its padding in a block that stays in the cache; the
//! kernels are summed over runs of it, for a few positions and 8 or 16 channels at a time. The
//! gradient of the input is the same sum with the kernel transposed, in one pass for each
//! remainder modulo the strides. So the layout of the tensors costs one transposition in the cache
//! each way, and there is no second layout for callers to choose.
//!
//! Milliseconds of CPU time on one thread of a Zen 4 processor, forward / forward and backward,
//! beside PyTorch 2.15 with its tensors channels last (both with `malloc` kept from returning
//! memory to the system, which otherwise costs either up to half as much again):
//!
//! | input, outputs as inputs | kernel | here | PyTorch |
//! |---|---|---|---|
//! | 128 x 16 x 32 x 32 | 3 x 3 | 7.3 / 23.0 | 6.4 / 19.2 |
//! | 256 x 8 x 16 x 16 | 3 x 3 | 1.7 / 5.0 | 1.9 / 5.7 |
//! | 128 x 32 x 16 x 16 | 3 x 3 | 7.2 / 22.0 | 5.8 / 18.0 |
//! | 128 x 64 x 8 x 8 | 3 x 3 | 6.3 / 19.4 | 5.0 / 16.3 |
//! | 16 x 16 x 8 x 32 x 32 | 1 x 3 x 3 | 7.3 / 22.8 | 6.3 / 19.2 |
//! | 16 x 16 x 8 x 32 x 32 | 3 x 1 x 1 | 3.9 / 12.7 | 2.8 / 9.8 |
//! | 16 x 16 x 8 x 32 x 32 | 3 x 3 x 3 | 18.3 / 57.0 | 15.5 / 47.5 |
//! | 32 x 8 x 8 x 16 x 16 | 3 x 1 x 1 | 0.9 / 2.6 | 1.1 / 2.9 |
//! | 128 x 16 x 32 x 32 | 3 x 3, depthwise | 3.3 / 14.1 | 1.5 / 5.4 |

mod depthwise;
mod geometry;
mod kernel;
mod plan;
#[cfg(all(test, feature = "test-util"))]
mod tests;
mod transpose;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use self::geometry::{Geometry, Strides};
use self::kernel::{
    Correlate, MultiplyAdd, NARROW, Outer, Run, WIDE, channel_blocks, padded_channels,
};
use self::plan::Pass;
use super::operand::Operand;
use super::values::{by_type, elements, same_type, stored};
use super::vectorize::vectorize;

/// How the kernel of a convolution moves, for each of the `D` spatial axes in their order: height
/// and width, or time, height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution<const D: usize> {
    /// Distance of neighboring positions, at least 1.
    pub stride: [usize; D],
    /// Zeros before and after the input.
    pub padding: [usize; D],
    /// Distance of neighboring points of the kernel, at least 1.
    pub dilation: [usize; D],
    /// Into how many groups the channels are split, each with its own kernels; one group for
    /// each input channel makes the convolution depthwise.
    pub groups: usize,
}

impl<const D: usize> Default for Convolution<D> {
    /// Stride 1, no padding, no dilation, one group.
    fn default() -> Self {
        Self {
            stride: [1; D],
            padding: [0; D],
            dilation: [1; D],
            groups: 1,
        }
    }
}

/// Cross-correlates images `x` of shape `[n, in, h, w]` with kernels `weight` of shape
/// `[out, in / groups, kh, kw]`, and adds `bias` of shape `[out]`. The result has the shape
/// `[n, out, oh, ow]` with `oh = (h + 2 padding - dilation (kh - 1) - 1) / stride + 1`, rounded
/// down, and `ow` likewise.
///
/// It runs on the calling thread. No gradient is computed for an `x` or a `weight` that depends on
/// no variable: for a first layer that is half of the backward pass.
///
/// # Errors
/// Candle's error when shapes or types disagree, a kernel is larger than the padded input, or the
/// tensors are not on the CPU.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    convolution: Convolution<2>,
) -> Result<Tensor> {
    convolve("conv2d", x, weight, bias, convolution)
}

/// Cross-correlates clips `x` of shape `[n, in, t, h, w]` with kernels `weight` of shape
/// `[out, in / groups, kt, kh, kw]`; otherwise as [`conv2d`].
///
/// # Errors
/// As [`conv2d`].
pub fn conv3d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    convolution: Convolution<3>,
) -> Result<Tensor> {
    convolve("conv3d", x, weight, bias, convolution)
}

fn convolve<const D: usize>(
    name: &'static str,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: Convolution<D>,
) -> Result<Tensor> {
    same_type(name, &[x, weight])?;
    // Checks the shapes before anything is computed.
    let geometry = Geometry::new(name, &options, x.dims(), weight.dims())?;
    let outputs = geometry.groups * geometry.outputs;
    // Candle's operations take a fixed number of operands: without a bias it is zero.
    let bias = match bias {
        None => Tensor::zeros(outputs, x.dtype(), x.device())?,
        Some(bias) => {
            same_type(name, &[x, bias])?;
            if bias.dims() != [outputs] {
                candle_core::bail!(
                    "{name}: a bias {:?} for {outputs} output channels",
                    bias.dims()
                );
            }
            bias.contiguous()?
        }
    };
    let mut shape = vec![geometry.images, outputs];
    shape.extend(geometry.out_sizes(D));
    let operation = Operation {
        name,
        geometry,
        shape: shape.into(),
    };
    x.contiguous()?
        .apply_op3(&weight.contiguous()?, &bias, operation)
}

/// A convolution of operands whose shapes have been checked.
struct Operation {
    name: &'static str,
    geometry: Geometry,
    /// Of the result.
    shape: Shape,
}

impl CustomOp3 for Operation {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        by_type!(
            self.name,
            x.dtype(),
            forward(
                self,
                (x, x_layout),
                (weight, weight_layout),
                (bias, bias_layout)
            )
        )
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        by_type!(
            self.name,
            x.dtype(),
            backward(&self.geometry, x, weight, bias, gradient)
        )
    }
}

fn forward<T: MultiplyAdd>(
    operation: &Operation,
    x: (&CpuStorage, &Layout),
    weight: (&CpuStorage, &Layout),
    bias: (&CpuStorage, &Layout),
) -> Result<(CpuStorage, Shape)> {
    let geometry = &operation.geometry;
    let (x, weight) = (elements::<T>(x.0, x.1)?, elements::<T>(weight.0, weight.1)?);
    let bias = elements::<T>(bias.0, bias.1)?;
    let elements = operation.shape.elem_count();
    let mut result = Vec::with_capacity(elements);
    if elements == 0 {
        return Ok(stored(result, operation.shape.clone()));
    }
    // Positions and runs depend on the sizes alone, and are the same for all images.
    let (padded, passes) = plan::forward(geometry);
    let kernels = Kernels::of_outputs(geometry);
    // Kernels are packed once and serve all images.
    let sums: Vec<Sums<'_, T>> = (0..geometry.groups)
        .flat_map(|group| {
            let weight = &weight[group * geometry.kernel_elements()..];
            let bias = &bias[group * geometry.outputs..][..geometry.outputs];
            passes
                .iter()
                .map(move |pass| Sums::new(pass, kernels.packed(weight, &pass.taps), bias))
        })
        .collect();
    // The padding is zero from here on: only the inside of the block is written again.
    let mut block = vec![T::zero(); padded.elements()];
    let mut scratch = Vec::new();
    let (from, to) = (&geometry.input, &geometry.output);
    for image in 0..geometry.images {
        // Grown image by image: written while it is in the cache.
        result.resize((image + 1) * to.image, T::zero());
        for (group, sums) in sums.chunks_exact(passes.len()).enumerate() {
            for part in 0..geometry.parts {
                let x = &x[image * from.image + group * from.group + part * from.part..];
                padded.fill(x, from, &mut block);
                let start = image * to.image + group * to.group + part * to.part;
                for sums in sums {
                    sums.run(&block, &mut scratch, &mut result[start..], to);
                }
            }
        }
    }
    Ok(stored(result, operation.shape.clone()))
}

/// Gradients of the input, the weight and the bias, as far as they are needed.
type Gradients = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

fn backward<T: MultiplyAdd>(
    geometry: &Geometry,
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    gradient: &Tensor,
) -> Result<Gradients> {
    let gradient = &gradient.contiguous()?;
    let needed = [x.track_op(), weight.track_op(), bias.track_op()];
    let (x_shape, weight_shape) = (x.shape(), weight.shape());
    let device = x.device();
    let (x, weight) = (Operand::new(x), Operand::new(weight));
    let (x, weight) = (x.values::<T>()?, weight.values::<T>()?);
    let gradient = Operand::new(gradient);
    let gradient = gradient.values::<T>()?;
    let kernel_elements = geometry.kernel_elements();

    // The weight's gradient sums products of padded input and gradient; the input's gradient is a
    // forward pass over the gradient with the kernels transposed.
    let (padded_x, forward) = plan::forward(geometry);
    let (padded_gradient, transposed) = plan::input_gradient(geometry);
    let forward = &forward[0];
    let gradient_starts = padded_gradient.starts();
    // A last vector may reach beyond the channels of the last position.
    let mut gradient_block = vec![T::zero(); padded_gradient.elements() + WIDE];
    let mut x_block = vec![T::zero(); padded_x.elements()];
    let mut scratch = Vec::new();
    let mut to_x = Vec::with_capacity(if needed[0] { x.len() } else { 0 });
    let mut to_bias = vec![T::zero(); bias.elem_count()];
    let to_kernels = Kernels::of_outputs(geometry);
    let to_inputs = Kernels::of_inputs(geometry);
    let rows = geometry.channels * forward.taps.len();
    let packed = rows * padded_channels(geometry.outputs);
    // In the packed order; unpacked after the last image.
    let mut to_weight = vec![
        T::zero();
        if needed[1] {
            geometry.groups * packed
        } else {
            0
        }
    ];
    let no_bias = vec![T::zero(); geometry.channels];
    let mut sums = Vec::new();
    // Kernels are packed once, with all passes of a group next to each other.
    if needed[0] {
        for group in 0..geometry.groups {
            let weight = &weight[group * kernel_elements..];
            sums.extend(
                transposed
                    .iter()
                    .map(|pass| Sums::new(pass, to_inputs.packed(weight, &pass.taps), &no_bias)),
            );
        }
    }
    let (input, output) = (&geometry.input, &geometry.output);
    for image in 0..geometry.images {
        if needed[0] {
            to_x.resize((image + 1) * input.image, T::zero());
        }
        for group in 0..geometry.groups {
            for part in 0..geometry.parts {
                let start = image * input.image + group * input.group + part * input.part;
                let out = image * output.image + group * output.group + part * output.part;
                // Both gradients below read the padded gradient of the result.
                padded_gradient.fill(&gradient[out..], output, &mut gradient_block);
                if needed[0] {
                    for sums in &sums[group * transposed.len()..][..transposed.len()] {
                        sums.run(&gradient_block, &mut scratch, &mut to_x[start..], input);
                    }
                }
                if needed[1] {
                    padded_x.fill(&x[start..], input, &mut x_block);
                    add_products(
                        forward,
                        &x_block,
                        (&gradient_block, &gradient_starts),
                        geometry.outputs,
                        &mut to_weight[group * packed..][..packed],
                    );
                }
            }
        }
        if needed[2] {
            // The bias is added at every position of its channel: its gradient is their sum.
            let planes = gradient[image * output.image..].chunks_exact(output.channel);
            for (sum, plane) in to_bias.iter_mut().zip(planes) {
                *sum += sum_of(plane);
            }
        }
    }
    let to_x = if needed[0] {
        Some(Tensor::from_vec(to_x, x_shape, device)?)
    } else {
        None
    };
    let to_weight = if needed[1] {
        let mut unpacked = vec![T::zero(); geometry.groups * kernel_elements];
        for group in 0..geometry.groups {
            to_kernels.unpack(
                &to_weight[group * packed..][..packed],
                &forward.taps,
                &mut unpacked[group * kernel_elements..],
            );
        }
        Some(Tensor::from_vec(unpacked, weight_shape, device)?)
    } else {
        None
    };
    let to_bias = if needed[2] {
        Some(Tensor::from_vec(to_bias, bias.shape(), device)?)
    } else {
        None
    };
    Ok((to_x, to_weight, to_bias))
}

/// Adds the products of a block of inputs and a block of gradients to the gradient of the kernels,
/// in the order of [`Kernels::packed`].
fn add_products<T: MultiplyAdd>(
    pass: &Pass,
    input: &[T],
    (gradient, gradient_starts): (&[T], &[usize]),
    outputs: usize,
    to_weight: &mut [T],
) {
    /// Elements of inputs and gradients that fit into the first-level cache.
    const BAND: usize = 6144;
    if let Some(rows) = pass.depthwise(&pass.starts, outputs) {
        vectorize(depthwise::Outer {
            rows,
            input,
            gradient,
            gradient_starts,
            sums: to_weight,
        });
        return;
    }
    // Positions in bands, whose inputs and gradients stay in the first-level cache while the blocks
    // of channels pass over them.
    let rows: usize = pass.runs.iter().map(|run| run.length).sum();
    let band = (BAND / (rows / pass.taps.len() + outputs).max(1)).clamp(32, 256);
    let bands = pass.starts.chunks(band).zip(gradient_starts.chunks(band));
    for (starts, gradient_starts) in bands {
        // The sums of a block of channels are contiguous, in the order of its packed kernels.
        for (first_channel, width) in channel_blocks(outputs) {
            let sums = &mut to_weight[first_channel * rows..][..rows * width];
            if width == WIDE {
                vectorize(Outer::<T, WIDE> {
                    input,
                    starts,
                    runs: &pass.runs,
                    gradient,
                    gradient_starts,
                    first_channel,
                    sums,
                });
            } else {
                vectorize(Outer::<T, NARROW> {
                    input,
                    starts,
                    runs: &pass.runs,
                    gradient,
                    gradient_starts,
                    first_channel,
                    sums,
                });
            }
        }
    }
}

/// A pass with its kernels.
struct Sums<'a, T> {
    pass: &'a Pass,
    weight: Vec<T>,
    /// Padded to whole blocks.
    bias: Vec<T>,
    channels: usize,
}

impl<'a, T: MultiplyAdd> Sums<'a, T> {
    fn new(pass: &'a Pass, weight: Vec<T>, bias: &[T]) -> Self {
        let mut padded = bias.to_vec();
        padded.resize(padded_channels(bias.len()), T::zero());
        Self {
            pass,
            weight,
            bias: padded,
            channels: bias.len(),
        }
    }

    /// Computes all positions, some rows at a time so that they are still in the first-level cache
    /// when they are copied to the result, which starts at the first element of `to`.
    fn run(&self, input: &[T], scratch: &mut Vec<T>, to: &mut [T], strides: &Strides) {
        /// Results in a band.
        const BAND: usize = 4096;
        let [frames, height, width] = self.pass.counts;
        if frames * height * width * self.channels == 0 {
            return;
        }
        // A band is a number of rows of positions; each position has its channels side by side.
        let stride = self.bias.len();
        let elements: usize = self.pass.runs.iter().map(|run| run.length).sum();
        let rows = (BAND / (stride * width)).max(1);
        scratch.resize(rows * width * stride, T::zero());
        for first in (0..frames * height).step_by(rows) {
            let band = first..(first + rows).min(frames * height);
            let starts = &self.pass.starts[band.start * width..band.end * width];
            // A single channel cannot fill a vector: these sums run along the row.
            if let Some(rows) = self.pass.depthwise(starts, self.channels) {
                let sums = &mut scratch[..starts.len()];
                sums.fill(self.bias[0]);
                vectorize(depthwise::Correlate {
                    rows,
                    input,
                    weight: &self.weight,
                    out: sums,
                });
                self.pass.scatter(band, (sums, 1), 1, to, strides);
                continue;
            }
            let scratch = &mut scratch[..starts.len() * stride];
            for (first, block) in channel_blocks(self.channels) {
                let mut weight = &self.weight[first * elements..][..block * elements];
                let mut runs = self.pass.runs.as_slice();
                let out = &mut scratch[first..];
                let mut bias = Some(&self.bias[first..][..block]);
                // In pieces whose kernels stay in the first-level cache. There may be no run: the
                // result is the bias then.
                loop {
                    let (some, count) = leading(runs);
                    let (head, rest) = weight.split_at(count * block);
                    if block == WIDE {
                        vectorize(Correlate::<T, WIDE> {
                            input,
                            starts,
                            runs: some,
                            weight: head,
                            bias,
                            out,
                            out_stride: stride,
                        });
                    } else {
                        vectorize(Correlate::<T, NARROW> {
                            input,
                            starts,
                            runs: some,
                            weight: head,
                            bias,
                            out,
                            out_stride: stride,
                        });
                    }
                    // The runs that follow add to what is there.
                    bias = None;
                    weight = rest;
                    runs = &runs[some.len()..];
                    if runs.is_empty() {
                        break;
                    }
                }
            }
            self.pass
                .scatter(band, (scratch, stride), self.channels, to, strides);
        }
    }
}

/// The first runs that have at most [`plan::LONGEST`] elements together, and how many they have.
fn leading(runs: &[Run]) -> (&[Run], usize) {
    let mut elements = 0;
    let mut count = 0;
    for run in runs {
        if count > 0 && elements + run.length > plan::LONGEST {
            break;
        }
        elements += run.length;
        count += 1;
    }
    (&runs[..count], elements)
}

/// How the kernels of one group are ordered for a pass: blocks of the channels that it computes,
/// in each the points of the kernel, in each the channels that it sums over.
#[derive(Clone, Copy)]
struct Kernels {
    /// Number of channels and their distance in the weight.
    computed: (usize, usize),
    summed: (usize, usize),
}

impl Kernels {
    /// For the forward pass, which computes output channels.
    fn of_outputs(geometry: &Geometry) -> Self {
        let taps: usize = geometry.axes.iter().map(|axis| axis.kernel).product();
        Self {
            computed: (geometry.outputs, geometry.channels * taps),
            summed: (geometry.channels, taps),
        }
    }

    /// For the gradient of the input, which computes input channels.
    fn of_inputs(geometry: &Geometry) -> Self {
        let outputs = Self::of_outputs(geometry);
        Self {
            computed: outputs.summed,
            summed: outputs.computed,
        }
    }

    /// Calls `each(packed, unpacked)` for the positions of all elements, in the order of the first;
    /// `None` where a block is wider than the channels.
    fn for_each(&self, taps: &[usize], mut each: impl FnMut(usize, Option<usize>)) {
        let mut packed = 0;
        for (first, width) in channel_blocks(self.computed.0) {
            for tap in taps {
                for summed in 0..self.summed.0 {
                    for channel in first..first + width {
                        let unpacked = channel * self.computed.1 + summed * self.summed.1 + tap;
                        each(packed, (channel < self.computed.0).then_some(unpacked));
                        packed += 1;
                    }
                }
            }
        }
    }

    fn packed<T: MultiplyAdd>(&self, weight: &[T], taps: &[usize]) -> Vec<T> {
        let count = taps.len() * self.summed.0 * padded_channels(self.computed.0);
        let mut packed = Vec::with_capacity(count);
        self.for_each(taps, |_, from| {
            packed.push(from.map_or(T::zero(), |from| weight[from]));
        });
        packed
    }

    fn unpack<T: MultiplyAdd>(&self, packed: &[T], taps: &[usize], weight: &mut [T]) {
        self.for_each(taps, |from, to| {
            if let Some(to) = to {
                weight[to] = packed[from];
            }
        });
    }
}

/// The sum of values, in eight partial sums.
fn sum_of<T: MultiplyAdd>(values: &[T]) -> T {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut sums = [T::zero(); 8];
    for chunk in chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += value;
        }
    }
    let mut total = T::zero();
    for &value in sums.iter().chain(rest) {
        total += value;
    }
    total
}
