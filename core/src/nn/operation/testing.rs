//! What the tests of several operations share.

#![expect(clippy::unwrap_used, reason = "a failure of candle fails the test")]

use candle_core::{DType, Device, Result, Shape, Tensor, Var};
use candle_nn::Init;

use crate::nn::initial;
use crate::seed::SeedTree;

/// Standard normal values, in f64; the name selects the stream.
pub(super) fn draw(name: &str, shape: impl Into<Shape>) -> Tensor {
    let init = Init::Randn {
        mean: 0.0,
        stdev: 1.0,
    };
    initial(
        &SeedTree::new(11),
        name,
        shape,
        init,
        DType::F64,
        &Device::Cpu,
    )
    .unwrap()
}

/// Infinities, the largest numbers and both zeros, in f32 and in ascending order.
pub(super) fn extremes() -> Tensor {
    let values = [
        f32::NEG_INFINITY,
        f32::MIN,
        -0.0,
        0.0,
        f32::MAX,
        f32::INFINITY,
    ];
    Tensor::new(&values, &Device::Cpu).unwrap()
}

/// All elements, in f64.
pub(super) fn values(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.to_dtype(DType::F64).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The gradient of the sum of a function's results.
pub(super) fn gradient_of(x: &Tensor, function: impl Fn(&Tensor) -> Result<Tensor>) -> Vec<f64> {
    let x = Var::from_tensor(x).unwrap();
    let gradients = function(&x).unwrap().sum_all().unwrap().backward().unwrap();
    values(gradients.get(&x).unwrap())
}

#[track_caller]
pub(super) fn assert_close(found: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(found.dims(), expected.dims());
    for (index, (found, expected)) in values(found).iter().zip(values(expected)).enumerate() {
        let scale = expected.abs().max(1.0);
        assert!(
            (found - expected).abs() <= tolerance * scale,
            "element {index}: {found} instead of {expected}"
        );
    }
}

/// Asserts that a function of f32 tensors has the gradient that it has in f64 at the same points, to
/// `tolerance` times the larger of 1 and the largest element of the gradient.
#[track_caller]
pub(super) fn assert_f32_gradient(
    inputs: &[Tensor],
    tolerance: f64,
    function: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let gradients = |dtype: DType| -> Vec<Tensor> {
        let inputs: Vec<Var> = inputs
            .iter()
            .map(|input| {
                let rounded = input.to_dtype(DType::F32).unwrap().to_dtype(dtype).unwrap();
                Var::from_tensor(&rounded.copy().unwrap()).unwrap()
            })
            .collect();
        let tensors: Vec<Tensor> = inputs.iter().map(|x| x.as_tensor().clone()).collect();
        let output = function(&tensors).unwrap();
        // Weights without symmetry, so that errors do not cancel.
        let weights: Vec<f64> = (0..output.elem_count())
            .map(|i| 1.0 + 0.5 * (2.3 * i as f64 + 0.7).sin())
            .collect();
        let weights = Tensor::from_vec(weights, output.shape(), &Device::Cpu).unwrap();
        let weights = weights.to_dtype(dtype).unwrap();
        let sum = (output * weights).unwrap().sum_all().unwrap();
        let gradients = sum.backward().unwrap();
        inputs
            .iter()
            .map(|input| gradients.get(input).unwrap().clone())
            .collect()
    };
    for (found, expected) in gradients(DType::F32).iter().zip(gradients(DType::F64)) {
        let (found, expected) = (values(found), values(&expected));
        let scale = expected
            .iter()
            .fold(1.0, |scale: f64, x| scale.max(x.abs()));
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!(
                (found - expected).abs() <= tolerance * scale,
                "element {index}: {found} in f32, {expected} in f64"
            );
        }
    }
}
