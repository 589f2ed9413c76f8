//! Activations.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::values::{Float, by_type, elements, stored, with_elements};
use crate::nn::vector::map;

/// `x P(X <= x)` for a standard normal `X` (Hendrycks and Gimpel, arXiv 1606.08415): the exact
/// form, not the approximation by a hyperbolic tangent. In f32 within 7 ulp, in the lower tail too.
///
/// # Errors
/// Candle's error for another type than f32 and f64, or tensors that are not on the CPU.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Gelu)
}

/// `max(x, 0)`, with the slope 0 at 0, as in PyTorch; candle's is 1.
///
/// # Errors
/// As [`gelu`].
pub fn relu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Relu)
}

struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!("gelu", x.dtype(), gelu_forward(x, layout))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        by_type!("gelu", x.dtype(), gelu_backward(x, gradient)).map(Some)
    }
}

fn gelu_forward<T: Float>(x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
    let x = elements::<T>(x, layout)?;
    let [result] = map(
        [x],
        #[inline(always)]
        move |arithmetic, [x]| [bounded_below(x) * x.normal(arithmetic).0],
    );
    Ok(stored(result, layout.shape()))
}

fn gelu_backward<T: Float>(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let [to_x] = with_elements([x, gradient], |[values, gradient]| {
        Ok(map(
            [values, gradient],
            #[inline(always)]
            move |arithmetic, [x, g]: [T; 2]| {
                // d/dx x P(x) = P(x) + x p(x). In both tails p is 0, so that x can be bounded to
                // +-100.
                let (cumulative, density) = x.normal(arithmetic);
                [(cumulative + -bounded_below(-bounded_below(x)) * density) * g]
            },
        ))
    })?;
    Tensor::from_vec(to_x, x.shape(), x.device())
}

/// `max(x, -100)`: below, the factor beside it is 0 in both precisions, and must not meet an infinity.
#[inline(always)]
fn bounded_below<T: Float>(x: T) -> T {
    let bound = T::from_f64(-100.0);
    if x < bound { bound } else { x }
}

struct Relu;

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!("relu", x.dtype(), relu_forward(x, layout))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        by_type!("relu", x.dtype(), relu_backward(x, gradient)).map(Some)
    }
}

fn relu_forward<T: Float>(x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
    let x = elements::<T>(x, layout)?;
    // In this form NaN stays NaN.
    let [result] = map(
        [x],
        #[inline(always)]
        move |_, [x]| [if x < T::zero() { T::zero() } else { x }],
    );
    Ok(stored(result, layout.shape()))
}

fn relu_backward<T: Float>(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    // The slope at 0 is 0. A NaN is not <= 0: its gradient passes.
    let [to_x] = with_elements([x, gradient], |[values, gradient]| {
        Ok(map(
            [values, gradient],
            #[inline(always)]
            move |_, [x, g]: [T; 2]| [if x <= T::zero() { T::zero() } else { g }],
        ))
    })?;
    Tensor::from_vec(to_x, x.shape(), x.device())
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::nn::assert_gradient;
    use crate::nn::operation::testing::{
        assert_close, assert_f32_gradient, draw, extremes, gradient_of, values,
    };

    #[test]
    fn gelu_is_the_definition_and_differentiable() {
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
        assert_f32_gradient(&[draw("x", (40, 50))], 1e-6, |x| gelu(&x[0]));
        assert_f32_gradient(&[draw("x", (7, 3))], 1e-6, |x| gelu(&x[0].t()?));
    }

    #[test]
    fn gelu_of_f32_follows_f64_into_the_tail() {
        let x: Vec<f64> = (-1250..1250).map(|i| f64::from(i) / 100.0).collect();
        let x = Tensor::new(x, &Device::Cpu).unwrap();
        let found = values(&gelu(&x.to_dtype(DType::F32).unwrap()).unwrap());
        // The lower tail of the f64 form is a difference of numbers near 1: absolute there.
        let x = values(&x);
        for (found, x) in found.iter().zip(x) {
            let x = f64::from(x as f32);
            let root = std::f64::consts::SQRT_2;
            let exact = x * 0.5 * statrs::function::erf::erfc(-x / root);
            assert!(
                (found / exact - 1.0).abs() < 8e-7 || x == 0.0,
                "{x}: {found}, {exact}"
            );
        }
    }

    #[test]
    fn activations_at_extremes_and_of_nothing() {
        let x = extremes();
        let (infinity, largest) = (f64::INFINITY, f64::from(f32::MAX));
        assert_eq!(
            values(&x),
            [-infinity, -largest, -0.0, 0.0, largest, infinity]
        );
        let limits = [0.0, 0.0, 0.0, 0.0, largest, infinity];
        assert_eq!(values(&gelu(&x).unwrap()), limits);
        assert_eq!(values(&relu(&x).unwrap()), limits);
        assert_eq!(gradient_of(&x, gelu), [0.0, 0.0, 0.5, 0.5, 1.0, 1.0]);
        assert_eq!(gradient_of(&x, relu), [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
        let nan = Tensor::new(&[f32::NAN], &Device::Cpu).unwrap();
        assert!(values(&gelu(&nan).unwrap())[0].is_nan());
        assert!(values(&relu(&nan).unwrap())[0].is_nan());
        let nothing = Tensor::zeros((0, 3), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(gelu(&nothing).unwrap().dims(), [0, 3]);
        assert_eq!(relu(&nothing).unwrap().dims(), [0, 3]);
        let integers = Tensor::new(&[1u32], &Device::Cpu).unwrap();
        assert!(gelu(&integers).is_err());
    }

    #[test]
    fn relu_is_differentiable() {
        assert_gradient(&[draw("x", (3, 4))], 1e-8, |x| relu(&x[0])?.sqr());
        assert_gradient(&[draw("x", (3, 4))], 1e-8, |x| relu(&x[0].t()?)?.sqr());
        assert_f32_gradient(&[draw("x", (40, 50))], 1e-6, |x| relu(&x[0])?.sqr());
    }
}
