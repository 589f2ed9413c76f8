//! The Gaussian error linear unit.

use std::f64::consts::{PI, SQRT_2};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use statrs::function::erf::erf;

use super::values::{Float, by_type, copied, elements, stored};

/// `x P(X <= x)` for a standard normal `X` (Hendrycks and Gimpel, arXiv 1606.08415): the exact
/// form, not the approximation by a hyperbolic tangent.
///
/// # Errors
/// Candle's error for another type than f32 and f64, or tensors that are not on the CPU.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Gelu)
}

struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!("gelu", x.dtype(), forward(x, layout))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        by_type!("gelu", x.dtype(), backward(x, gradient)).map(Some)
    }
}

fn cumulative(x: f64) -> f64 {
    0.5 * (1.0 + erf(x / SQRT_2))
}

fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
}

fn forward<T: Float>(x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
    let unit = |x: f64| x * cumulative(x);
    let x = elements::<T>(x, layout)?;
    let result: Vec<T> = x.iter().map(|x| T::from_f64(unit(x.to_f64()))).collect();
    Ok(stored(result, layout.shape()))
}

fn backward<T: Float>(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let slope = |x: f64| cumulative(x) + x * density(x);
    let (values, gradient) = (copied::<T>(x)?, copied::<T>(gradient)?);
    let to_x: Vec<T> = values
        .iter()
        .zip(gradient)
        .map(|(x, g)| T::from_f64(slope(x.to_f64()) * g.to_f64()))
        .collect();
    Tensor::from_vec(to_x, x.shape(), x.device())
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::nn::assert_gradient;
    use crate::nn::operation::testing::{assert_close, draw};

    #[test]
    fn it_is_the_definition_and_differentiable() {
        // x P(X <= x) at the quantiles of a table of the normal distribution.
        let x = Tensor::new(&[0.0, 1.0, -1.0, 1.959_963_984_540_054], &Device::Cpu).unwrap();
        let expected = [
            0.0,
            0.841_344_746_068_543,
            -0.158_655_253_931_457,
            0.975 * 1.959_963_984_540_054,
        ];
        let expected = Tensor::new(&expected, &Device::Cpu).unwrap();
        assert_close(&gelu(&x).unwrap(), &expected, 1e-10);
        assert_gradient(&[draw("x", (3, 4))], 1e-8, |x| gelu(&x[0]));
        assert_gradient(&[draw("x", (3, 4))], 1e-8, |x| gelu(&x[0].t()?));
    }
}
