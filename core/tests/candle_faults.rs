//! Faults of candle that the operations of `septet_core::nn` work around. Each test passes as
//! long as the fault is there: one that fails after an upgrade says that candle has mended it, and
//! that our own operation may go.

#![expect(clippy::unwrap_used, reason = "a failure of candle fails the test")]

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{Module, VarMap, ops};
use septet_core::nn::gradcheck;

const CPU: &Device = &Device::Cpu;

/// Values without ties, a tenth apart.
fn draw(shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f64> = (0..count)
        .map(|i| (i * 7 % count) as f64 * 0.1 - 1.0)
        .collect();
    Tensor::from_vec(values, shape, CPU).unwrap()
}

fn error_of(x: &Tensor, function: impl Fn(&Tensor) -> Result<Tensor>) -> f64 {
    gradcheck(std::slice::from_ref(x), |x| function(&x[0]))
        .unwrap()
        .error
}

#[test]
fn max_pooling_divides_its_gradient_by_the_window() {
    let x = Var::from_tensor(&draw(&[1, 1, 4, 4])).unwrap();
    let y = x.max_pool2d(2).unwrap();
    let gradient = y.backward().unwrap().get(&x).unwrap().clone();
    let gradient: Vec<f64> = gradient.flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(gradient.into_iter().fold(0.0, f64::max), 0.25);
}

#[test]
fn pooling_is_wrong_on_sizes_that_are_not_divisible() {
    let x = draw(&[1, 1, 5, 5]);
    assert!(error_of(&x, |x| x.avg_pool2d(2)) > 0.1);
    assert!(error_of(&x, |x| x.max_pool2d(2)) > 0.1);
}

#[test]
fn pooling_with_overlap_has_no_backward_pass() {
    let x = Var::from_tensor(&draw(&[1, 1, 5, 5])).unwrap();
    for y in [
        x.max_pool2d_with_stride(3, 2).unwrap(),
        x.avg_pool2d_with_stride(3, 2).unwrap(),
    ] {
        assert!(y.backward().is_err());
    }
}

#[test]
fn upsampling_overwrites_other_gradients() {
    let error = error_of(&draw(&[1, 1, 2, 2]), |x| {
        x.upsample_nearest2d(4, 4)?.sum_all()? + x.sqr()?.sum_all()?
    });
    let swapped = error_of(&draw(&[1, 1, 2, 2]), |x| {
        x.sqr()?.sum_all()? + x.upsample_nearest2d(4, 4)?.sum_all()?
    });
    assert!(error.max(swapped) > 0.1, "{error} {swapped}");
}

#[test]
fn normalization_and_softmax_drop_their_gradient() {
    let x = Var::from_tensor(&draw(&[2, 4]).to_dtype(DType::F32).unwrap()).unwrap();
    let ones = Tensor::ones(4, DType::F32, CPU).unwrap();
    let layer = candle_nn::LayerNorm::new(ones.clone(), ones.clone(), 1e-5);
    let root_mean_square = candle_nn::RmsNorm::new(ones.clone(), 1e-5);
    for y in [
        layer.forward(&x).unwrap(),
        root_mean_square.forward(&x).unwrap(),
        ops::softmax_last_dim(&x).unwrap(),
        ops::layer_norm(&x, &ones, &ones, 1e-5).unwrap(),
        ops::rms_norm(&x, &ones, 1e-5).unwrap(),
    ] {
        assert!(y.backward().unwrap().get(&x).is_none());
    }
    let x = Var::from_tensor(&x.reshape((1, 1, 2, 4)).unwrap()).unwrap();
    let angles = Tensor::zeros((2, 2), DType::F32, CPU).unwrap();
    let y = candle_nn::rotary_emb::rope(&x, &angles, &angles).unwrap();
    assert!(y.backward().unwrap().get(&x).is_none());
}

#[test]
fn the_gaussian_error_linear_unit_has_six_digits() {
    let error = error_of(&draw(&[4, 8]), Tensor::gelu_erf);
    assert!(1e-8 < error && error < 1e-4, "{error}");
}

#[test]
fn the_slope_of_a_rectifier_at_zero_is_one() {
    let x = Var::zeros(1, DType::F64, CPU).unwrap();
    let gradients = x.relu().unwrap().backward().unwrap();
    let slope: Vec<f64> = gradients.get(&x).unwrap().to_vec1().unwrap();
    assert_eq!(slope, [1.0], "PyTorch's is 0");
}

#[test]
fn the_generator_of_the_cpu_cannot_be_seeded() {
    assert!(CPU.set_seed(1).is_err());
}

#[test]
fn the_order_of_variables_changes() {
    let order = || {
        let map = VarMap::new();
        for i in 0..8 {
            let init = candle_nn::Init::Const(f64::from(i));
            map.get(1, &i.to_string(), init, DType::F64, CPU).unwrap();
        }
        map.all_vars()
            .iter()
            .map(|variable| variable.to_vec1::<f64>().unwrap()[0])
            .collect::<Vec<_>>()
    };
    let first = order();
    // Each has the same order with a chance of 1 in 8!.
    assert!((0..8).any(|_| order() != first));
}

#[test]
fn setting_a_variable_changes_tensors_of_an_earlier_graph() {
    let x = Var::new(&[3f64], CPU).unwrap();
    let y = x.sqr().unwrap();
    x.set(&Tensor::new(&[5f64], CPU).unwrap()).unwrap();
    let slope = y.backward().unwrap().get(&x).unwrap().to_vec1::<f64>();
    assert_eq!(slope.unwrap(), [10.0], "the graph was built at 3");
}
