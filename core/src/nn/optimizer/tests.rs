//! The optimizers against their published formulas, one number at a time.

use candle_core::{DType, Device, Tensor};

use super::*;

const STEPS: usize = 12;

/// A bowl whose slope depends on the position, so that errors grow instead of cancelling.
fn slope(position: f64, index: usize) -> f64 {
    (0.7 + index as f64) * position + (3.0 * position).sin()
}

fn start() -> Vec<f64> {
    vec![1.5, -0.3, 0.8]
}

fn named(values: &[f64]) -> TensorMap {
    // Two parameters, so that their states could be confused.
    let tensor = |values: &[f64]| Tensor::new(values, &Device::Cpu).unwrap();
    TensorMap::from([
        ("a".to_owned(), tensor(&values[..2])),
        ("b".to_owned(), tensor(&values[2..])),
    ])
}

fn flat(map: &TensorMap) -> Vec<f64> {
    map.values()
        .flat_map(|tensor| tensor.to_vec1::<f64>().unwrap())
        .collect()
}

fn slopes(values: &[f64]) -> TensorMap {
    let slopes: Vec<f64> = values
        .iter()
        .enumerate()
        .map(|(index, &value)| slope(value, index))
        .collect();
    named(&slopes)
}

fn run(optimizer: &dyn Optimizer, rate: f64) -> Vec<f64> {
    let mut values = Weights::new(named(&start())).unwrap();
    let mut state = State::default();
    for _ in 0..STEPS {
        let gradients = slopes(&flat(values.tensors()));
        (values, state) = optimizer.step(rate, &values, &gradients, &state).unwrap();
    }
    assert_eq!(state.steps(), STEPS as u64);
    flat(values.tensors())
}

fn assert_close(found: &[f64], expected: &[f64]) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12, "{found} != {expected}");
    }
}

#[test]
fn descent_follows_its_formula() {
    for (momentum, nesterov, weight_decay) in [
        (0.0, false, 0.0),
        (0.0, false, 0.1),
        (0.9, false, 0.0),
        (0.9, true, 0.01),
    ] {
        let mut expected = start();
        let mut velocity = [0.0; 3];
        for _ in 0..STEPS {
            for i in 0..3 {
                let g = slope(expected[i], i) + weight_decay * expected[i];
                velocity[i] = momentum * velocity[i] + g;
                let direction = match (momentum == 0.0, nesterov) {
                    (true, _) => g,
                    (false, true) => g + momentum * velocity[i],
                    (false, false) => velocity[i],
                };
                expected[i] -= 0.05 * direction;
            }
        }
        let sgd = Sgd {
            momentum,
            nesterov,
            weight_decay,
        };
        assert_close(&run(&sgd, 0.05), &expected);
    }
}

#[test]
fn adam_follows_its_formula() {
    for adam in [
        Adam::default(),
        Adam {
            weight_decay: 0.1,
            ..Adam::default()
        },
        Adam::decoupled(0.1),
    ] {
        let mut expected = start();
        let (mut m, mut v) = ([0.0; 3], [0.0; 3]);
        for step in 1..=STEPS as i32 {
            for i in 0..3 {
                let mut g = slope(expected[i], i);
                if adam.decoupled {
                    expected[i] *= 1.0 - 0.05 * adam.weight_decay;
                } else {
                    g += adam.weight_decay * expected[i];
                }
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                let m_hat = m[i] / (1.0 - 0.9f64.powi(step));
                let v_hat = v[i] / (1.0 - 0.999f64.powi(step));
                expected[i] -= 0.05 * m_hat / (v_hat.sqrt() + 1e-8);
            }
        }
        assert_close(&run(&adam, 0.05), &expected);
    }
}

#[test]
fn rms_prop_follows_its_formula() {
    for rms_prop in [
        RmsProp::default(),
        RmsProp {
            alpha: 0.9,
            momentum: 0.8,
            weight_decay: 0.1,
            ..RmsProp::default()
        },
    ] {
        let mut expected = start();
        let (mut v, mut b) = ([0.0; 3], [0.0; 3]);
        for _ in 0..STEPS {
            for i in 0..3 {
                let g = slope(expected[i], i) + rms_prop.weight_decay * expected[i];
                v[i] = rms_prop.alpha * v[i] + (1.0 - rms_prop.alpha) * g * g;
                b[i] = rms_prop.momentum * b[i] + g / (f64::sqrt(v[i]) + 1e-8);
                expected[i] -= 0.05 * b[i];
            }
        }
        assert_close(&run(&rms_prop, 0.05), &expected);
    }
}

#[test]
fn f32_follows_f64_and_gives_variables() {
    let optimizers: [&dyn Optimizer; 5] = [
        &Adam::default(),
        &Adam::decoupled(0.1),
        &Sgd::default(),
        &Sgd {
            momentum: 0.9,
            nesterov: true,
            weight_decay: 0.1,
        },
        &RmsProp {
            momentum: 0.8,
            ..RmsProp::default()
        },
    ];
    let single = |map: TensorMap| -> TensorMap {
        let convert = |tensor: Tensor| tensor.to_dtype(DType::F32).unwrap();
        map.into_iter()
            .map(|(name, x)| (name, convert(x)))
            .collect()
    };
    for optimizer in optimizers {
        let (mut values, mut state) = (
            Weights::new(single(named(&start()))).unwrap(),
            State::default(),
        );
        for _ in 0..STEPS {
            let double: Vec<f64> = values
                .tensors()
                .values()
                .flat_map(|x| x.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap())
                .collect();
            let gradients = single(slopes(&double));
            (values, state) = optimizer.step(0.05, &values, &gradients, &state).unwrap();
        }
        let expected = run(optimizer, 0.05);
        let found = values
            .tensors()
            .values()
            .flat_map(|x| x.to_vec1::<f32>().unwrap().into_iter().map(f64::from));
        for (found, expected) in found.zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} != {expected}");
        }
        assert!(values.tensors().values().all(Tensor::is_variable));
        assert!(!state.moments.values().any(Tensor::is_variable));
    }
}

#[test]
fn operands_of_other_shapes_and_types_are_refused() {
    let values = Weights::new(named(&start())).unwrap();
    let mut gradients = slopes(&start());
    let adam = Adam::default();
    let (_, state) = adam
        .step(0.1, &values, &gradients, &State::default())
        .unwrap();
    let wide = Tensor::zeros(3, DType::F64, &Device::Cpu).unwrap();
    let single = Tensor::zeros(2, DType::F32, &Device::Cpu).unwrap();
    for wrong in [&wide, &single] {
        gradients.insert("a".to_owned(), wrong.clone());
        let error = adam.step(0.1, &values, &gradients, &state).unwrap_err();
        assert!(error.to_string().contains("`a` is"), "{error}");
        let mut others = values.tensors().clone();
        others.insert("a".to_owned(), wrong.clone());
        let others = Weights::new(others).unwrap();
        let error = adam.step(0.1, &others, &gradients, &state).unwrap_err();
        assert!(error.to_string().contains("`first_moment/a` is"), "{error}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let values = Weights::new(named(&start())).unwrap();
    let adam = Adam::default();
    let mut gradients = slopes(&start());
    let (_, mut state) = adam
        .step(0.1, &values, &gradients, &State::default())
        .unwrap();
    state.moments.remove("first_moment/b");
    let error = adam.step(0.1, &values, &gradients, &state).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the moments have no tensor named `first_moment/b`"
    );
    gradients.remove("b");
    let error = adam
        .step(0.1, &values, &gradients, &State::default())
        .unwrap_err();
    assert_eq!(error.to_string(), "the gradients have no tensor named `b`");
}

#[test]
fn clipping_bounds_the_norm_over_all_parameters() {
    let gradients = named(&[3.0, 0.0, 4.0]);
    let (same, norm) = clip_grad_norm(&gradients, 6.0).unwrap();
    assert_eq!((norm, flat(&same)), (5.0, vec![3.0, 0.0, 4.0]));
    let (clipped, norm) = clip_grad_norm(&gradients, 1.0).unwrap();
    assert_eq!(norm, 5.0);
    for (found, expected) in flat(&clipped).iter().zip([0.6, 0.0, 0.8]) {
        assert!((found - expected).abs() < 1e-6, "{found}");
    }
    assert_eq!(clipped["a"].dtype(), DType::F64);
}

#[test]
fn norms_neither_overflow_nor_vanish() {
    let map = |values: &[f32]| {
        let tensor = Tensor::new(values, &Device::Cpu).unwrap();
        TensorMap::from([("a".to_owned(), tensor)])
    };
    for scale in [1e-35f32, 1e-25, 1.0, 1e25, 1e38] {
        let found = global_norm(&map(&[3.0 * scale, 0.0, -1.5 * scale])).unwrap();
        let expected = 11.25f64.sqrt() * f64::from(scale);
        assert!((found / expected - 1.0).abs() < 1e-6, "{found} {expected}");
    }
    assert_eq!(global_norm(&TensorMap::new()).unwrap(), 0.0);
    assert_eq!(global_norm(&map(&[])).unwrap(), 0.0);
    assert!(global_norm(&map(&[f32::NAN])).unwrap().is_nan());
    let (clipped, norm) = clip_grad_norm(&map(&[1e38, 1e38]), 1.0).unwrap();
    assert!(norm > 1e38);
    let clipped: Vec<f32> = clipped["a"].to_vec1().unwrap();
    assert!(clipped.iter().all(|x| (x - 0.5f32.sqrt()).abs() < 1e-6));
    let unknown = TensorMap::from([("a".to_owned(), Tensor::new(&[1u32], &Device::Cpu).unwrap())]);
    assert!(global_norm(&unknown).is_err());
}
