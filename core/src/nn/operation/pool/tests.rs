#![expect(clippy::unwrap_used, reason = "a failure of candle fails the test")]

use candle_core::{DType, Device, Var};
use proptest::prelude::*;

use super::*;
use crate::nn::assert_gradient;
use crate::nn::operation::testing::{assert_close, draw};

fn flat(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.to_dtype(DType::F64).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The positions of each window inside one channel.
fn windows(sizes: [usize; 3], pool: Pool<3>) -> Vec<Vec<usize>> {
    let [outs, _] = [0, 1].map(|_| {
        [0, 1, 2].map(|i| (sizes[i] + 2 * pool.padding[i] - pool.kernel[i]) / pool.stride[i] + 1)
    });
    let mut windows = Vec::new();
    for position in boxed(outs) {
        let points = boxed(pool.kernel).filter_map(|point| {
            let mut index = 0;
            for i in 0..3 {
                let place = position[i] * pool.stride[i] + point[i];
                let place = place.checked_sub(pool.padding[i]);
                index = index * sizes[i] + place.filter(|&place| place < sizes[i])?;
            }
            Some(index)
        });
        windows.push(points.collect());
    }
    windows
}

fn boxed([a, b, c]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| [i, j, k])))
}

/// Size, kernel, stride and padding of an axis.
fn axis(largest: usize) -> impl Strategy<Value = (usize, usize, usize, usize)> {
    (1..=largest, 1..5_usize, 1..4_usize, 0..3_usize)
        .prop_filter("the window fits", |&(size, kernel, _, padding)| {
            padding <= kernel / 2 && kernel <= size + 2 * padding
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// Values and gradients, with few different values so that many maxima are tied.
    #[test]
    fn they_are_those_of_the_definition(
        axes in [axis(5), axis(7), axis(8)],
        values in prop::collection::vec(-2..3_i8, 2 * 3 * 5 * 7 * 8),
    ) {
        let sizes = axes.map(|axis| axis.0);
        let pool = Pool {
            kernel: axes.map(|axis| axis.1),
            stride: axes.map(|axis| axis.2),
            padding: axes.map(|axis| axis.3),
        };
        let plane: usize = sizes.iter().product();
        let values: Vec<f64> = values[..6 * plane].iter().map(|&v| f64::from(v)).collect();
        let [t, h, w] = sizes;
        let x = Tensor::from_vec(values.clone(), (2, 3, t, h, w), &Device::Cpu).unwrap();
        let windows = windows(sizes, pool);
        let points = pool.kernel.iter().product::<usize>() as f64;
        let (mut maxima, mut means) = (Vec::new(), Vec::new());
        let (mut to_maxima, mut to_means) = (vec![0.0; values.len()], vec![0.0; values.len()]);
        let weight = |index: usize| 1.0 + (index % 7) as f64;
        for (channel, values) in values.chunks(plane).enumerate() {
            for window in &windows {
                let mut best = window[0];
                for &point in window {
                    if values[point] > values[best] {
                        best = point;
                    }
                    to_means[channel * plane + point] += weight(means.len()) / points;
                }
                to_maxima[channel * plane + best] += weight(maxima.len());
                maxima.push(values[best]);
                means.push(window.iter().map(|&point| values[point]).sum::<f64>() / points);
            }
        }
        for dtype in [DType::F64, DType::F32] {
            let x = Var::from_tensor(&x.to_dtype(dtype).unwrap()).unwrap();
            let results = [max_pool(&x, pool).unwrap(), avg_pool(&x, pool).unwrap()];
            let expected = [(&maxima, &to_maxima), (&means, &to_means)];
            for (y, (values, gradient)) in results.iter().zip(expected) {
                let tensor = |values: &Vec<f64>, like: &Tensor| {
                    Tensor::from_vec(values.clone(), like.shape(), &Device::Cpu).unwrap()
                };
                assert_close(y, &tensor(values, y), 1e-6);
                let weights: Vec<f64> = (0..values.len()).map(weight).collect();
                let weights = tensor(&weights, y).to_dtype(dtype).unwrap();
                let found = (y * weights).unwrap().backward().unwrap();
                assert_close(found.get(&x).unwrap(), &tensor(gradient, &x), 1e-5);
            }
        }
    }
}

#[test]
fn images_are_clips_of_one_frame() {
    let x = draw("x", (2, 3, 7, 8));
    let clip = x.unsqueeze(2).unwrap();
    let image = Pool {
        kernel: [3, 2],
        stride: [2, 1],
        padding: [1, 0],
    };
    let of_clip = Pool {
        kernel: [1, 3, 2],
        stride: [1, 2, 1],
        padding: [0, 1, 0],
    };
    let found = max_pool(&x, image).unwrap().unsqueeze(2).unwrap();
    assert_close(&found, &max_pool(&clip, of_clip).unwrap(), 0.0);
    let found = avg_pool(&x, image).unwrap().unsqueeze(2).unwrap();
    assert_close(&found, &avg_pool(&clip, of_clip).unwrap(), 0.0);
    let theirs = x.max_pool2d_with_stride(3, 2).unwrap();
    let pool = Pool {
        kernel: [3, 3],
        stride: [2, 2],
        padding: [0, 0],
    };
    assert_close(&max_pool(&x, pool).unwrap(), &theirs, 0.0);
}

#[test]
fn gradients_are_right() {
    let x = [draw("x", (2, 2, 4, 5, 6))];
    let pool = Pool {
        kernel: [2, 3, 3],
        stride: [1, 2, 2],
        padding: [1, 1, 0],
    };
    assert_gradient(&x, 1e-8, |x| max_pool(&x[0], pool)?.tanh());
    assert_gradient(&x, 1e-8, |x| avg_pool(&x[0], pool)?.tanh());
    assert_gradient(&x, 1e-8, |x| global_mean(&x[0])?.tanh());
    // Operands that are not contiguous.
    let turned = [draw("x", (5, 6, 2, 3))];
    let pool = Pool::tiles([2, 2]);
    assert_gradient(&turned, 1e-8, |x| {
        max_pool(&x[0].permute((3, 2, 0, 1))?, pool)?.t()?.tanh()
    });
    assert_gradient(&turned, 1e-8, |x| {
        global_mean(&x[0].permute((3, 2, 0, 1))?)?.t()?.tanh()
    });
}

#[test]
fn a_global_mean_is_that_of_each_channel() {
    for plane in [1, 15, 1_100] {
        let x = draw("x", (2, 3, plane));
        let expected = x.mean(2).unwrap();
        assert_close(&global_mean(&x).unwrap(), &expected, 1e-12);
        let x = x.to_dtype(DType::F32).unwrap();
        assert_close(&global_mean(&x).unwrap(), &expected, 1e-6);
    }
}

#[test]
fn a_nan_is_not_hidden() {
    for position in 0..4 {
        let mut values = vec![0.5; 4];
        values[position] = f64::NAN;
        let x = Tensor::from_vec(values, (1, 1, 2, 2), &Device::Cpu).unwrap();
        let x = Var::from_tensor(&x).unwrap();
        let y = max_pool(&x, Pool::tiles([2, 2])).unwrap();
        assert!(flat(&y)[0].is_nan());
        let gradients = y.backward().unwrap();
        assert_eq!(flat(gradients.get(&x).unwrap())[position], 1.0);
    }
}

#[test]
fn windows_without_a_number_above_minus_infinity_pass_their_gradient_on() {
    let x = Tensor::full(f64::NEG_INFINITY, (1, 1, 3, 3), &Device::Cpu).unwrap();
    let x = Var::from_tensor(&x).unwrap();
    let pool = Pool {
        kernel: [3, 3],
        stride: [2, 2],
        padding: [1, 1],
    };
    let y = max_pool(&x, pool).unwrap();
    assert_eq!(flat(&y), [f64::NEG_INFINITY; 4]);
    let gradients = y.backward().unwrap();
    let gradient = flat(gradients.get(&x).unwrap());
    assert_eq!(gradient, [1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn windows_that_do_not_fit_are_an_error() {
    let x = draw("x", (1, 1, 3, 4));
    let error = max_pool(&x, Pool::tiles([4, 2])).unwrap_err().to_string();
    assert!(
        error.contains("a kernel of 4 does not fit into the height of 3"),
        "{error}"
    );
    let error = avg_pool(&x, Pool::tiles([1, 0])).unwrap_err().to_string();
    assert!(error.contains("found 0, 0 and 0 for the width"), "{error}");
    let pool = Pool {
        kernel: [2, 2],
        stride: [1, 1],
        padding: [0, 2],
    };
    let error = max_pool(&x, pool).unwrap_err().to_string();
    assert!(error.contains("2, 1 and 2 for the width"), "{error}");
    let error = max_pool(&x, Pool::tiles([1, 1, 1])).unwrap_err();
    assert!(error.to_string().contains("rank 5"));
    assert!(global_mean(&draw("x", 3)).is_err());
}

#[test]
fn windows_without_elements_and_sizes_that_overflow_are_an_error() {
    let empty = Tensor::zeros((1, 2, 0, 4), DType::F32, &Device::Cpu).unwrap();
    let pool = |kernel: usize, padding: usize| Pool {
        kernel: [kernel; 2],
        stride: [1; 2],
        padding: [padding; 2],
    };
    let error = max_pool(&empty, pool(2, 1)).unwrap_err().to_string();
    assert!(error.contains("the height of 0"), "{error}");
    let x = draw("x", (1, 2, 4, 4));
    for kernel in [1 << 33, usize::MAX / 2, usize::MAX] {
        assert!(avg_pool(&x, pool(kernel, kernel / 2)).is_err());
    }
}

#[test]
fn the_longest_stride_leaves_one_window() {
    let pool = Pool {
        kernel: [2; 2],
        stride: [usize::MAX; 2],
        padding: [0; 2],
    };
    assert_gradient(&[draw("x", (1, 2, 4, 4))], 1e-8, |x| {
        max_pool(&x[0], pool)?.sqr()
    });
    assert_gradient(&[draw("x", (1, 2, 4, 4))], 1e-8, |x| {
        avg_pool(&x[0], pool)?.sqr()
    });
}

#[test]
fn the_first_nan_gets_the_gradient() {
    let values = [1.0, f32::NAN, 2.0, f32::NAN, 3.0, f32::INFINITY];
    let x = Tensor::new(&values, &Device::Cpu).unwrap();
    let x = Var::from_tensor(&x.reshape((1, 1, 1, 6)).unwrap()).unwrap();
    let pool = Pool {
        kernel: [1, 4],
        stride: [1, 1],
        padding: [0, 2],
    };
    let y = max_pool(&x, pool).unwrap();
    assert!(flat(&y)[..6].iter().all(|maximum| maximum.is_nan()));
    assert_eq!(flat(&y)[6], f64::INFINITY);
    let gradients = y.backward().unwrap();
    let gradient = flat(gradients.get(&x).unwrap());
    assert_eq!(gradient, [0.0, 4.0, 0.0, 2.0, 0.0, 1.0]);
}
