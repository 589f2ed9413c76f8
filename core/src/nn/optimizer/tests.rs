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
fn what_is_missing_is_named() {
    let values = Weights::new(named(&start())).unwrap();
    let adam = Adam::default();
    let mut gradients = slopes(&start());
    let (_, mut state) = adam
        .step(0.1, &values, &gradients, &State::default())
        .unwrap();
    state.moments.remove("mean/b");
    let error = adam.step(0.1, &values, &gradients, &state).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the moments have no tensor named `mean/b`"
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
    let (same, norm) = clip_by_global_norm(&gradients, 6.0).unwrap();
    assert_eq!((norm, flat(&same)), (5.0, vec![3.0, 0.0, 4.0]));
    let (clipped, norm) = clip_by_global_norm(&gradients, 1.0).unwrap();
    assert_eq!(norm, 5.0);
    for (found, expected) in flat(&clipped).iter().zip([0.6, 0.0, 0.8]) {
        assert!((found - expected).abs() < 1e-6, "{found}");
    }
    assert_eq!(clipped["a"].dtype(), DType::F64);
}
