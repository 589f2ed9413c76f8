#![expect(clippy::unwrap_used, reason = "a failure of candle fails the test")]

use candle_core::{Device, Var};
use proptest::prelude::*;

use super::*;
use crate::nn::assert_gradient;
use crate::nn::operation::testing::{assert_close, draw};

fn operands(shape: &[usize]) -> [Tensor; 3] {
    let channels = shape[1];
    [
        draw("x", shape.to_vec()),
        draw("w", channels),
        draw("b", channels),
    ]
}

fn single(tensor: &Tensor) -> Tensor {
    tensor.to_dtype(DType::F32).unwrap()
}

fn flat(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.to_dtype(DType::F64).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The definition, channel by channel: the result, the means and the unbiased variances.
fn reference(
    [x, w, b]: &[Tensor; 3],
    given: Option<&BatchNormStatistics>,
    norm: BatchNorm,
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let dims = x.dims().to_vec();
    let plane: usize = dims[2..].iter().product();
    let (x, w, b) = (flat(x), flat(w), flat(b));
    let mut result = vec![0.0; x.len()];
    let (mut means, mut variances) = (Vec::new(), Vec::new());
    for channel in 0..dims[1] {
        let of_channel = |i: &usize| i / plane % dims[1] == channel;
        let indices: Vec<usize> = (0..x.len()).filter(of_channel).collect();
        let count = indices.len() as f64;
        let mut mean = indices.iter().map(|&i| x[i]).sum::<f64>() / count;
        let squares: f64 = indices.iter().map(|&i| (x[i] - mean).powi(2)).sum();
        means.push(mean);
        variances.push(squares / (count - 1.0));
        let mut variance = squares / count;
        if let Some(given) = given {
            (mean, variance) = (flat(&given.mean)[channel], flat(&given.variance)[channel]);
        }
        for &i in &indices {
            let y = (x[i] - mean) / (variance + norm.epsilon).sqrt() * w[channel] + b[channel];
            result[i] = if norm.relu { y.max(0.0) } else { y };
        }
    }
    (result, means, variances)
}

fn assert_values(found: &Tensor, expected: Vec<f64>, tolerance: f64) {
    let expected = Tensor::from_vec(expected, found.shape(), &Device::Cpu).unwrap();
    assert_close(found, &expected, tolerance);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn it_is_that_of_the_definition(
        shape in prop::collection::vec(1..5_usize, 0..4),
        (n, channels) in (2..5_usize, 1..4_usize),
        relu: bool,
    ) {
        let shape = [vec![n, channels], shape].concat();
        let inputs = operands(&shape);
        let norm = BatchNorm { relu, momentum: Some(0.25), ..BatchNorm::default() };
        for (inputs, tolerance) in [(inputs.clone(), 1e-11), (inputs.map(|t| single(&t)), 2e-3)] {
            let [x, w, b] = &inputs;
            let old = BatchNormStatistics::new(channels, x.dtype()).unwrap();
            let (y, new) = norm.train(x, w, b, &old).unwrap();
            let (expected, means, variances) = reference(&inputs, None, norm);
            // Two close elements of a channel divide by a small deviation in f32.
            assert_values(&y, expected, tolerance);
            let mix = |old: f64, new: Vec<f64>| -> Vec<f64> {
                new.into_iter().map(|new| 0.75 * old + 0.25 * new).collect()
            };
            assert_values(&new.mean, mix(0.0, means), 1e-6);
            assert_values(&new.variance, mix(1.0, variances), 1e-5);
            let y = norm.frozen(x, w, b, &new).unwrap();
            let (expected, _, _) = reference(&inputs, Some(&new), norm);
            assert_values(&y, expected, 1e-5);
        }
    }
}

#[test]
fn gradients_are_right() {
    for relu in [false, true] {
        let norm = BatchNorm {
            relu,
            ..BatchNorm::default()
        };
        for shape in [&[3, 2, 4, 3][..], &[2, 3, 2, 3, 2], &[5, 3]] {
            let inputs = operands(shape);
            let old = BatchNormStatistics::new(shape[1], DType::F64).unwrap();
            let (_, running) = norm
                .train(&inputs[0], &inputs[1], &inputs[2], &old)
                .unwrap();
            assert_gradient(&inputs, 1e-7, |x| {
                norm.train(&x[0], &x[1], &x[2], &old)?.0.tanh()
            });
            assert_gradient(&inputs, 1e-7, |x| {
                norm.frozen(&x[0], &x[1], &x[2], &running)?.tanh()
            });
        }
    }
}

#[test]
fn gradients_in_f32_are_those_in_f64() {
    let inputs = operands(&[8, 3, 9, 7]);
    let norm = BatchNorm {
        relu: true,
        ..BatchNorm::default()
    };
    let gradients = |dtype| -> Vec<Tensor> {
        let inputs = inputs
            .each_ref()
            .map(|tensor| Var::from_tensor(&tensor.to_dtype(dtype).unwrap()).unwrap());
        let old = BatchNormStatistics::new(3, dtype).unwrap();
        let (y, _) = norm
            .train(&inputs[0], &inputs[1], &inputs[2], &old)
            .unwrap();
        let gradients = y.tanh().unwrap().backward().unwrap();
        let gradients = inputs
            .iter()
            .map(|input| gradients.get(input).unwrap().clone());
        gradients.collect()
    };
    for (found, expected) in gradients(DType::F32).iter().zip(gradients(DType::F64)) {
        assert_close(found, &expected, 1e-4);
    }
}

#[test]
fn a_large_mean_does_not_hide_the_variance() {
    let x = (draw("x", (4, 1, 50, 50)) + 1000.0).unwrap();
    let old = BatchNormStatistics::new(1, DType::F32).unwrap();
    let (w, b) = (single(&draw("w", 1)), single(&draw("b", 1)));
    let x = single(&x);
    let norm = BatchNorm {
        momentum: None,
        ..BatchNorm::default()
    };
    let (_, found) = norm.train(&x, &w, &b, &old).unwrap();
    let (_, means, variances) = reference(&[x, w, b], None, norm);
    assert_values(&found.mean, means, 1e-7);
    assert_values(&found.variance, variances, 1e-6);
}

#[test]
fn without_momentum_every_batch_counts_the_same() {
    let norm = BatchNorm {
        momentum: None,
        ..BatchNorm::default()
    };
    let (w, b) = (draw("w", 2), draw("b", 2));
    let mut running = BatchNormStatistics::new(2, DType::F64).unwrap();
    let (mut means, mut variances) = (vec![0.0; 2], vec![0.0; 2]);
    for name in ["first", "second", "third"] {
        let x = draw(name, (4, 2, 3));
        running = norm.train(&x, &w, &b, &running).unwrap().1;
        let (_, mean, variance) = reference(&[x, w.clone(), b.clone()], None, norm);
        for channel in 0..2 {
            means[channel] += mean[channel] / 3.0;
            variances[channel] += variance[channel] / 3.0;
        }
    }
    assert_eq!(running.batches, 3);
    assert_values(&running.mean, means, 1e-12);
    assert_values(&running.variance, variances, 1e-12);
}

#[test]
fn what_does_not_fit_is_an_error() {
    let [x, w, b] = operands(&[1, 2]);
    let running = BatchNormStatistics::new(2, DType::F64).unwrap();
    let norm = BatchNorm::default();
    let error = norm.train(&x, &w, &b, &running).unwrap_err().to_string();
    assert!(
        error.contains("at least 2 elements in each channel"),
        "{error}"
    );
    let error = norm.frozen(&x, &draw("w", 3), &b, &running).unwrap_err();
    assert!(error.to_string().contains("a weight [3] for x [1, 2]"));
    let other = BatchNormStatistics::new(3, DType::F64).unwrap();
    let error = norm.frozen(&x, &w, &b, &other).unwrap_err();
    assert!(error.to_string().contains("a mean [3] for x [1, 2]"));
}

#[test]
fn a_nan_is_not_hidden() {
    let x = Tensor::new(&[[f64::NAN], [1.0]], &Device::Cpu).unwrap();
    let (w, b) = (draw("w", 1), draw("b", 1));
    let running = BatchNormStatistics::new(1, DType::F64).unwrap();
    let norm = BatchNorm {
        relu: true,
        ..BatchNorm::default()
    };
    let y = norm.frozen(&x, &w, &b, &running).unwrap();
    assert!(flat(&y)[0].is_nan());
}

/// Squares of these numbers overflow in f32.
#[test]
fn large_numbers_do_not_overflow() {
    for scale in [1e20, 1e30] {
        for relu in [false, true] {
            let norm = BatchNorm {
                relu,
                ..BatchNorm::default()
            };
            let [x, w, b] = operands(&[4, 2, 9, 7]);
            // Rounded first, so that both types start from the same numbers.
            let x = single(&(x * scale).unwrap());
            let run = |dtype: DType| {
                let inputs = [&x, &w, &b].map(|tensor| {
                    let rounded = single(tensor).to_dtype(dtype).unwrap();
                    Var::from_tensor(&rounded.copy().unwrap()).unwrap()
                });
                let [x, w, b] = inputs.each_ref().map(Var::as_tensor);
                let old = BatchNormStatistics::new(2, dtype).unwrap();
                let (y, _) = norm.train(x, w, b, &old).unwrap();
                let gradients = y.sqr().unwrap().backward().unwrap();
                let to_x = (gradients.get(x).unwrap() * scale).unwrap();
                [y, to_x, gradients.get(w).unwrap().clone()]
            };
            for (found, expected) in run(DType::F32).iter().zip(run(DType::F64)) {
                assert_close(found, &expected, 1e-3);
            }
        }
    }
}

#[test]
fn options_out_of_range_are_an_error() {
    let [x, w, b] = operands(&[2, 2, 3]);
    let running = BatchNormStatistics::new(2, DType::F64).unwrap();
    for epsilon in [f64::NAN, f64::INFINITY, -1e-5] {
        let norm = BatchNorm {
            epsilon,
            ..BatchNorm::default()
        };
        let expected = format!("epsilon must be finite and at least 0, found {epsilon}");
        let error = norm.train(&x, &w, &b, &running).unwrap_err().to_string();
        assert!(error.contains(&expected), "{error}");
        assert!(norm.frozen(&x, &w, &b, &running).is_err());
    }
    for momentum in [f64::NAN, -0.1, 1.5] {
        let norm = BatchNorm {
            momentum: Some(momentum),
            ..BatchNorm::default()
        };
        let expected = format!("momentum must be from 0 to 1, found {momentum}");
        let error = norm.train(&x, &w, &b, &running).unwrap_err().to_string();
        assert!(error.contains(&expected), "{error}");
    }
}
