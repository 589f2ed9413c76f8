//! Maxima and means over windows of images.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::values::{Float, by_type, copied, elements, stored};

/// How the windows lie; the same in both directions. Windows that do not fit into the padded image
/// are left out, so that sizes need not be divisible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Height and width of a window, at least 1.
    pub kernel: usize,
    /// Distance of neighboring windows, at least 1.
    pub stride: usize,
    /// Rows and columns around the image, at most half a window. A maximum ignores them; a mean
    /// counts them as zeros, as PyTorch does.
    pub padding: usize,
}

impl Pool {
    /// Windows side by side, without padding.
    #[must_use]
    pub fn tiles(kernel: usize) -> Self {
        Self {
            kernel,
            stride: kernel,
            padding: 0,
        }
    }
}

/// The maximum of each window of images `[n, channels, h, w]`. Among equal maxima the first, row
/// by row, gets the gradient.
///
/// # Errors
/// Candle's error for another rank, windows larger than the padded image, or tensors that are not
/// on the CPU.
pub fn max_pool2d(x: &Tensor, pool: Pool) -> Result<Tensor> {
    pool.out_size(x.shape())?;
    x.contiguous()?.apply_op1(Maximum(pool))
}

/// The mean of each window of images `[n, channels, h, w]`; the divisor is always the full window.
///
/// # Errors
/// As [`max_pool2d`].
pub fn avg_pool2d(x: &Tensor, pool: Pool) -> Result<Tensor> {
    pool.out_size(x.shape())?;
    x.contiguous()?.apply_op1(Mean(pool))
}

impl Pool {
    /// Height and width of the result.
    fn out_size(&self, x: &Shape) -> Result<(usize, usize)> {
        let (_, _, height, width) = x.dims4()?;
        let Self {
            kernel,
            stride,
            padding,
        } = *self;
        if kernel == 0 || stride == 0 || padding > kernel / 2 {
            candle_core::bail!(
                "pool: kernel and stride must be at least 1, the padding at most half a kernel: \
                 {self:?}"
            );
        }
        let padded = (height + 2 * padding, width + 2 * padding);
        if kernel > padded.0 || kernel > padded.1 {
            candle_core::bail!("pool: {self:?} on images {:?}", x.dims());
        }
        Ok((
            (padded.0 - kernel) / stride + 1,
            (padded.1 - kernel) / stride + 1,
        ))
    }

    /// Calls `window(index, points)` for each window of one channel, with the positions inside
    /// the image, row by row.
    fn for_each_window(
        &self,
        (height, width): (usize, usize),
        (out_height, out_width): (usize, usize),
        mut window: impl FnMut(usize, &mut dyn Iterator<Item = usize>),
    ) {
        let inside = |position: usize, size: usize| {
            let start = position * self.stride;
            start.saturating_sub(self.padding)..(start + self.kernel - self.padding).min(size)
        };
        for y in 0..out_height {
            for x in 0..out_width {
                let columns = inside(x, width);
                let mut points = inside(y, height)
                    .flat_map(|row| columns.clone().map(move |column| row * width + column));
                window(y * out_width + x, &mut points);
            }
        }
    }
}

/// The position of the first maximum; a NaN counts as one, so that it is not hidden.
fn first_maximum<T: Float>(values: &[T], points: &mut dyn Iterator<Item = usize>) -> Option<usize> {
    points.reduce(|best, point| {
        let (held, value) = (values[best], values[point]);
        let held_is_nan = held.partial_cmp(&held).is_none();
        let value_is_nan = value.partial_cmp(&value).is_none();
        if !held_is_nan && (value_is_nan || value > held) {
            point
        } else {
            best
        }
    })
}

struct Maximum(Pool);
struct Mean(Pool);

impl CustomOp1 for Maximum {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!(self.name(), x.dtype(), maximum(self.0, x, layout))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        by_type!(self.name(), x.dtype(), spread_maximum(self.0, x, gradient)).map(Some)
    }
}

impl CustomOp1 for Mean {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!(self.name(), x.dtype(), mean(self.0, x, layout))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        by_type!(self.name(), x.dtype(), spread_mean(self.0, x, gradient)).map(Some)
    }
}

fn maximum<T: Float>(pool: Pool, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
    reduce(pool, x, layout, |channel: &[T], points| {
        first_maximum(channel, points).map_or(T::zero(), |point| channel[point])
    })
}

fn mean<T: Float>(pool: Pool, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
    let share = T::from_f64(1.0 / (pool.kernel * pool.kernel) as f64);
    reduce(pool, x, layout, |channel: &[T], points| {
        points.fold(T::zero(), |sum, point| sum + channel[point]) * share
    })
}

fn reduce<T: Float>(
    pool: Pool,
    x: &CpuStorage,
    layout: &Layout,
    value: impl Fn(&[T], &mut dyn Iterator<Item = usize>) -> T,
) -> Result<(CpuStorage, Shape)> {
    let (images, channels, height, width) = layout.shape().dims4()?;
    let out = pool.out_size(layout.shape())?;
    let mut result = Vec::with_capacity(images * channels * out.0 * out.1);
    for channel in elements::<T>(x, layout)?.chunks_exact(height * width) {
        pool.for_each_window((height, width), out, |_, points| {
            result.push(value(channel, points));
        });
    }
    Ok(stored(result, (images, channels, out.0, out.1)))
}

fn spread_maximum<T: Float>(pool: Pool, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    spread(pool, x, gradient, |channel: &[T], points, gradient, to| {
        if let Some(point) = first_maximum(channel, points) {
            to[point] += gradient;
        }
    })
}

fn spread_mean<T: Float>(pool: Pool, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let share = T::from_f64(1.0 / (pool.kernel * pool.kernel) as f64);
    spread(pool, x, gradient, |_: &[T], points, gradient, to| {
        for point in points {
            to[point] += gradient * share;
        }
    })
}

fn spread<T: Float>(
    pool: Pool,
    x: &Tensor,
    gradient: &Tensor,
    add: impl Fn(&[T], &mut dyn Iterator<Item = usize>, T, &mut [T]),
) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    let out = pool.out_size(x.shape())?;
    let (values, gradient) = (copied::<T>(x)?, copied::<T>(gradient)?);
    let mut to_x = vec![T::zero(); values.len()];
    let channels = values.chunks_exact(height * width);
    let gradients = gradient.chunks_exact(out.0 * out.1);
    for ((channel, gradient), to) in channels
        .zip(gradients)
        .zip(to_x.chunks_exact_mut(height * width))
    {
        pool.for_each_window((height, width), out, |index, points| {
            add(channel, points, gradient[index], to);
        });
    }
    Tensor::from_vec(to_x, x.shape(), x.device())
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::nn::assert_gradient;
    use crate::nn::operation::testing::{assert_close, draw};

    const POOLS: [Pool; 5] = [
        Pool {
            kernel: 2,
            stride: 2,
            padding: 0,
        },
        Pool {
            kernel: 3,
            stride: 3,
            padding: 0,
        },
        Pool {
            kernel: 3,
            stride: 2,
            padding: 1,
        },
        Pool {
            kernel: 2,
            stride: 1,
            padding: 1,
        },
        Pool {
            kernel: 1,
            stride: 2,
            padding: 0,
        },
    ];

    #[test]
    fn without_padding_they_are_those_of_candle() {
        let x = draw("x", (2, 3, 7, 8));
        for pool in POOLS.into_iter().filter(|pool| pool.padding == 0) {
            let Pool { kernel, stride, .. } = pool;
            let theirs = x.max_pool2d_with_stride(kernel, stride).unwrap();
            assert_close(&max_pool2d(&x, pool).unwrap(), &theirs, 1e-12);
            let theirs = x.avg_pool2d_with_stride(kernel, stride).unwrap();
            assert_close(&avg_pool2d(&x, pool).unwrap(), &theirs, 1e-12);
        }
    }

    #[test]
    fn padding_is_ignored_by_maxima_and_counts_as_zero_in_means() {
        let x = Tensor::new(&[[[[-1.0, -2.0], [-3.0, -4.0]]]], &Device::Cpu).unwrap();
        let pool = Pool {
            kernel: 2,
            stride: 2,
            padding: 1,
        };
        let flat = |y: Tensor| y.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        assert_eq!(
            flat(max_pool2d(&x, pool).unwrap()),
            [-1.0, -2.0, -3.0, -4.0]
        );
        assert_eq!(
            flat(avg_pool2d(&x, pool).unwrap()),
            [-0.25, -0.5, -0.75, -1.0]
        );
    }

    #[test]
    fn gradients_are_right() {
        // 5 x 5 and 7 x 8 are divisible by neither 2 nor 3.
        for shape in [(2, 2, 5, 5), (1, 2, 7, 8), (1, 1, 6, 6)] {
            for pool in POOLS {
                let x = [draw("x", shape)];
                assert_gradient(&x, 1e-8, |x| max_pool2d(&x[0], pool)?.tanh());
                assert_gradient(&x, 1e-8, |x| avg_pool2d(&x[0], pool)?.tanh());
            }
        }
    }

    #[test]
    fn each_maximum_gets_the_whole_gradient() {
        let x = Var::from_tensor(&draw("x", (1, 1, 6, 6))).unwrap();
        let y = max_pool2d(&x, Pool::tiles(2)).unwrap();
        let gradient = y.backward().unwrap().get(&x).unwrap().clone();
        let gradient: Vec<f64> = gradient.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(gradient.iter().filter(|&&g| g == 1.0).count(), 9);
        assert_eq!(gradient.iter().filter(|&&g| g == 0.0).count(), 27);
    }

    #[test]
    fn a_nan_is_not_hidden() {
        for position in 0..4 {
            let mut values = vec![0.5; 4];
            values[position] = f64::NAN;
            let x = Tensor::from_vec(values, (1, 1, 2, 2), &Device::Cpu).unwrap();
            let y = max_pool2d(&x, Pool::tiles(2)).unwrap();
            assert!(y.flatten_all().unwrap().to_vec1::<f64>().unwrap()[0].is_nan());
        }
    }

    #[test]
    fn windows_that_do_not_fit_are_an_error() {
        let x = draw("x", (1, 1, 3, 3));
        assert!(max_pool2d(&x, Pool::tiles(4)).is_err());
        assert!(avg_pool2d(&x, Pool::tiles(0)).is_err());
        let pool = Pool {
            kernel: 2,
            stride: 1,
            padding: 2,
        };
        assert!(max_pool2d(&x, pool).is_err());
    }
}
