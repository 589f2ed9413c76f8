//! Gradients against finite differences.

use candle_core::{DType, Device, Result, Tensor, Var};

/// How far a gradient is from the difference quotient, where it is farthest.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientDifference {
    /// The position of the input among all inputs.
    pub input: usize,
    /// The position of the element in the flattened input.
    pub element: usize,
    /// What `backward` gave; 0 where no gradient arrived at all.
    pub gradient: f64,
    /// What central differences gave.
    pub quotient: f64,
    /// The distance of the two, divided by the larger of 1 and their magnitudes.
    pub error: f64,
}

/// Compares the gradient of `function` with central differences in every element of every input,
/// and returns where they differ most. Inputs are converted to f64.
///
/// A function that returns a tensor is made a number by a weighted sum of its elements, so that an
/// error in one output does not cancel against another. In f64, with the step `1e-5`, a right
/// gradient of a smooth function of order 1 has an error below `1e-8`.
///
/// Do not come within the step of a kink (the hinge of a rectifier, a tie of a maximum): there
/// is no derivative.
///
/// # Errors
/// Those of candle, from `function` or from its backward pass.
pub fn gradcheck(
    inputs: &[Tensor],
    function: impl Fn(&[Tensor]) -> Result<Tensor>,
) -> Result<GradientDifference> {
    const STEP: f64 = 1e-5;
    // Variables of their own, in f64: the caller's tensors stay outside of the graph.
    let inputs: Vec<Var> = inputs
        .iter()
        .map(|input| Var::from_tensor(&input.detach().to_dtype(DType::F64)?.copy()?))
        .collect::<Result<_>>()?;
    let tensors: Vec<Tensor> = inputs
        .iter()
        .map(|input| input.as_tensor().clone())
        .collect();
    let output = function(&tensors)?;
    // Any fixed weights without symmetry will do.
    let weights: Vec<f64> = (0..output.elem_count())
        .map(|i| 1.0 + 0.5 * (2.3 * i as f64 + 0.7).sin())
        .collect();
    let weights = Tensor::from_vec(weights, output.shape(), &Device::Cpu)?;
    let number = |output: Tensor| (output * &weights)?.sum_all();
    let gradients = number(output)?.backward()?;
    // Central differences (f(x + h) - f(x - h)) / 2h, one element at a time: their error is of
    // order h^2, and each takes two calls of the function.
    let mut worst: Option<GradientDifference> = None;
    for (position, input) in inputs.iter().enumerate() {
        let values: Vec<f64> = input.flatten_all()?.to_vec1()?;
        let gradient: Vec<f64> = match gradients.get(input) {
            Some(gradient) => gradient.flatten_all()?.to_vec1()?,
            None => vec![0.0; values.len()],
        };
        let moved = |element: usize, by: f64| -> Result<f64> {
            let mut values = values.clone();
            values[element] += by;
            let mut tensors = tensors.clone();
            tensors[position] = Tensor::from_vec(values, input.shape(), &Device::Cpu)?;
            number(function(&tensors)?)?.to_scalar()
        };
        for (element, &gradient) in gradient.iter().enumerate() {
            let quotient = (moved(element, STEP)? - moved(element, -STEP)?) / (2.0 * STEP);
            // The error is relative where derivatives are large, absolute where they are small.
            let scale = gradient.abs().max(quotient.abs()).max(1.0);
            // The absolute value also makes the sign of a NaN positive.
            let error = ((gradient - quotient) / scale).abs();
            // In the total order a NaN is larger than every number: it counts as worst.
            if worst
                .as_ref()
                .is_none_or(|worst| error.total_cmp(&worst.error).is_gt())
            {
                worst = Some(GradientDifference {
                    input: position,
                    element,
                    gradient,
                    quotient,
                    error,
                });
            }
        }
    }
    worst.ok_or_else(|| candle_core::Error::Msg("gradcheck: all inputs are empty".into()))
}

/// Panics unless the gradient of `function` agrees with central differences to `tolerance`, as
/// [`gradcheck`] measures it.
///
/// # Panics
/// When they differ, or when candle fails: it is for tests.
#[track_caller]
pub fn assert_gradient(
    inputs: &[Tensor],
    tolerance: f64,
    function: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    match gradcheck(inputs, function) {
        Ok(worst) => assert!(
            worst.error <= tolerance,
            "input {}, element {}: the gradient is {}, the difference quotient {}",
            worst.input,
            worst.element,
            worst.gradient,
            worst.quotient
        ),
        Err(error) => panic!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> Tensor {
        Tensor::new(&[[0.3, -0.7, 1.1], [2.0, 0.4, -1.6]], &Device::Cpu).unwrap()
    }

    #[test]
    fn right_gradients_pass_and_wrong_ones_are_located() {
        assert_gradient(&[input(), input()], 1e-8, |x| (&x[0] * x[1].sin()?)?.exp());

        // The gradient of the second factor is cut off.
        let worst = gradcheck(&[input(), input()], |x| &x[0] * x[1].detach()).unwrap();
        assert_eq!(worst.input, 1);
        assert_eq!(worst.gradient, 0.0);
        assert!(worst.error > 0.5);
    }

    #[test]
    #[should_panic(expected = "the gradient is 0")]
    fn a_missing_gradient_is_a_failure() {
        assert_gradient(&[input()], 1e-6, |x| x[0].detach().sqr());
    }
}
