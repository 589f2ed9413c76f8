//! A bound on the norm of all gradients together.

use candle_core::Tensor;

use crate::nn::operation::{Float, by_type, with_elements};
use crate::nn::vector::{map, sum, vectorized};
use crate::nn::{NnError, TensorMap};

/// The square root of the sum of the squares of all elements of all tensors.
///
/// The sum is taken over the tensors in the order of their names, in f64 between blocks: the same in every
/// run. Squares are taken in the type of the tensor; where they overflow in f32, those of the
/// tensor are taken in f64.
///
/// # Errors
/// Candle's error for types other than f32 and f64, or tensors that are not on the CPU.
pub fn global_norm(tensors: &TensorMap) -> Result<f64, NnError> {
    let mut total = 0.0;
    for tensor in tensors.values() {
        total += by_type!("global_norm", tensor.dtype(), squares(tensor))?;
    }
    Ok(total.sqrt())
}

/// All gradients, scaled so that their [`global_norm`] is at most `bound`, and that norm before
/// scaling. Where nothing is to be scaled, the tensors are those that came, without a copy.
///
/// As in PyTorch's `clip_grad_norm_`, the factor is `bound / (norm + 1e-6)`.
///
/// # Errors
/// As [`global_norm`].
pub fn clip_grad_norm(gradients: &TensorMap, bound: f64) -> Result<(TensorMap, f64), NnError> {
    let norm = global_norm(gradients)?;
    let factor = bound / (norm + 1e-6);
    // A norm of NaN goes on: the result is NaN then, not a gradient that was never clipped.
    if factor >= 1.0 {
        return Ok((gradients.clone(), norm));
    }
    let mut clipped = TensorMap::new();
    for (name, gradient) in gradients {
        let scaled = by_type!("clip_grad_norm", gradient.dtype(), scaled(gradient, factor))?;
        clipped.insert(name.clone(), scaled);
    }
    Ok((clipped, norm))
}

fn squares<T: Float>(tensor: &Tensor) -> candle_core::Result<f64> {
    with_elements([tensor], |[values]: [&[T]; 1]| {
        let total = vectorized(
            #[inline(always)]
            |_| {
                sum(
                    values,
                    #[inline(always)]
                    |x| x * x,
                )
            },
        );
        // Squares of f32 below 1e-38 vanish and those above 1e38 are infinite.
        if total.is_finite() && total > 1e-20 {
            return Ok(total);
        }
        Ok(values.iter().map(|x| x.to_f64() * x.to_f64()).sum())
    })
}

fn scaled<T: Float>(tensor: &Tensor, factor: f64) -> candle_core::Result<Tensor> {
    let factor = T::from_f64(factor);
    let [values] = with_elements([tensor], |elements| {
        Ok(map(
            elements,
            #[inline(always)]
            move |_, [x]: [T; 1]| [x * factor],
        ))
    })?;
    Tensor::from_vec(values, tensor.shape(), tensor.device())
}
