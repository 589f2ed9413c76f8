//! Convolution in two dimensions: windows laid out as columns, then a matrix product.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::product::{Matrix, multiply};
use super::values::{Float, by_type, copied, elements, same_type, stored};

/// How the windows of a convolution lie; the same in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Distance of neighboring windows, at least 1.
    pub stride: usize,
    /// Rows and columns of zeros around the image.
    pub padding: usize,
    /// Distance of neighboring points inside a window, at least 1.
    pub dilation: usize,
    /// Into how many groups the channels are split, each with kernels of its own; as many as
    /// input channels make the convolution depthwise.
    pub groups: usize,
}

impl Default for Convolution {
    /// Stride 1, no padding, no dilation, one group.
    fn default() -> Self {
        Self {
            stride: 1,
            padding: 0,
            dilation: 1,
            groups: 1,
        }
    }
}

/// Cross-correlates images `x` of shape `[n, in, h, w]` with kernels `weight` of shape
/// `[out, in / groups, kh, kw]`, and adds `bias` of shape `[out]`. The result has the shape
/// `[n, out, oh, ow]` with `oh = (h + 2 padding - dilation (kh - 1) - 1) / stride + 1`, rounded
/// down.
///
/// It runs on the calling thread, image by image, with the columns of one image as extra memory.
/// No gradient is computed for an `x` that depends on no variable: it would cost a third of the
/// backward pass of a first layer.
///
/// # Errors
/// Candle's error when shapes or types disagree, a kernel is larger than the padded image, or the
/// tensors are not on the CPU.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    convolution: Convolution,
) -> Result<Tensor> {
    same_type("conv2d", &[x, weight])?;
    // Checks the shapes before anything is computed.
    convolution.geometry(x.shape(), weight.shape())?;
    let result = x
        .contiguous()?
        .apply_op2(&weight.contiguous()?, convolution)?;
    match bias {
        None => Ok(result),
        Some(bias) => {
            same_type("conv2d", &[x, bias])?;
            if bias.dims() != [result.dim(1)?] {
                candle_core::bail!(
                    "conv2d: a bias {:?} for {} output channels",
                    bias.dims(),
                    result.dim(1)?
                );
            }
            result.apply_op2(&bias.contiguous()?, ChannelBias)
        }
    }
}

/// The sizes of one convolution, checked.
#[derive(Clone, Copy)]
struct Geometry {
    images: usize,
    /// Channels of one group.
    channels: usize,
    height: usize,
    width: usize,
    /// Kernels of one group.
    kernels: usize,
    kernel_height: usize,
    kernel_width: usize,
    out_height: usize,
    out_width: usize,
    options: Convolution,
}

impl Convolution {
    fn geometry(&self, x: &Shape, weight: &Shape) -> Result<Geometry> {
        let (images, channels, height, width) = x.dims4()?;
        let (kernels, group_channels, kernel_height, kernel_width) = weight.dims4()?;
        let groups = self.groups;
        if self.stride == 0 || self.dilation == 0 || groups == 0 {
            candle_core::bail!("conv2d: stride, dilation and groups must be at least 1: {self:?}");
        }
        if group_channels * groups != channels || kernels % groups != 0 {
            candle_core::bail!(
                "conv2d: the weight {:?} does not fit {channels} channels in {groups} groups",
                weight.dims()
            );
        }
        let positions = |size: usize, kernel: usize| {
            let reach = self.dilation * kernel.saturating_sub(1) + 1;
            let padded = size + 2 * self.padding;
            if kernel == 0 || reach > padded {
                candle_core::bail!(
                    "conv2d: a kernel {:?} with dilation {} on images {:?} with padding {}",
                    weight.dims(),
                    self.dilation,
                    x.dims(),
                    self.padding
                );
            }
            Ok((padded - reach) / self.stride + 1)
        };
        Ok(Geometry {
            images,
            channels: group_channels,
            height,
            width,
            kernels: kernels / groups,
            kernel_height,
            kernel_width,
            out_height: positions(height, kernel_height)?,
            out_width: positions(width, kernel_width)?,
            options: *self,
        })
    }
}

impl Geometry {
    /// Rows of the matrix of columns: the points of a window through all channels of a group.
    fn window(&self) -> usize {
        self.channels * self.kernel_height * self.kernel_width
    }

    /// Its columns: the positions of the window.
    fn positions(&self) -> usize {
        self.out_height * self.out_width
    }

    /// Elements of one group of one image, before and after.
    fn image_group(&self) -> usize {
        self.channels * self.height * self.width
    }

    fn out_group(&self) -> usize {
        self.kernels * self.positions()
    }

    /// Whether the columns are the image itself.
    fn is_pointwise(&self) -> bool {
        self.kernel_height * self.kernel_width == 1
            && self.options.stride == 1
            && self.options.padding == 0
    }

    /// Calls `row(position in columns, position in image, count)` for every run of positions along
    /// the width that lie inside the image, with `options.stride` between neighbors in the image.
    fn for_each_run(&self, mut run: impl FnMut(usize, usize, usize)) {
        let Convolution {
            stride,
            padding,
            dilation,
            ..
        } = self.options;
        // The positions whose point `offset` lies inside `0..size`.
        let inside = |offset: usize, size: usize, positions: usize| {
            let first = padding.saturating_sub(offset).div_ceil(stride);
            let end = (size + padding).saturating_sub(offset).div_ceil(stride);
            (first, end.min(positions))
        };
        let mut row = 0;
        for channel in 0..self.channels {
            for ky in 0..self.kernel_height {
                let (first_y, end_y) = inside(ky * dilation, self.height, self.out_height);
                for kx in 0..self.kernel_width {
                    let (first_x, end_x) = inside(kx * dilation, self.width, self.out_width);
                    if first_x < end_x {
                        for y in first_y..end_y {
                            let image_y = y * stride + ky * dilation - padding;
                            let image_x = first_x * stride + kx * dilation - padding;
                            run(
                                row + y * self.out_width + first_x,
                                (channel * self.height + image_y) * self.width + image_x,
                                end_x - first_x,
                            );
                        }
                    }
                    row += self.positions();
                }
            }
        }
    }

    /// Lays the windows of one group of one image out as columns. `columns` holds zeros, or what
    /// an earlier call left: the places outside the image stay untouched.
    fn lay_out<T: Float>(&self, image: &[T], columns: &mut [T]) {
        let stride = self.options.stride;
        self.for_each_run(|to, from, count| {
            let to = &mut columns[to..to + count];
            if stride == 1 {
                to.copy_from_slice(&image[from..from + count]);
            } else {
                for (to, &from) in to.iter_mut().zip(image[from..].iter().step_by(stride)) {
                    *to = from;
                }
            }
        });
    }

    /// The transpose of [`Geometry::lay_out`]: adds every element to where it came from.
    fn gather<T: Float>(&self, columns: &[T], image: &mut [T]) {
        let stride = self.options.stride;
        self.for_each_run(|from, to, count| {
            let from = &columns[from..from + count];
            for (to, &from) in image[to..].iter_mut().step_by(stride).zip(from) {
                *to += from;
            }
        });
    }
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let geometry = self.geometry(x_layout.shape(), weight_layout.shape())?;
        by_type!(
            "conv2d",
            x.dtype(),
            forward(geometry, (x, x_layout), (weight, weight_layout))
        )
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let geometry = self.geometry(x.shape(), weight.shape())?;
        by_type!("conv2d", x.dtype(), backward(geometry, x, weight, gradient))
    }
}

fn forward<T: Float>(
    geometry: Geometry,
    x: (&CpuStorage, &Layout),
    weight: (&CpuStorage, &Layout),
) -> Result<(CpuStorage, Shape)> {
    let groups = geometry.options.groups;
    let (x, weight) = (elements::<T>(x.0, x.1)?, elements::<T>(weight.0, weight.1)?);
    let (window, positions) = (geometry.window(), geometry.positions());
    let mut result = vec![T::zero(); geometry.images * groups * geometry.out_group()];
    let mut columns = columns_for(&geometry);
    let images = x.chunks_exact(geometry.image_group().max(1));
    let outs = result.chunks_exact_mut(geometry.out_group().max(1));
    for (index, (image, out)) in images.zip(outs).enumerate() {
        let kernels = &weight[index % groups * geometry.kernels * window..];
        let columns = if geometry.is_pointwise() {
            image
        } else {
            geometry.lay_out(image, &mut columns);
            &columns
        };
        multiply(
            Matrix::new(kernels, geometry.kernels, window),
            Matrix::new(columns, window, positions),
            out,
            false,
        );
    }
    let shape = (
        geometry.images,
        groups * geometry.kernels,
        geometry.out_height,
        geometry.out_width,
    );
    Ok(stored(result, shape))
}

fn backward<T: Float>(
    geometry: Geometry,
    x: &Tensor,
    weight: &Tensor,
    gradient: &Tensor,
) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let groups = geometry.options.groups;
    let (window, positions) = (geometry.window(), geometry.positions());
    let (x_values, weight_values) = (copied::<T>(x)?, copied::<T>(weight)?);
    let gradient = copied::<T>(gradient)?;
    let mut to_weight = vec![T::zero(); weight_values.len()];
    let mut to_x = vec![T::zero(); if x.track_op() { x_values.len() } else { 0 }];
    let mut columns = columns_for(&geometry);
    let images = x_values.chunks_exact(geometry.image_group().max(1));
    let outs = gradient.chunks_exact(geometry.out_group().max(1));
    for (index, (image, out)) in images.zip(outs).enumerate() {
        let group = index % groups * geometry.kernels * window;
        let group = group..group + geometry.kernels * window;
        let out = Matrix::new(out, geometry.kernels, positions);
        let laid_out = if geometry.is_pointwise() {
            image
        } else {
            geometry.lay_out(image, &mut columns);
            &columns
        };
        multiply(
            out,
            Matrix::new(laid_out, window, positions).transposed(),
            &mut to_weight[group.clone()],
            true,
        );
    }
    if !to_x.is_empty() {
        // What lies outside the image is added nowhere, so that the columns may hold anything.
        columns.resize(window * positions, T::zero());
        let outs = gradient.chunks_exact(geometry.out_group().max(1));
        let images = to_x.chunks_exact_mut(geometry.image_group().max(1));
        for (index, (image, out)) in images.zip(outs).enumerate() {
            let kernels = &weight_values[index % groups * geometry.kernels * window..];
            let kernels = Matrix::new(kernels, geometry.kernels, window).transposed();
            let out = Matrix::new(out, geometry.kernels, positions);
            if geometry.is_pointwise() {
                multiply(kernels, out, image, false);
            } else {
                multiply(kernels, out, &mut columns, false);
                geometry.gather(&columns, image);
            }
        }
    }
    let to_x = if x.track_op() {
        Some(Tensor::from_vec(to_x, x.shape(), x.device())?)
    } else {
        None
    };
    let to_weight = Tensor::from_vec(to_weight, weight.shape(), weight.device())?;
    Ok((to_x, Some(to_weight)))
}

/// Room for the columns of one group of one image; none when the image itself will do.
fn columns_for<T: Float>(geometry: &Geometry) -> Vec<T> {
    let count = if geometry.is_pointwise() {
        0
    } else {
        geometry.window() * geometry.positions()
    };
    vec![T::zero(); count]
}

/// Adds one number to each channel of images `[n, channels, h, w]`.
struct ChannelBias;

impl CustomOp2 for ChannelBias {
    fn name(&self) -> &'static str {
        "channel bias"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        by_type!(
            "conv2d",
            x.dtype(),
            add_bias((x, x_layout), (bias, bias_layout))
        )
    }

    fn bwd(
        &self,
        _x: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let to_bias = by_type!("conv2d", bias.dtype(), sum_of_channels(gradient))?;
        Ok((Some(gradient.clone()), Some(to_bias)))
    }
}

fn add_bias<T: Float>(
    x: (&CpuStorage, &Layout),
    bias: (&CpuStorage, &Layout),
) -> Result<(CpuStorage, Shape)> {
    let (_, channels, height, width) = x.1.shape().dims4()?;
    let bias = elements::<T>(bias.0, bias.1)?;
    let mut result = elements::<T>(x.0, x.1)?.to_vec();
    for (index, channel) in result.chunks_exact_mut(height * width).enumerate() {
        for value in channel {
            *value += bias[index % channels];
        }
    }
    Ok(stored(result, x.1.shape()))
}

fn sum_of_channels<T: Float>(gradient: &Tensor) -> Result<Tensor> {
    let (_, channels, height, width) = gradient.dims4()?;
    let mut sums = vec![T::zero(); channels];
    let values = copied::<T>(gradient)?;
    for (index, channel) in values.chunks_exact(height * width).enumerate() {
        let mut sum = T::zero();
        for &value in channel {
            sum += value;
        }
        sums[index % channels] += sum;
    }
    Tensor::from_vec(sums, channels, gradient.device())
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use candle_core::{DType, Var};

    use super::*;
    use crate::nn::assert_gradient;
    use crate::nn::operation::testing::{assert_close, draw};

    /// Every stride, padding, dilation and grouping, on images that are not square.
    fn cases() -> Vec<(Tensor, Tensor, Convolution)> {
        let mut cases = Vec::new();
        for (stride, padding, dilation) in [
            (1, 0, 1),
            (1, 1, 1),
            (2, 1, 1),
            (3, 2, 1),
            (1, 2, 2),
            (2, 0, 2),
        ] {
            for (groups, inputs, outputs) in [(1, 2, 3), (2, 4, 2), (3, 3, 3)] {
                for kernel in [(1, 1), (3, 3), (2, 3)] {
                    let convolution = Convolution {
                        stride,
                        padding,
                        dilation,
                        groups,
                    };
                    let (kh, kw) = kernel;
                    let weight = draw("w", (outputs, inputs / groups, kh, kw));
                    cases.push((draw("x", (2, inputs, 7, 6)), weight, convolution));
                }
            }
        }
        cases
    }

    #[test]
    fn it_is_the_convolution_of_candle() {
        for (x, w, c) in cases() {
            let ours = conv2d(&x, &w, None, c).unwrap();
            let theirs = x.conv2d(&w, c.padding, c.stride, c.dilation, c.groups);
            let theirs = theirs.unwrap();
            assert_close(&ours, &theirs, 1e-12);
            let single = |tensor: &Tensor| tensor.to_dtype(DType::F32).unwrap();
            let in_f32 = conv2d(&single(&x), &single(&w), None, c).unwrap();
            assert_close(&in_f32, &ours, 1e-5);
        }
    }

    #[test]
    fn gradients_are_right() {
        for (x, w, c) in cases() {
            let bias = draw("b", w.dim(0).unwrap());
            assert_gradient(&[x, w, bias], 1e-7, |x| {
                conv2d(&x[0], &x[1], Some(&x[2]), c)?.tanh()
            });
        }
    }

    #[test]
    fn operands_may_lie_in_any_order() {
        let convolution = Convolution::default();
        let inputs = [draw("x", (5, 6, 2, 3)), draw("w", (3, 2, 3, 2))];
        let turn = |x: &[Tensor]| -> Result<(Tensor, Tensor)> {
            Ok((x[0].permute((3, 2, 0, 1))?, x[1].permute((3, 1, 0, 2))?))
        };
        assert_gradient(&inputs, 1e-8, |x| {
            let (x, w) = turn(x)?;
            conv2d(&x, &w, None, convolution)?.tanh()
        });
    }

    #[test]
    fn data_gets_no_gradient() {
        let x = draw("x", (1, 2, 4, 4));
        let w = Var::from_tensor(&draw("w", (3, 2, 3, 3))).unwrap();
        let y = conv2d(&x, &w, None, Convolution::default()).unwrap();
        let gradients = y.backward().unwrap();
        assert!(gradients.get(&w).is_some() && gradients.get(&x).is_none());
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let x = draw("x", (1, 4, 5, 5));
        let refuse = |weight: (usize, usize, usize, usize), convolution| {
            conv2d(&x, &draw("w", weight), None, convolution)
                .unwrap_err()
                .to_string()
        };
        let plain = Convolution::default();
        assert!(refuse((2, 3, 3, 3), plain).contains("4 channels in 1 groups"));
        assert!(refuse((2, 4, 7, 3), plain).contains("a kernel [2, 4, 7, 3]"));
        let still = Convolution { stride: 0, ..plain };
        assert!(refuse((2, 4, 3, 3), still).contains("at least 1"));
        let uneven = Convolution { groups: 4, ..plain };
        assert!(refuse((6, 1, 3, 3), uneven).contains("4 groups"));
    }
}
