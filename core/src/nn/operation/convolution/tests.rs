#![expect(clippy::unwrap_used, reason = "a failure of candle fails the test")]

use candle_core::{DType, Device, Result, Tensor, Var};
use proptest::prelude::*;

use super::{Convolution, conv2d, conv3d};
use crate::nn::assert_gradient;
use crate::nn::operation::testing::{assert_close, draw};

/// One axis: size, kernel, stride, padding, dilation.
type AxisCase = (usize, usize, usize, usize, usize);

/// A convolution in three dimensions: images, groups, channels and kernels of a group, axes.
#[derive(Clone, Debug)]
struct Case {
    images: usize,
    groups: usize,
    channels: usize,
    outputs: usize,
    axes: [AxisCase; 3],
}

impl Case {
    fn options(&self) -> Convolution<3> {
        Convolution {
            stride: self.axes.map(|axis| axis.2),
            padding: self.axes.map(|axis| axis.3),
            dilation: self.axes.map(|axis| axis.4),
            groups: self.groups,
        }
    }

    fn operands(&self) -> (Tensor, Tensor, Tensor) {
        let [t, h, w] = self.axes.map(|axis| axis.0);
        let [kt, kh, kw] = self.axes.map(|axis| axis.1);
        let (inputs, outputs) = (self.groups * self.channels, self.groups * self.outputs);
        (
            draw("x", vec![self.images, inputs, t, h, w]),
            draw("w", vec![outputs, self.channels, kt, kh, kw]),
            draw("b", outputs),
        )
    }

    /// The definition: for each element of the result, the sum over channels and kernel.
    fn reference(&self) -> Tensor {
        let (x, w, b) = self.operands();
        let flat =
            |tensor: &Tensor| -> Vec<f64> { tensor.flatten_all().unwrap().to_vec1().unwrap() };
        let (x, w, b) = (flat(&x), flat(&w), flat(&b));
        let outs = self.axes.map(|(size, kernel, stride, padding, dilation)| {
            (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1
        });
        let outputs = self.groups * self.outputs;
        let kernel: usize = self.axes.iter().map(|axis| axis.1).product();
        let size: usize = self.axes.iter().map(|axis| axis.0).product();
        let mut result = Vec::new();
        for n in 0..self.images {
            for o in 0..outputs {
                for position in boxed(outs) {
                    let mut sum = b[o];
                    for c in 0..self.channels {
                        let channel = o / self.outputs * self.channels + c;
                        for (tap, k) in boxed(self.axes.map(|axis| axis.1)).enumerate() {
                            let mut index = 0;
                            let mut inside = true;
                            for i in 0..3 {
                                let (size, _, stride, padding, dilation) = self.axes[i];
                                let place = position[i] * stride + k[i] * dilation;
                                inside = place >= padding && place < padding + size;
                                if !inside {
                                    break;
                                }
                                index = index * size + place - padding;
                            }
                            if inside {
                                let x =
                                    x[(n * self.groups * self.channels + channel) * size + index];
                                sum += x * w[(o * self.channels + c) * kernel + tap];
                            }
                        }
                    }
                    result.push(sum);
                }
            }
        }
        let [t, h, w] = outs;
        Tensor::from_vec(result, vec![self.images, outputs, t, h, w], &Device::Cpu).unwrap()
    }
}

fn boxed([a, b, c]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| [i, j, k])))
}

fn axis(largest: usize) -> impl Strategy<Value = AxisCase> {
    (1..=largest, 1..4_usize, 1..4_usize, 0..4_usize, 1..3_usize).prop_filter(
        "the kernel fits",
        |&(size, kernel, _, padding, dilation)| dilation * (kernel - 1) < size + 2 * padding,
    )
}

/// An axis along which the kernel is one point.
fn pointwise(largest: usize) -> impl Strategy<Value = AxisCase> {
    (1..=largest).prop_map(|size| (size, 1, 1, 0, 1))
}

fn case() -> impl Strategy<Value = Case> {
    let axes = prop_oneof![
        [axis(5), axis(7), axis(9)],
        (pointwise(4), axis(7), axis(9)).prop_map(|(t, h, w)| [t, h, w]),
        (axis(5), pointwise(11), pointwise(13)).prop_map(|(t, h, w)| [t, h, w]),
        [pointwise(4), pointwise(11), pointwise(13)],
    ];
    // More than one block of channels, and blocks that are not full.
    let channels = prop_oneof![1..6_usize, Just(8), Just(17), Just(26)];
    // One in four is depthwise.
    let channels = prop_oneof![
        1 => Just((1, 1)),
        3 => (channels.clone(), channels),
    ];
    (0..3_usize, 1..4_usize, channels, axes).prop_map(
        |(images, groups, (channels, outputs), axes)| Case {
            images,
            groups,
            channels,
            outputs,
            axes,
        },
    )
}

fn single(tensor: &Tensor) -> Tensor {
    tensor.to_dtype(DType::F32).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn it_is_the_convolution_of_the_definition(case in case()) {
        let (x, w, b) = case.operands();
        let expected = case.reference();
        let found = conv3d(&x, &w, Some(&b), case.options()).unwrap();
        assert_close(&found, &expected, 1e-12);
        // Sums of up to 26 * 27 products of order 1, each rounded to 6e-8 of its size.
        let found = conv3d(&single(&x), &single(&w), Some(&single(&b)), case.options()).unwrap();
        assert_close(&found, &expected, 1e-4);
    }

    /// `sum(y * r)` is linear in each operand, so that its gradient is known from its values alone:
    /// the sum itself is `<x, gradient>` for the bilinear part.
    #[test]
    fn gradients_are_the_adjoints(case in case()) {
        let (x, w, b) = case.operands();
        let y = case.reference();
        let r = draw("r", y.shape());
        for dtype in [DType::F64, DType::F32] {
            let variable = |tensor: &Tensor| Var::from_tensor(&tensor.to_dtype(dtype).unwrap()).unwrap();
            let [x, w, b] = [&x, &w, &b].map(variable);
            let y = conv3d(&x, &w, Some(&b), case.options()).unwrap();
            let gradients = (y * r.to_dtype(dtype).unwrap()).unwrap().backward().unwrap();
            let product = |a: &Tensor, b: &Tensor| -> f64 {
                let [a, b] = [a, b].map(|tensor| tensor.to_dtype(DType::F64).unwrap());
                (a * b).unwrap().sum_all().unwrap().to_scalar().unwrap()
            };
            let through_bias = product(&b, gradients.get(&b).unwrap());
            let y = conv3d(&x, &w, Some(&b), case.options()).unwrap();
            let bilinear = product(&y, &r) - through_bias;
            // What the terms amount to if none cancels.
            let scale = 1.0 + (product(&y, &y) * product(&r, &r)).sqrt();
            let tolerance = if dtype == DType::F64 { 1e-11 } else { 1e-5 } * scale;
            for operand in [&x, &w] {
                let found = product(operand, gradients.get(operand).unwrap());
                prop_assert!((found - bilinear).abs() <= tolerance, "{found} instead of {bilinear}");
            }
        }
    }
}

/// Kernels of the networks for video, strides, dilation, groups and paddings that exceed the
/// kernel.
fn fixed_cases() -> Vec<Case> {
    let case = |groups, channels, outputs, axes| Case {
        images: 2,
        groups,
        channels,
        outputs,
        axes,
    };
    vec![
        case(1, 2, 3, [(2, 1, 1, 0, 1), (5, 3, 1, 1, 1), (4, 3, 1, 1, 1)]),
        case(1, 2, 9, [(4, 3, 1, 1, 1), (2, 1, 1, 0, 1), (3, 1, 1, 0, 1)]),
        case(1, 3, 2, [(3, 3, 1, 1, 1), (4, 3, 1, 1, 1), (3, 3, 1, 1, 1)]),
        case(2, 2, 2, [(2, 1, 1, 0, 1), (3, 1, 1, 0, 1), (3, 1, 1, 0, 1)]),
        case(1, 1, 2, [(5, 4, 4, 0, 1), (7, 5, 2, 3, 1), (6, 4, 3, 2, 1)]),
        case(3, 1, 1, [(1, 1, 1, 0, 1), (6, 3, 2, 1, 2), (5, 2, 3, 4, 1)]),
        case(1, 2, 2, [(3, 1, 2, 0, 1), (5, 1, 2, 0, 1), (4, 1, 3, 1, 1)]),
    ]
}

#[test]
fn gradients_are_right() {
    for case in fixed_cases() {
        let (x, w, b) = case.operands();
        assert_gradient(&[x, w, b], 1e-7, |x| {
            conv3d(&x[0], &x[1], Some(&x[2]), case.options())?.tanh()
        });
    }
}

#[test]
fn gradients_in_f32_are_those_in_f64() {
    for case in fixed_cases() {
        let (x, w, b) = case.operands();
        let gradients = |dtype| -> Vec<Tensor> {
            let variables = [&x, &w, &b]
                .map(|tensor| Var::from_tensor(&tensor.to_dtype(dtype).unwrap()).unwrap());
            let [x, w, b] = &variables;
            let y = conv3d(x, w, Some(b), case.options()).unwrap();
            let gradients = y.tanh().unwrap().backward().unwrap();
            variables
                .iter()
                .map(|v| gradients.get(v).unwrap().clone())
                .collect()
        };
        for (found, expected) in gradients(DType::F32).iter().zip(gradients(DType::F64)) {
            assert_close(found, &expected, 1e-5);
        }
    }
}

#[test]
fn an_image_is_a_clip_of_one_frame() {
    let (x, w) = (draw("x", (2, 4, 7, 6)), draw("w", (6, 2, 3, 2)));
    let options = Convolution {
        stride: [2, 1],
        padding: [1, 2],
        dilation: [1, 2],
        groups: 2,
    };
    let image = conv2d(&x, &w, None, options).unwrap();
    let options = Convolution {
        stride: [1, 2, 1],
        padding: [0, 1, 2],
        dilation: [1, 1, 2],
        groups: 2,
    };
    let clip = conv3d(
        &x.unsqueeze(2).unwrap(),
        &w.unsqueeze(2).unwrap(),
        None,
        options,
    )
    .unwrap();
    assert_close(&image.unsqueeze(2).unwrap(), &clip, 0.0);
    let same = Convolution {
        stride: [2, 2],
        padding: [1, 1],
        ..Convolution::default()
    };
    let w = draw("w", (6, 4, 3, 2));
    let ours = conv2d(&x, &w, None, same).unwrap();
    assert_close(&ours, &x.conv2d(&w, 1, 2, 1, 1).unwrap(), 1e-12);
}

#[test]
fn operands_may_lie_in_any_order() {
    let inputs = [draw("x", (5, 6, 2, 3)), draw("w", (3, 2, 3, 2))];
    let turn = |x: &[Tensor]| -> Result<(Tensor, Tensor)> {
        Ok((x[0].permute((3, 2, 0, 1))?, x[1].permute((3, 1, 0, 2))?))
    };
    assert_gradient(&inputs, 1e-8, |x| {
        let (x, w) = turn(x)?;
        // A gradient that is not contiguous, too.
        conv2d(&x, &w, None, Convolution::default())?.t()?.tanh()
    });
}

#[test]
fn only_variables_get_a_gradient() {
    let (x, w) = (draw("x", (1, 2, 4, 4)), draw("w", (3, 2, 3, 3)));
    let variable = Var::from_tensor(&w).unwrap();
    let y = conv2d(&x, &variable, None, Convolution::default()).unwrap();
    let gradients = y.backward().unwrap();
    assert!(gradients.get(&variable).is_some() && gradients.get(&x).is_none());
    let variable = Var::from_tensor(&x).unwrap();
    let y = conv2d(&variable, &w, None, Convolution::default()).unwrap();
    let gradients = y.backward().unwrap();
    assert!(gradients.get(&variable).is_some() && gradients.get(&w).is_none());
}

#[test]
fn a_repetition_gives_the_same_bits() {
    let x = Var::from_tensor(&single(&draw("x", (3, 5, 9, 11)))).unwrap();
    let w = Var::from_tensor(&single(&draw("w", (18, 5, 3, 3)))).unwrap();
    let bits = || -> Vec<u32> {
        let y = conv2d(&x, &w, None, Convolution::default()).unwrap();
        let gradients = y.sqr().unwrap().backward().unwrap();
        let tensors = [&y, gradients.get(&x).unwrap(), gradients.get(&w).unwrap()];
        let values = tensors.map(|t| t.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        values.concat().into_iter().map(f32::to_bits).collect()
    };
    assert_eq!(bits(), bits());
}

#[test]
fn what_does_not_fit_is_an_error() {
    let x = draw("x", (1, 4, 5, 6));
    let refuse = |weight: (usize, usize, usize, usize), convolution| {
        conv2d(&x, &draw("w", weight), None, convolution)
            .unwrap_err()
            .to_string()
    };
    let plain = Convolution::default();
    assert!(refuse((2, 3, 3, 3), plain).contains("4 channels in 1 groups"));
    let error = refuse((2, 4, 3, 7), plain);
    assert!(
        error.contains("kernel of 7 with dilation 1 does not fit into the width of 6"),
        "{error}"
    );
    let far = Convolution {
        dilation: [5, 1],
        ..plain
    };
    assert!(refuse((2, 4, 2, 3), far).contains("height of 5 with padding 0"));
    let still = Convolution {
        stride: [1, 0],
        ..plain
    };
    assert!(refuse((2, 4, 3, 3), still).contains("0 and 1 for the width"));
    let uneven = Convolution { groups: 4, ..plain };
    assert!(refuse((6, 1, 3, 3), uneven).contains("4 groups"));
    let huge = Convolution {
        padding: [usize::MAX, 0],
        ..plain
    };
    assert!(refuse((2, 4, 3, 3), huge).contains("does not fit into the height"));
    let error = conv3d(&x, &draw("w", (2, 4, 3, 3)), None, Convolution::default());
    assert!(error.unwrap_err().to_string().contains("rank 5"));
    let error = conv2d(&x, &draw("w", (2, 4, 3, 3)), Some(&draw("b", 3)), plain);
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("a bias [3] for 2 output channels")
    );
}

#[test]
fn an_input_without_channels_gives_the_bias() {
    let empty = |shape: [usize; 4]| {
        let zeros = Tensor::zeros(&shape, DType::F64, &Device::Cpu).unwrap();
        Var::from_tensor(&zeros).unwrap()
    };
    let (x, weight) = (empty([1, 0, 4, 4]), empty([2, 0, 3, 3]));
    let bias = Var::new(&[1.0, 2.0], &Device::Cpu).unwrap();
    let y = conv2d(&x, &weight, Some(&bias), Convolution::default()).unwrap();
    let gradients = y.sum_all().unwrap().backward().unwrap();
    assert_eq!(gradients.get(&x).unwrap().dims(), [1, 0, 4, 4]);
    assert_eq!(
        gradients.get(&bias).unwrap().to_vec1::<f64>().unwrap(),
        [4.0; 2]
    );
}

#[test]
fn sizes_that_overflow_are_an_error() {
    let one = Tensor::ones((1, 1, 1, 1), DType::F32, &Device::Cpu).unwrap();
    for padding in [1 << 32, usize::MAX / 8, usize::MAX / 4, usize::MAX / 2] {
        let options = Convolution {
            padding: [padding; 2],
            ..Convolution::default()
        };
        let error = conv2d(&one, &one, None, options).unwrap_err().to_string();
        assert!(error.starts_with("conv2d: "), "{error}");
    }
}

#[test]
fn the_longest_stride_leaves_one_position() {
    let options = Convolution {
        stride: [usize::MAX; 2],
        padding: [1; 2],
        ..Convolution::default()
    };
    let operands = [draw("x", (1, 2, 4, 3)), draw("w", (3, 2, 2, 2))];
    assert_gradient(&operands, 1e-8, |x| {
        conv2d(&x[0], &x[1], None, options)?.sqr()
    });
}
