//! The vector-Jacobian product: a backward pass from given gradients of several outputs.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// The gradients of `inputs`, when those of `outputs` are `output_gradients`: the sum over the
/// outputs of their gradient times their Jacobian. One backward pass serves all outputs.
///
/// `Tensor::backward` of candle starts from a gradient of ones. This starts from gradients that
/// come from elsewhere: the next stage of a pipeline, or a loss that was computed by other code.
/// Run in two pieces, where the second begins with variables (`Var::from_tensor`) for the results
/// of the first, a backward pass gives the same bits as in one piece.
///
/// Inputs are variables (`Var`), at the start of the graph or inside it: candle keeps no other
/// gradients, and an intermediate result becomes a variable by `Var::from_tensor`, which also ends
/// the graph there. An input on which no output depends has no gradient: `None`, not zeros.
///
/// # Errors
/// Candle's error when the numbers of outputs and gradients differ, a gradient has another shape
/// or type than its output, an input is a result of operations, an operation on the way has no
/// backward pass, or a tensor is not on the CPU.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use septet_core::nn::vjp;
///
/// let x = Var::new(&[1.0, 2.0, 3.0], &Device::Cpu)?;
/// let gradient = Tensor::new(&[1.0, 0.5, 0.0], &Device::Cpu)?;
/// let gradients = vjp(&[&x.sqr()?], &[&gradient], &[&x])?;
/// let to_x = gradients[0].as_ref().expect("x is used");
/// assert_eq!(to_x.to_vec1::<f64>()?, [2.0, 2.0, 0.0]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn vjp(
    outputs: &[&Tensor],
    output_gradients: &[&Tensor],
    inputs: &[&Tensor],
) -> Result<Vec<Option<Tensor>>> {
    if outputs.len() != output_gradients.len() {
        candle_core::bail!(
            "vjp: {} outputs, but {} gradients",
            outputs.len(),
            output_gradients.len()
        );
    }
    if let Some(index) = (inputs.iter()).position(|input| !input.is_variable() && input.track_op())
    {
        candle_core::bail!(
            "vjp: input {index} is the result of an operation; make it a variable before it is used"
        );
    }
    // A root whose value means nothing and whose backward pass hands each output its gradient.
    let mut root: Option<Tensor> = None;
    for (index, (output, gradient)) in outputs.iter().zip(output_gradients).enumerate() {
        if gradient.shape() != output.shape() || gradient.dtype() != output.dtype() {
            candle_core::bail!(
                "vjp: gradient {index} is {:?} {:?} for an output {:?} {:?}",
                gradient.dtype(),
                gradient.dims(),
                output.dtype(),
                output.dims()
            );
        }
        if !output.track_op() {
            continue;
        }
        // The gradient is a constant here, even if it was computed with variables.
        let start = output.apply_op1(Start {
            gradient: gradient.detach(),
        })?;
        root = Some(match root {
            None => start,
            Some(root) => (root + start)?,
        });
    }
    let Some(root) = root else {
        return Ok(vec![None; inputs.len()]);
    };
    // Backward starts with one, which the additions hand on to every `Start`.
    let gradients = root.backward()?;
    Ok((inputs.iter().map(|input| gradients.get(input).cloned())).collect())
}

/// Forward a zero; backward the gradient that was given.
struct Start {
    gradient: Tensor,
}

impl CustomOp1 for Start {
    fn name(&self) -> &'static str {
        "vjp"
    }

    fn cpu_fwd(&self, _output: &CpuStorage, _layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), Shape::from(())))
    }

    fn bwd(&self, _output: &Tensor, _zero: &Tensor, _one: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(self.gradient.clone()))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;
    use crate::nn::{gelu, linear, softmax};

    fn variable(shape: (usize, usize), phase: f64) -> Var {
        let count = shape.0 * shape.1;
        let values: Vec<f64> = (0..count).map(|i| (1.7 * i as f64 + phase).sin()).collect();
        Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap()
    }

    fn values(tensor: &Tensor) -> Vec<f64> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn a_backward_pass_in_two_pieces_is_that_in_one() {
        let (x, first, second) = (
            variable((3, 4), 0.1),
            variable((5, 4), 0.2),
            variable((2, 5), 0.3),
        );
        let head = |h: &Tensor| softmax(&linear(h, &second, None)?)?.sqr()?.sum_all();
        let stage = || gelu(&linear(&x, &first, None)?);
        let whole = head(&stage().unwrap()).unwrap().backward().unwrap();

        let sent = stage().unwrap();
        let received = Var::from_tensor(&sent.detach()).unwrap();
        let loss = head(&received).unwrap();
        let one = loss.ones_like().unwrap();
        let last = vjp(&[&loss], &[&one], &[&received, &second]).unwrap();
        let [Some(returned), Some(to_second)] = &last[..] else {
            panic!("{last:?}");
        };
        let rest = vjp(&[&sent], &[returned], &[&x, &first]).unwrap();
        let [Some(to_x), Some(to_first)] = &rest[..] else {
            panic!("{rest:?}");
        };
        for (variable, found) in [(&x, to_x), (&first, to_first), (&second, to_second)] {
            assert_eq!(values(found), values(whole.get(variable).unwrap()));
        }
    }

    #[test]
    fn gradients_of_several_outputs_add_up() {
        let (x, unused) = (variable((2, 3), 0.4), variable((1, 1), 0.0));
        let square = x.sqr().unwrap();
        let cube = (&square * x.as_tensor()).unwrap();
        let weights = [variable((2, 3), 1.0), variable((2, 3), 2.0)];
        let found = vjp(
            &[&square, &cube, &x],
            &[&weights[0], &weights[1], &weights[0]],
            &[&unused, &x],
        )
        .unwrap();
        assert!(found[0].is_none());
        let [w0, w1] = weights.map(|w| values(&w));
        for (i, (x, found)) in
            (values(&x).iter().zip(values(found[1].as_ref().unwrap()))).enumerate()
        {
            let expected = w0[i] * 2.0 * x + w1[i] * 3.0 * x * x + w0[i];
            assert!((found - expected).abs() < 1e-14, "{found} for {expected}");
        }
    }

    #[test]
    fn constants_have_no_gradient() {
        let x = variable((2, 2), 0.0);
        let constant = x.detach();
        assert!(vjp(&[&constant], &[&constant], &[&x]).unwrap()[0].is_none());
        assert!(vjp(&[], &[], &[&x]).unwrap()[0].is_none());
        assert!(vjp(&[&x], &[&x], &[&constant]).unwrap()[0].is_none());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let x = variable((2, 3), 0.0);
        let y = x.sqr().unwrap();
        let error = |gradient: &Tensor, input: &Tensor| {
            vjp(&[&y], &[gradient], &[input]).unwrap_err().to_string()
        };
        let narrow = x.narrow(1, 0, 2).unwrap();
        assert!(error(&narrow, &x).contains("[2, 2] for an output F64 [2, 3]"));
        let single = x.to_dtype(DType::F32).unwrap();
        assert!(error(&single, &x).contains("gradient 0 is F32"));
        assert!(error(&x, &y).contains("input 0 is the result"));
        assert!(vjp(&[&y], &[], &[&x]).is_err());
    }
}
