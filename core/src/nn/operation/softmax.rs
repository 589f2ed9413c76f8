//! Softmax and its logarithm, over the last axis.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::values::{Float, by_type, elements, stored, with_elements};
use crate::nn::vector::{Arithmetic, maximum, sum, sum_of_pairs, vectorized};

/// `exp(x) / sum exp(x)` over the last axis. Candle's `softmax_last_dim` drops the gradient.
///
/// # Errors
/// Candle's error for a tensor without axes, of another type than f32 and f64, or not on the CPU.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    apply(x, Softmax { logarithm: false })
}

/// The logarithm of [`softmax`], computed without its overflow.
///
/// # Errors
/// As [`softmax`].
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    apply(x, Softmax { logarithm: true })
}

fn apply(x: &Tensor, operation: Softmax) -> Result<Tensor> {
    if x.rank() == 0 {
        candle_core::bail!("{}: expected at least one axis", operation.name());
    }
    x.contiguous()?.apply_op1(operation)
}

struct Softmax {
    logarithm: bool,
}

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        if self.logarithm {
            "log_softmax"
        } else {
            "softmax"
        }
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!(self.name(), x.dtype(), forward(self.logarithm, x, layout))
    }

    fn bwd(&self, _x: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let dtype = result.dtype();
        by_type!(
            self.name(),
            dtype,
            backward(self.logarithm, result, gradient)
        )
        .map(Some)
    }
}

fn forward<T: Float>(
    logarithm: bool,
    x: &CpuStorage,
    layout: &Layout,
) -> Result<(CpuStorage, Shape)> {
    let x = elements::<T>(x, layout)?;
    let width = layout.dims().last().map_or(1, |&width| width.max(1));
    let mut result = vec![T::zero(); x.len()];
    vectorized(
        #[inline(always)]
        |arithmetic| {
            for (row, result) in x.chunks_exact(width).zip(result.chunks_exact_mut(width)) {
                let (largest, total) = exponentials(arithmetic, row, result);
                // The logarithm is taken of the sum, not of each quotient, which may be 0.
                if logarithm {
                    // One after the other: beside large logits their sum would lose the logarithm.
                    let logarithm = T::from_f64(total.ln());
                    for (y, &x) in result.iter_mut().zip(row) {
                        *y = (x - largest) - logarithm;
                    }
                } else {
                    let factor = T::from_f64(total.recip());
                    for y in result {
                        *y *= factor;
                    }
                }
            }
        },
    );
    Ok(stored(result, layout.shape()))
}

/// Writes `exp(x - largest)` and returns the largest element and the sum of what was written. Rows
/// are subtracted in `T`, where the difference of near numbers is exact.
#[inline(always)]
pub(super) fn exponentials<T: Float>(
    arithmetic: Arithmetic,
    row: &[T],
    powers: &mut [T],
) -> (T, f64) {
    let largest = maximum(row);
    for (power, &x) in powers.iter_mut().zip(row) {
        *power = (x - largest).exp_nonpositive(arithmetic);
    }
    (
        largest,
        sum(
            powers,
            #[inline(always)]
            |power| power,
        ),
    )
}

/// With `y` the result and `g` its gradient: `y (g - sum y g)`, or `g - exp(y) sum g`.
fn backward<T: Float>(logarithm: bool, result: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let width = result.dims().last().map_or(1, |&width| width.max(1));
    let mut to_x = Vec::with_capacity(result.elem_count());
    let mut block = vec![T::zero(); width];
    with_elements([result, gradient], |[results, gradients]: [&[T]; 2]| {
        vectorized(
            #[inline(always)]
            |arithmetic| {
                let rows = results.chunks_exact(width);
                for (row, gradient) in rows.zip(gradients.chunks_exact(width)) {
                    // Here y is the logarithm, so that exp(y) is the softmax.
                    if logarithm {
                        let total = sum(
                            gradient,
                            #[inline(always)]
                            |g| g,
                        );
                        let total = T::from_f64(total);
                        for ((to, &y), &g) in block.iter_mut().zip(row).zip(gradient) {
                            *to = g - y.exp_nonpositive(arithmetic) * total;
                        }
                    } else {
                        // The derivative of the softmax: y (g - sum y g).
                        let total = sum_of_pairs(
                            row,
                            gradient,
                            #[inline(always)]
                            |y, g| y * g,
                        );
                        let total = T::from_f64(total);
                        for ((to, &y), &g) in block.iter_mut().zip(row).zip(gradient) {
                            *to = y * (g - total);
                        }
                    }
                    to_x.extend_from_slice(&block);
                }
            },
        );
        Ok(())
    })?;
    Tensor::from_vec(to_x, result.shape(), result.device())
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::nn::assert_gradient;
    use crate::nn::operation::testing::{assert_close, assert_f32_gradient, draw, values};

    #[test]
    fn they_are_those_of_candle_and_differentiable() {
        let x = draw("x", (2, 3, 5));
        let theirs = candle_nn::ops::softmax(&x, 2).unwrap();
        assert_close(&softmax(&x).unwrap(), &theirs, 1e-12);
        let theirs = candle_nn::ops::log_softmax(&x, 2).unwrap();
        assert_close(&log_softmax(&x).unwrap(), &theirs, 1e-12);
        assert_gradient(std::slice::from_ref(&x), 1e-8, |x| softmax(&x[0])?.sqr());
        assert_gradient(&[x], 1e-8, |x| log_softmax(&x[0])?.sqr());
        let turned = draw("x", (5, 3));
        assert_gradient(&[turned], 1e-8, |x| softmax(&x[0].t()?)?.sqr());
    }

    #[test]
    fn f32_follows_f64() {
        for width in [1, 2, 17, 600] {
            let x = (draw("x", (5, width)) * 3.0).unwrap();
            let single = x.to_dtype(DType::F32).unwrap();
            assert_close(&softmax(&single).unwrap(), &softmax(&x).unwrap(), 1e-6);
            assert_close(
                &log_softmax(&single).unwrap(),
                &log_softmax(&x).unwrap(),
                1e-6,
            );
            assert_f32_gradient(std::slice::from_ref(&x), 2e-6, |x| softmax(&x[0]));
            assert_f32_gradient(&[x], 2e-6, |x| log_softmax(&x[0]));
        }
        assert_f32_gradient(&[draw("x", (5, 40))], 2e-6, |x| softmax(&x[0].t()?));
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let x = Tensor::new(&[[1e4f32, 0.0], [-1e4, -1e4]], &Device::Cpu).unwrap();
        assert_eq!(values(&softmax(&x).unwrap()), [1.0, 0.0, 0.5, 0.5]);
        let half = f64::from(0.5f32.ln());
        assert_eq!(values(&log_softmax(&x).unwrap()), [0.0, -1e4, half, half]);
        let equal = Tensor::full(1e8f32, 2, &Device::Cpu).unwrap();
        assert_eq!(values(&log_softmax(&equal).unwrap()), [half, half]);
        let masked = Tensor::new(&[f32::NEG_INFINITY, 1.0, f32::MIN], &Device::Cpu).unwrap();
        assert_eq!(values(&softmax(&masked).unwrap()), [0.0, 1.0, 0.0]);
        let unknown = Tensor::new(&[f32::NAN, 1.0], &Device::Cpu).unwrap();
        assert!(
            values(&softmax(&unknown).unwrap())
                .iter()
                .all(|y| y.is_nan())
        );
    }

    #[test]
    fn empty_tensors_stay_empty_and_numbers_are_refused() {
        for shape in [(0, 3), (3, 0)] {
            let nothing = Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
            assert_eq!(softmax(&nothing).unwrap().elem_count(), 0);
            assert_eq!(log_softmax(&nothing).unwrap().elem_count(), 0);
        }
        assert!(softmax(&Tensor::new(1f32, &Device::Cpu).unwrap()).is_err());
    }
}
