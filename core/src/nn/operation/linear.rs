//! The affine map of a fully connected layer, and the two halves of its backward pass.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

use super::product::{Matrix, multiply};
use super::values::{Float, by_type, elements, same_type, stored, with_elements};

/// `x w^T + b` for `x` of shape `[.., inputs]`, `w` of shape `[outputs, inputs]` and `b` of shape
/// `[outputs]`: the result has the shape `[.., outputs]`.
///
/// It runs on the calling thread. Candle's own layer sums the gradient of the bias over the first
/// axis one column at a time, and starts threads for every product. No gradient is computed for an
/// operand that depends on no variable, such as a batch of data or a frozen weight.
///
/// # Errors
/// Candle's error when shapes or types disagree, or the tensors are not on the CPU.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    same_type("linear", &[x, weight])?;
    let (outputs, inputs) = weight.dims2()?;
    if x.dims().last() != Some(&inputs) {
        candle_core::bail!(
            "linear: the weight {:?} does not fit x {:?}",
            weight.dims(),
            x.dims()
        );
    }
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    match bias {
        None => x.apply_op2(&weight, Linear),
        Some(bias) => {
            same_type("linear", &[&x, bias])?;
            if bias.dims() != [outputs] {
                candle_core::bail!(
                    "linear: the weight {:?} does not fit the bias {:?}",
                    weight.dims(),
                    bias.dims()
                );
            }
            x.apply_op3(&weight, &bias.contiguous()?, Linear)
        }
    }
}

/// The first half of the backward pass of [`linear`]: the gradient in `x`, `gradient w`, for a
/// `gradient` of the result of shape `[.., outputs]`. It has the shape `[.., inputs]`.
///
/// A pipeline schedule with a split backward pass sends this to the previous stage at once, and
/// calls [`linear_weight_gradient`] when there is time.
///
/// # Errors
/// Candle's error when shapes or types disagree, or the tensors are not on the CPU.
pub fn linear_input_gradient(gradient: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let dtype = same_type("linear_input_gradient", &[gradient, weight])?;
    let (outputs, _) = weight.dims2()?;
    if gradient.dims().last() != Some(&outputs) {
        candle_core::bail!(
            "linear_input_gradient: the weight {:?} does not fit the gradient {:?}",
            weight.dims(),
            gradient.dims()
        );
    }
    by_type!("linear", dtype, input_gradient(gradient, weight))
}

/// The second half of the backward pass of [`linear`]: the gradients in the weight,
/// `gradient^T x`, and in the bias, the sum of the rows of `gradient`, for `x` of shape
/// `[.., inputs]` and a `gradient` of the result of shape `[.., outputs]`.
///
/// # Errors
/// Candle's error when shapes or types disagree, or the tensors are not on the CPU.
pub fn linear_weight_gradient(x: &Tensor, gradient: &Tensor) -> Result<(Tensor, Tensor)> {
    let dtype = same_type("linear_weight_gradient", &[x, gradient])?;
    let (Some((_, rows_x)), Some((_, rows_gradient))) =
        (x.dims().split_last(), gradient.dims().split_last())
    else {
        candle_core::bail!("linear_weight_gradient: expected at least one axis");
    };
    if rows_x != rows_gradient {
        candle_core::bail!(
            "linear_weight_gradient: x {:?} does not fit the gradient {:?}",
            x.dims(),
            gradient.dims()
        );
    }
    by_type!("linear", dtype, weight_and_bias_gradient(x, gradient))
}

struct Linear;

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let operands = [(x, x_layout), (weight, weight_layout)];
        by_type!("linear", x.dtype(), forward(operands, None))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dtype = x.dtype();
        let to_weight = match weight.track_op() {
            true => Some(by_type!("linear", dtype, weight_gradient(x, gradient))?),
            false => None,
        };
        Ok((to_input(x, weight, gradient)?, to_weight))
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
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
        let operands = [(x, x_layout), (weight, weight_layout)];
        by_type!(
            "linear",
            x.dtype(),
            forward(operands, Some((bias, bias_layout)))
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
        let to_x = to_input(x, weight, gradient)?;
        if !weight.track_op() && !bias.track_op() {
            return Ok((to_x, None, None));
        }
        let dtype = x.dtype();
        let (to_weight, to_bias) =
            by_type!("linear", dtype, weight_and_bias_gradient(x, gradient))?;
        Ok((to_x, Some(to_weight), Some(to_bias)))
    }
}

/// The gradient in `x`, if there is a variable on whose account it is needed.
fn to_input(x: &Tensor, weight: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
    if !x.track_op() {
        return Ok(None);
    }
    by_type!("linear", x.dtype(), input_gradient(gradient, weight)).map(Some)
}

fn forward<T: Float>(
    operands: [(&CpuStorage, &Layout); 2],
    bias: Option<(&CpuStorage, &Layout)>,
) -> Result<(CpuStorage, Shape)> {
    let [x, weight] = operands.map(|(storage, layout)| elements::<T>(storage, layout));
    let (x, weight) = (x?, weight?);
    let (outputs, inputs) = operands[1].1.shape().dims2()?;
    // All axes but the last are rows of one matrix.
    let mut shape = operands[0].1.dims().to_vec();
    shape.pop();
    let rows = shape.iter().product();
    shape.push(outputs);
    // The product is added to the bias in place: one pass over the result less.
    let mut result: Vec<T>;
    match bias {
        None => result = vec![T::zero(); rows * outputs],
        Some((storage, layout)) => {
            let bias = elements::<T>(storage, layout)?;
            result = Vec::with_capacity(rows * outputs);
            for _ in 0..rows {
                result.extend_from_slice(bias);
            }
        }
    }
    multiply(
        Matrix::new(x, rows, inputs),
        Matrix::new(weight, outputs, inputs).transposed(),
        &mut result,
        bias.is_some(),
    );
    Ok(stored(result, shape))
}

fn input_gradient<T: Float>(gradient: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    let mut shape = gradient.dims().to_vec();
    shape.pop();
    let rows: usize = shape.iter().product();
    shape.push(inputs);
    let to_x = with_elements([gradient, weight], |[gradient, weight]: [&[T]; 2]| {
        let mut to_x = vec![T::zero(); rows * inputs];
        multiply(
            Matrix::new(gradient, rows, outputs),
            Matrix::new(weight, outputs, inputs),
            &mut to_x,
            false,
        );
        Ok(to_x)
    })?;
    Tensor::from_vec(to_x, shape, gradient.device())
}

fn weight_gradient<T: Float>(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let width = |tensor: &Tensor| tensor.dims().last().copied().unwrap_or(0);
    let (inputs, outputs) = (width(x), width(gradient));
    // The rows cannot be counted from the elements when an axis has length 0.
    let rows = x.dims().iter().rev().skip(1).product();
    let to_weight = with_elements([x, gradient], |[x, gradient]: [&[T]; 2]| {
        let mut to_weight = vec![T::zero(); outputs * inputs];
        multiply(
            Matrix::new(gradient, rows, outputs).transposed(),
            Matrix::new(x, rows, inputs),
            &mut to_weight,
            false,
        );
        Ok(to_weight)
    })?;
    Tensor::from_vec(to_weight, (outputs, inputs), x.device())
}

fn weight_and_bias_gradient<T: Float>(x: &Tensor, gradient: &Tensor) -> Result<(Tensor, Tensor)> {
    let outputs = gradient.dims().last().copied().unwrap_or(0);
    let to_bias = with_elements([gradient], |[gradient]: [&[T]; 1]| {
        let mut to_bias = vec![T::zero(); outputs];
        // Row after row, in the order of the memory.
        for row in gradient.chunks_exact(outputs.max(1)) {
            for (sum, &value) in to_bias.iter_mut().zip(row) {
                *sum += value;
            }
        }
        Ok(to_bias)
    })?;
    Ok((
        weight_gradient::<T>(x, gradient)?,
        Tensor::from_vec(to_bias, outputs, gradient.device())?,
    ))
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use candle_core::{DType, Var};

    use super::*;
    use crate::nn::assert_gradient;
    use crate::nn::operation::testing::{assert_close, draw};

    #[test]
    fn it_is_the_layer_of_candle() {
        let (x, w, b) = (draw("x", (2, 5, 3)), draw("w", (4, 3)), draw("b", 4));
        let ours = linear(&x, &w, Some(&b)).unwrap();
        let theirs = x.reshape((10, 3)).unwrap();
        let theirs = theirs.matmul(&w.t().unwrap()).unwrap();
        let theirs = theirs
            .broadcast_add(&b)
            .unwrap()
            .reshape((2, 5, 4))
            .unwrap();
        assert_close(&ours, &theirs, 1e-12);
        // Operands that are not contiguous.
        let turned = draw("x", (3, 10)).t().unwrap();
        let ours = linear(&turned, &w, Some(&b)).unwrap();
        let theirs = turned.matmul(&w.t().unwrap()).unwrap();
        assert_close(&ours, &theirs.broadcast_add(&b).unwrap(), 1e-12);
    }

    #[test]
    fn gradients_are_right() {
        let inputs = [draw("x", (2, 3, 4)), draw("w", (5, 4)), draw("b", 5)];
        assert_gradient(&inputs, 1e-8, |x| linear(&x[0], &x[1], Some(&x[2]))?.tanh());
        let turned = [draw("x", (4, 6)), draw("w", (4, 5)), draw("b", 5)];
        assert_gradient(&turned, 1e-8, |x| {
            linear(&x[0].t()?, &x[1].t()?, Some(&x[2]))?.tanh()
        });
    }

    #[test]
    fn a_bias_is_optional() {
        let inputs = [draw("x", (2, 3, 4)), draw("w", (5, 4))];
        let [x, w] = &inputs;
        let zero = Tensor::zeros(5, x.dtype(), x.device()).unwrap();
        let plain = linear(x, w, None).unwrap();
        assert_close(&plain, &linear(x, w, Some(&zero)).unwrap(), 0.0);
        assert_gradient(&inputs, 1e-8, |x| linear(&x[0], &x[1], None)?.tanh());
    }

    #[test]
    fn the_halves_of_the_backward_pass_make_the_whole() {
        let (x, w, b) = (draw("x", (2, 3, 4)), draw("w", (5, 4)), draw("b", 5));
        let [x, w, b] = [x, w, b].map(|tensor| Var::from_tensor(&tensor).unwrap());
        let result = linear(&x, &w, Some(&b)).unwrap();
        let gradient = draw("gradient", (2, 3, 5));
        let whole = (result * &gradient).unwrap().backward().unwrap();
        let to_x = linear_input_gradient(&gradient, &w).unwrap();
        let (to_w, to_b) = linear_weight_gradient(&x, &gradient).unwrap();
        for (variable, found) in [(&x, to_x), (&w, to_w), (&b, to_b)] {
            assert_close(&found, whole.get(variable).unwrap(), 0.0);
        }
    }

    #[test]
    fn single_precision_is_near_double_precision() {
        // Sums of up to 300 terms of order 100, each rounded to 24 bits.
        let double = [draw("x", (40, 300)), draw("w", (20, 300)), draw("b", 20)];
        let gradients = |dtype| {
            let [x, w, b] = double
                .each_ref()
                .map(|tensor| Var::from_tensor(&tensor.to_dtype(dtype).unwrap()).unwrap());
            let result = linear(&x, &w, Some(&b)).unwrap();
            let all = result.sqr().unwrap().backward().unwrap();
            [&x, &w, &b].map(|variable| all.get(variable).unwrap().clone())
        };
        for (single, double) in gradients(DType::F32).iter().zip(gradients(DType::F64)) {
            assert_close(single, &double, 1e-3);
        }
    }

    #[test]
    fn axes_of_length_zero_are_no_error() {
        let empty = |shape: (usize, usize)| {
            Var::from_tensor(&draw("e", 0).reshape(shape).unwrap()).unwrap()
        };
        let (w, b) = (draw("w", (4, 3)), draw("b", 4));
        let x = empty((0, 3));
        let result = linear(&x, &w, Some(&b)).unwrap();
        assert_eq!(result.dims(), [0, 4]);
        let gradients = result.sum_all().unwrap().backward().unwrap();
        assert_eq!(gradients.get(&x).unwrap().dims(), [0, 3]);
        // No input: the bias alone.
        let (x, w) = (draw("e", 0).reshape((2, 0)).unwrap(), empty((4, 0)));
        let result = linear(&x, &w, Some(&b)).unwrap();
        assert_close(&result, &b.broadcast_as((2, 4)).unwrap(), 0.0);
        assert_eq!(
            linear_weight_gradient(&x, &result).unwrap().0.dims(),
            [4, 0]
        );
    }

    #[test]
    fn constants_get_no_gradient() {
        let (x, w, b) = (draw("x", (2, 3)), draw("w", (4, 3)), draw("b", 4));
        let variable = Var::from_tensor(&x).unwrap();
        let gradients = linear(&variable, &w, Some(&b)).unwrap().backward().unwrap();
        assert!(gradients.get(&variable).is_some() && gradients.get(&w).is_none());
        let variable = Var::from_tensor(&w).unwrap();
        let gradients = linear(&x, &variable, None).unwrap().backward().unwrap();
        assert!(gradients.get(&variable).is_some() && gradients.get(&x).is_none());
    }

    #[test]
    fn shapes_that_do_not_fit_are_named() {
        let (x, w, b) = (draw("x", (2, 3)), draw("w", (4, 5)), draw("b", 3));
        let error = linear(&x, &w, Some(&b)).unwrap_err();
        assert!(error.to_string().contains("x [2, 3]"), "{error}");
        let error = linear(&draw("x", (2, 5)), &w, Some(&b)).unwrap_err();
        assert!(error.to_string().contains("bias [3]"), "{error}");
        let error = linear_input_gradient(&x, &w).unwrap_err();
        assert!(error.to_string().contains("gradient [2, 3]"), "{error}");
        let error = linear_weight_gradient(&x, &w).unwrap_err();
        assert!(error.to_string().contains("gradient [4, 5]"), "{error}");
    }
}
