//! Maxima and means over windows, and means over whole images.

mod maximum;
#[cfg(all(test, feature = "test-util"))]
mod tests;

use std::ops::Range;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use self::maximum::Maximum;
use super::operand::Operand;
use super::values::{Float, by_type, elements, stored};
use crate::nn::vector::{sum, vectorized};

/// How windows are placed along each of the `D` spatial axes in their order: height and width, or time,
/// height and width. Windows that do not fit into the padded input are left out, so that sizes need
/// not be divisible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool<const D: usize> {
    /// Sizes of a window, at least 1.
    pub kernel: [usize; D],
    /// Distance of neighboring windows, at least 1.
    pub stride: [usize; D],
    /// Positions before and after the input, at most half a window. A maximum ignores them; a mean
    /// counts them as zeros, as PyTorch does.
    pub padding: [usize; D],
}

impl<const D: usize> Pool<D> {
    /// Windows side by side, without padding.
    #[must_use]
    pub fn tiles(kernel: [usize; D]) -> Self {
        Self {
            kernel,
            stride: kernel,
            padding: [0; D],
        }
    }
}

/// The maximum of each window of images `[n, channels, h, w]` (`D = 2`) or clips
/// `[n, channels, t, h, w]` (`D = 3`). Among equal maxima the first, in the order of the axes, gets
/// the gradient; a window with a NaN has the maximum NaN, and its first NaN gets the gradient.
///
/// If `x` depends on a variable, the graph keeps the position of each maximum: 4 bytes a window.
///
/// # Errors
/// Candle's error for another rank, windows larger than the padded input, channels of 2^32
/// elements or more, or tensors that are not on the CPU.
pub fn max_pool<const D: usize>(x: &Tensor, pool: Pool<D>) -> Result<Tensor> {
    let windows = Windows::new("max_pool", &pool, x.dims())?;
    let operation = Maximum::new(windows, x.track_op())?;
    x.contiguous()?.apply_op1(operation)
}

/// The mean of each window of images or clips; the divisor is always the full window. Otherwise as
/// [`max_pool`].
///
/// # Errors
/// As [`max_pool`].
pub fn avg_pool<const D: usize>(x: &Tensor, pool: Pool<D>) -> Result<Tensor> {
    let windows = Windows::new("avg_pool", &pool, x.dims())?;
    x.contiguous()?.apply_op1(Mean(windows))
}

/// The mean of each channel of `x` of shape `[n, channels, ..]`, with the shape `[n, channels]`.
///
/// # Errors
/// Candle's error when `x` has less than two axes or no elements in a channel, or is not on the
/// CPU.
pub fn global_mean(x: &Tensor) -> Result<Tensor> {
    if x.rank() < 2 || x.dims()[2..].contains(&0) {
        candle_core::bail!(
            "global_mean: expected x [n, channels, ..] with elements in each channel, found {:?}",
            x.dims()
        );
    }
    x.contiguous()?.apply_op1(GlobalMean)
}

/// The windows along one axis.
#[derive(Clone, Copy, Debug)]
struct Axis {
    size: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    out: usize,
}

impl Axis {
    fn checked(operation: &str, name: &str, mut axis: Self) -> Result<Self> {
        let Self {
            size,
            kernel,
            stride,
            padding,
            ..
        } = axis;
        if kernel == 0 || stride == 0 || padding > kernel / 2 {
            candle_core::bail!(
                "{operation}: kernel and stride must be at least 1 and the padding at most half \
                 the kernel, found {kernel}, {stride} and {padding} for the {name}"
            );
        }
        let padded = size.checked_add(2 * padding);
        match padded.and_then(|padded| padded.checked_sub(kernel)) {
            // Without elements there is no window with an element.
            Some(rest) if size > 0 => {
                // A stride beyond the last window is as long as any other such stride.
                axis.stride = stride.min(rest + 1);
                axis.out = rest / axis.stride + 1;
                Ok(axis)
            }
            _ => candle_core::bail!(
                "{operation}: a kernel of {kernel} does not fit into the {name} of {size} with \
                 padding {padding}"
            ),
        }
    }

    /// The positions of window `index` that are inside.
    fn inside(&self, index: usize) -> Range<usize> {
        let start = index * self.stride;
        start.saturating_sub(self.padding)..(start + self.kernel - self.padding).min(self.size)
    }

    /// The size with padding, as far as windows reach at least.
    fn padded(&self) -> usize {
        (self.padding + self.size).max((self.out - 1) * self.stride + self.kernel)
    }
}

/// The windows of one channel of one image.
#[derive(Clone, Debug)]
struct Windows {
    /// Time, height and width; an image has one frame.
    axes: [Axis; 3],
    /// Of the result.
    shape: Shape,
}

impl Windows {
    fn new<const D: usize>(operation: &str, pool: &Pool<D>, x: &[usize]) -> Result<Self> {
        if x.len() != D + 2 {
            candle_core::bail!(
                "{operation}: expected an input of rank {}, found {x:?}",
                D + 2
            );
        }
        let names = ["time", "height", "width"];
        // An image is a clip of one frame: axes that are absent have one window of one element.
        let mut axes = [Axis {
            size: 1,
            kernel: 1,
            stride: 1,
            padding: 0,
            out: 1,
        }; 3];
        let mut shape = vec![x[0], x[1]];
        for i in 0..D {
            let axis = Axis {
                size: x[2 + i],
                kernel: pool.kernel[i],
                stride: pool.stride[i],
                padding: pool.padding[i],
                out: 0,
            };
            let position = 3 - D + i;
            axes[position] = Axis::checked(operation, names[position], axis)?;
            shape.push(axes[position].out);
        }
        // The padded sizes bound windows and results.
        let padded = axes.iter().map(|axis| axis.size + 2 * axis.padding);
        let elements = (shape[..2].iter().copied().map(|size| size.max(1)))
            .chain(padded)
            .try_fold(1usize, usize::checked_mul);
        if elements.is_none_or(|elements| elements > isize::MAX as usize / 16) {
            candle_core::bail!(
                "{operation}: {x:?} with padding {:?} is too large",
                pool.padding
            );
        }
        Ok(Self {
            axes,
            shape: shape.into(),
        })
    }

    /// Elements of one channel before and after.
    fn plane(&self) -> usize {
        self.axes.iter().map(|axis| axis.size).product()
    }

    fn out_plane(&self) -> usize {
        self.axes.iter().map(|axis| axis.out).product()
    }

    fn points(&self) -> usize {
        self.axes.iter().map(|axis| axis.kernel).product()
    }

    /// For each row of windows, where the rows of one channel start that they cover.
    fn rows(&self) -> Vec<Vec<usize>> {
        let [time, height, width] = &self.axes;
        let mut rows = Vec::with_capacity(time.out * height.out);
        for t in 0..time.out {
            for y in 0..height.out {
                let starts = time.inside(t).flat_map(|t| {
                    height
                        .inside(y)
                        .map(move |y| (t * height.size + y) * width.size)
                });
                rows.push(starts.collect());
            }
        }
        rows
    }
}

struct Mean(Windows);
struct GlobalMean;

impl CustomOp1 for Mean {
    fn name(&self) -> &'static str {
        "avg_pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!(self.name(), x.dtype(), mean(&self.0, x, layout))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        by_type!(self.name(), x.dtype(), spread_mean(&self.0, x, gradient)).map(Some)
    }
}

impl CustomOp1 for GlobalMean {
    fn name(&self) -> &'static str {
        "global_mean"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!(self.name(), x.dtype(), plane_means(x, layout))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        by_type!(self.name(), x.dtype(), spread_planes(x, gradient)).map(Some)
    }
}

/// Sums the values of each window, first the rows that it covers, element by element, then along
/// the row.
fn mean<T: Float>(
    windows: &Windows,
    x: &CpuStorage,
    layout: &Layout,
) -> Result<(CpuStorage, Shape)> {
    let share = T::from_f64(1.0 / windows.points() as f64);
    let width = &windows.axes[2];
    let rows = windows.rows();
    let mut line = vec![T::zero(); width.padded()];
    let mut result = Vec::with_capacity(windows.shape.elem_count());
    for plane in elements::<T>(x, layout)?.chunks_exact(windows.plane().max(1)) {
        for starts in &rows {
            // Across the rows of the window; the padding at both ends stays zero.
            let inside = &mut line[width.padding..][..width.size];
            inside.fill(T::zero());
            for &start in starts {
                for (sum, &value) in inside.iter_mut().zip(&plane[start..]) {
                    *sum += value;
                }
            }
            // Then along the row.
            let windows = line.windows(width.kernel).step_by(width.stride);
            let along = |window: &[T]| {
                let mut sum = T::zero();
                for &value in window {
                    sum += value;
                }
                sum * share
            };
            // A constant length unrolls the loop.
            match width.kernel {
                1 => result.extend(windows.take(width.out).map(|window| along(&window[..1]))),
                2 => result.extend(windows.take(width.out).map(|window| along(&window[..2]))),
                3 => result.extend(windows.take(width.out).map(|window| along(&window[..3]))),
                _ => result.extend(windows.take(width.out).map(along)),
            }
        }
    }
    Ok(stored(result, windows.shape.clone()))
}

/// Adds its share of the gradient of each window to all its elements.
fn spread_mean<T: Float>(windows: &Windows, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let width = &windows.axes[2];
    let rows = windows.rows();
    let share = T::from_f64(1.0 / windows.points() as f64);
    let mut line = vec![T::zero(); width.padded()];
    spread::<T>(windows, x, gradient, |gradient, to| {
        for (starts, gradient) in rows.iter().zip(gradient.chunks_exact(width.out)) {
            // Along the row first: each row of the windows gets the same.
            line.fill(T::zero());
            for (index, &gradient) in gradient.iter().enumerate() {
                for value in &mut line[index * width.stride..][..width.kernel] {
                    *value += gradient * share;
                }
            }
            for &start in starts {
                let row = &mut to[start..][..width.size];
                for (to, &value) in row.iter_mut().zip(&line[width.padding..]) {
                    *to += value;
                }
            }
        }
    })
}

/// Calls `add(gradient, gradient of x)` for each channel of each image.
fn spread<T: Float>(
    windows: &Windows,
    x: &Tensor,
    gradient: &Tensor,
    mut add: impl FnMut(&[T], &mut [T]),
) -> Result<Tensor> {
    let gradient = &gradient.contiguous()?;
    let gradient = Operand::new(gradient);
    let gradients = gradient.values::<T>()?;
    let plane = windows.plane();
    let mut to_x = Vec::with_capacity(x.elem_count());
    for gradient in gradients.chunks_exact(windows.out_plane().max(1)) {
        // Grown plane by plane: written while it is in the cache.
        let start = to_x.len();
        to_x.resize(start + plane, T::zero());
        add(gradient, &mut to_x[start..]);
    }
    Tensor::from_vec(to_x, x.shape(), x.device())
}

fn plane_means<T: Float>(x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
    let dims = layout.dims();
    let plane: usize = dims[2..].iter().product();
    let planes = elements::<T>(x, layout)?.chunks_exact(plane);
    let means: Vec<T> = vectorized(
        #[inline(always)]
        |_| {
            let mean = |values: &[T]| {
                let total = sum(
                    values,
                    #[inline(always)]
                    |x| x,
                );
                T::from_f64(total / plane as f64)
            };
            planes.map(mean).collect()
        },
    );
    Ok(stored(means, (dims[0], dims[1])))
}

fn spread_planes<T: Float>(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let plane: usize = x.dims()[2..].iter().product();
    let gradient = &gradient.contiguous()?;
    let gradient = Operand::new(gradient);
    let share = T::from_f64(1.0 / plane as f64);
    let mut to_x = Vec::with_capacity(x.elem_count());
    for &gradient in gradient.values::<T>()? {
        to_x.resize(to_x.len() + plane, gradient * share);
    }
    Tensor::from_vec(to_x, x.shape(), x.device())
}
