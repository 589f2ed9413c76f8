//! Softmax and its logarithm, over the last axis.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::values::{Float, by_type, copied, elements, stored};

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
    let mut result = Vec::with_capacity(x.len());
    let mut powers = vec![0.0; width];
    for row in x.chunks_exact(width) {
        let largest = row
            .iter()
            .fold(f64::NEG_INFINITY, |largest, x| largest.max(x.to_f64()));
        let mut sum = 0.0;
        for (power, x) in powers.iter_mut().zip(row) {
            *power = (x.to_f64() - largest).exp();
            sum += *power;
        }
        if logarithm {
            let total = largest + sum.ln();
            result.extend(row.iter().map(|x| T::from_f64(x.to_f64() - total)));
        } else {
            result.extend(powers.iter().map(|power| T::from_f64(power / sum)));
        }
    }
    Ok(stored(result, layout.shape()))
}

/// With `y` the result and `g` its gradient: `y (g - sum y g)`, or `g - exp(y) sum g`.
fn backward<T: Float>(logarithm: bool, result: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let width = result.dims().last().map_or(1, |&width| width.max(1));
    let (y, g) = (copied::<T>(result)?, copied::<T>(gradient)?);
    let mut to_x = Vec::with_capacity(y.len());
    for (y, g) in y.chunks_exact(width).zip(g.chunks_exact(width)) {
        let pairs = || y.iter().zip(g).map(|(y, g)| (y.to_f64(), g.to_f64()));
        if logarithm {
            let sum: f64 = pairs().map(|(_, g)| g).sum();
            to_x.extend(pairs().map(|(y, g)| T::from_f64(g - y.exp() * sum)));
        } else {
            let sum: f64 = pairs().map(|(y, g)| y * g).sum();
            to_x.extend(pairs().map(|(y, g)| T::from_f64(y * (g - sum))));
        }
    }
    Tensor::from_vec(to_x, result.shape(), result.device())
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::nn::assert_gradient;
    use crate::nn::operation::testing::{assert_close, draw};

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
    fn large_logits_do_not_overflow() {
        let x = Tensor::new(&[[1e4f32, 0.0], [-1e4, -1e4]], &Device::Cpu).unwrap();
        let y: Vec<f32> = softmax(&x)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        assert_eq!(y, [1.0, 0.0, 0.5, 0.5]);
        let y: Vec<f32> = log_softmax(&x)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        assert_eq!(y[..2], [0.0, -1e4]);
    }
}
