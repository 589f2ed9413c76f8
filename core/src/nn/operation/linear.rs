//! The affine map of a fully connected layer.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::product::{Matrix, multiply};
use super::values::{Float, by_type, copied, elements, same_type, stored};

/// `x w^T + b` for `x` of shape `[.., inputs]`, `w` of shape `[outputs, inputs]` and `b` of shape
/// `[outputs]`: the result has the shape `[.., outputs]`.
///
/// It runs on the calling thread. Candle's own layer sums the gradient of the bias over the first
/// axis one column at a time, and starts threads for every product. No gradient is computed for an
/// `x` that depends on no variable, such as a batch of data.
///
/// # Errors
/// Candle's error when shapes or types disagree, or the tensors are not on the CPU.
pub fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    same_type("linear", &[x, weight, bias])?;
    let (outputs, inputs) = weight.dims2()?;
    if x.dims().last() != Some(&inputs) || bias.dims() != [outputs] {
        candle_core::bail!(
            "linear: the weight {:?} fits neither x {:?} nor the bias {:?}",
            weight.dims(),
            x.dims(),
            bias.dims()
        );
    }
    x.contiguous()?
        .apply_op3(&weight.contiguous()?, &bias.contiguous()?, Linear)
}

struct Linear;

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
        let operands = [(x, x_layout), (weight, weight_layout), (bias, bias_layout)];
        by_type!("linear", x.dtype(), forward(operands))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        by_type!("linear", x.dtype(), backward(x, weight, gradient))
    }
}

fn forward<T: Float>(operands: [(&CpuStorage, &Layout); 3]) -> Result<(CpuStorage, Shape)> {
    let [x, weight, bias] = operands.map(|(storage, layout)| elements::<T>(storage, layout));
    let (x, weight, bias) = (x?, weight?, bias?);
    let (outputs, inputs) = operands[1].1.shape().dims2()?;
    let mut shape = operands[0].1.dims().to_vec();
    shape.pop();
    let rows = shape.iter().product();
    shape.push(outputs);
    let mut result: Vec<T> = Vec::with_capacity(rows * outputs);
    for _ in 0..rows {
        result.extend_from_slice(bias);
    }
    multiply(
        Matrix::new(x, rows, inputs),
        Matrix::new(weight, outputs, inputs).transposed(),
        &mut result,
        true,
    );
    Ok(stored(result, shape))
}

type Gradients = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

fn backward<T: Float>(x: &Tensor, weight: &Tensor, gradient: &Tensor) -> Result<Gradients> {
    let (outputs, inputs) = weight.dims2()?;
    let device = x.device();
    let gradient = copied::<T>(gradient)?;
    let rows = gradient.len() / outputs.max(1);
    let by_row = Matrix::new(&gradient, rows, outputs);

    let mut to_weight = vec![T::zero(); outputs * inputs];
    let x_values = copied::<T>(x)?;
    let x_matrix = Matrix::new(&x_values, rows, inputs);
    multiply(by_row.transposed(), x_matrix, &mut to_weight, false);

    let mut to_bias = vec![T::zero(); outputs];
    for row in gradient.chunks_exact(outputs.max(1)) {
        for (sum, &value) in to_bias.iter_mut().zip(row) {
            *sum += value;
        }
    }

    let to_x = if x.track_op() {
        let mut to_x = vec![T::zero(); x.elem_count()];
        let weight = copied::<T>(weight)?;
        multiply(
            by_row,
            Matrix::new(&weight, outputs, inputs),
            &mut to_x,
            false,
        );
        Some(Tensor::from_vec(to_x, x.shape(), device)?)
    } else {
        None
    };
    Ok((
        to_x,
        Some(Tensor::from_vec(to_weight, weight.shape(), device)?),
        Some(Tensor::from_vec(to_bias, outputs, device)?),
    ))
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use super::*;
    use crate::nn::assert_gradient;
    use crate::nn::operation::testing::{assert_close, draw};

    #[test]
    fn it_is_the_layer_of_candle() {
        let (x, w, b) = (draw("x", (2, 5, 3)), draw("w", (4, 3)), draw("b", 4));
        let ours = linear(&x, &w, &b).unwrap();
        let theirs = x.reshape((10, 3)).unwrap();
        let theirs = theirs.matmul(&w.t().unwrap()).unwrap();
        let theirs = theirs
            .broadcast_add(&b)
            .unwrap()
            .reshape((2, 5, 4))
            .unwrap();
        assert_close(&ours, &theirs, 1e-12);
        // Operands that do not lie in order.
        let turned = draw("x", (3, 10)).t().unwrap();
        let ours = linear(&turned, &w, &b).unwrap();
        let theirs = turned.matmul(&w.t().unwrap()).unwrap();
        assert_close(&ours, &theirs.broadcast_add(&b).unwrap(), 1e-12);
    }

    #[test]
    fn gradients_are_right() {
        let inputs = [draw("x", (2, 3, 4)), draw("w", (5, 4)), draw("b", 5)];
        assert_gradient(&inputs, 1e-8, |x| linear(&x[0], &x[1], &x[2])?.tanh());
        let turned = [draw("x", (4, 6)), draw("w", (4, 5)), draw("b", 5)];
        assert_gradient(&turned, 1e-8, |x| {
            linear(&x[0].t()?, &x[1].t()?, &x[2])?.tanh()
        });
    }

    #[test]
    fn shapes_that_do_not_fit_are_named() {
        let error = linear(&draw("x", (2, 3)), &draw("w", (4, 5)), &draw("b", 4)).unwrap_err();
        assert!(error.to_string().contains("x [2, 3]"), "{error}");
    }
}
