//! A loss of regression that outliers do not dominate.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::values::{Float, by_type, elements, same_type, stored, with_elements};
use crate::nn::vector::{map, sum_of_pairs, vectorized};

/// The mean over all elements of Huber's loss of the error `e = prediction - target` (Annals of
/// Mathematical Statistics 35, 1964), in the form of PyTorch's `huber_loss`:
///
/// ```text
/// e^2 / 2  where |e| <= delta,    delta (|e| - delta / 2)  elsewhere
/// ```
///
/// Both tensors have one shape and type; gradients go to both. The mean of nothing is NaN.
///
/// # Errors
/// Candle's error when shapes or types disagree, `delta` is not positive and finite, or tensors are
/// not on the CPU.
pub fn huber(prediction: &Tensor, target: &Tensor, delta: f64) -> Result<Tensor> {
    same_type("huber", &[prediction, target])?;
    if prediction.dims() != target.dims() {
        candle_core::bail!(
            "huber: prediction {:?} for target {:?}",
            prediction.dims(),
            target.dims()
        );
    }
    if !(delta.is_finite() && delta > 0.0) {
        candle_core::bail!("huber: expected a positive delta, found {delta}");
    }
    prediction
        .contiguous()?
        .apply_op2(&target.contiguous()?, Huber { delta })
}

struct Huber {
    delta: f64,
}

impl CustomOp2 for Huber {
    fn name(&self) -> &'static str {
        "huber"
    }

    fn cpu_fwd(
        &self,
        prediction: &CpuStorage,
        prediction_layout: &Layout,
        target: &CpuStorage,
        target_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let operands = [(prediction, prediction_layout), (target, target_layout)];
        by_type!("huber", prediction.dtype(), forward(self.delta, operands))
    }

    fn bwd(
        &self,
        prediction: &Tensor,
        target: &Tensor,
        _loss: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        by_type!(
            "huber",
            prediction.dtype(),
            backward(self.delta, prediction, target, gradient)
        )
    }
}

fn forward<T: Float>(
    delta: f64,
    operands: [(&CpuStorage, &Layout); 2],
) -> Result<(CpuStorage, Shape)> {
    let [prediction, target] = operands.map(|(storage, layout)| elements::<T>(storage, layout));
    let (prediction, target) = (prediction?, target?);
    let (delta, half) = (T::from_f64(delta), T::from_f64(0.5));
    let total = vectorized(
        #[inline(always)]
        |_| {
            sum_of_pairs(
                prediction,
                target,
                #[inline(always)]
                |prediction, target| {
                    let error = magnitude(prediction - target);
                    // Written so that the branch not taken does not overflow, and NaN stays NaN.
                    if error > delta {
                        delta * (error - half * delta)
                    } else {
                        half * error * error
                    }
                },
            )
        },
    );
    let mean = total / prediction.len() as f64;
    Ok(stored(vec![T::from_f64(mean)], ()))
}

/// The error, kept within `delta` on both sides, over the number of elements.
fn backward<T: Float>(
    delta: f64,
    prediction: &Tensor,
    target: &Tensor,
    gradient: &Tensor,
) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let factor = with_elements([gradient], |[gradient]: [&[T]; 1]| Ok(gradient[0].to_f64()))?;
    let factor = T::from_f64(factor / prediction.elem_count() as f64);
    let delta = T::from_f64(delta);
    let [to_prediction] = with_elements([prediction, target], |[prediction, target]| {
        Ok(map(
            [prediction, target],
            #[inline(always)]
            move |_, [prediction, target]: [T; 2]| {
                let error = prediction - target;
                // Comparisons instead of minimum and maximum, which would turn NaN into a bound.
                let below = if error > delta { delta } else { error };
                [factor * if below < -delta { -delta } else { below }]
            },
        ))
    })?;
    let to_prediction = Tensor::from_vec(to_prediction, prediction.shape(), prediction.device())?;
    let to_target = if target.track_op() {
        Some(to_prediction.neg()?)
    } else {
        None
    };
    Ok((Some(to_prediction), to_target))
}

#[inline(always)]
fn magnitude<T: Float>(x: T) -> T {
    if x < T::zero() { -x } else { x }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::nn::assert_gradient;
    use crate::nn::operation::testing::{
        assert_close, assert_f32_gradient, draw, gradient_of, values,
    };

    #[test]
    fn it_is_the_definition_and_differentiable() {
        let pair = [draw("x", (4, 6)), draw("y", (4, 6))];
        for delta in [0.3, 1.0, 50.0] {
            let expected: f64 = values(&pair[0])
                .iter()
                .zip(values(&pair[1]))
                .map(|(x, y)| match (x - y).abs() {
                    e if e <= delta => 0.5 * e * e,
                    e => delta * (e - 0.5 * delta),
                })
                .sum();
            let expected = Tensor::new(expected / 24.0, &Device::Cpu).unwrap();
            assert_close(&huber(&pair[0], &pair[1], delta).unwrap(), &expected, 1e-12);
            assert_gradient(&pair, 1e-8, |x| huber(&x[0], &x[1], delta)?.sqr());
            assert_f32_gradient(&pair, 1e-6, |x| huber(&x[0].t()?, &x[1].t()?, delta));
        }
    }

    #[test]
    fn outliers_pull_with_delta() {
        let x = Tensor::new(&[f32::INFINITY, f32::MAX, 0.5, -1e30], &Device::Cpu).unwrap();
        let zeros = x.zeros_like().unwrap();
        let found = gradient_of(&x, |x| huber(x, &zeros, 1.0)? * 4.0);
        assert_eq!(found, [1.0, 1.0, 0.5, -1.0]);
        let nan = Tensor::new(&[f32::NAN], &Device::Cpu).unwrap();
        assert!(values(&huber(&nan, &nan, 1.0).unwrap())[0].is_nan());
    }

    #[test]
    fn mistakes_are_named_and_the_mean_of_nothing_is_none() {
        let x = draw("x", 3);
        assert!(huber(&x, &draw("y", 4), 1.0).is_err());
        for delta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(huber(&x, &x, delta).is_err());
        }
        let nothing = Tensor::zeros(0, DType::F32, &Device::Cpu).unwrap();
        let loss = huber(&nothing, &nothing, 1.0).unwrap();
        assert!(values(&loss)[0].is_nan());
    }
}
