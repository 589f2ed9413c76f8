//! Training as a user sees it: the same bits for the same seed, and files that are whole.

#![expect(clippy::unwrap_used, reason = "a failure of candle fails the test")]

use candle_core::{DType, Device, Module, Result, Tensor};
use candle_nn::{Linear, VarBuilder};
use septet_core::nn::{
    Adam, NnError, Optimizer, Parameters, State, assert_gradient, clip_grad_norm, one_math_thread,
};
use septet_core::seed::SeedTree;

const CPU: &Device = &Device::Cpu;

struct Perceptron {
    hidden: Linear,
    output: Linear,
}

impl Perceptron {
    fn new(builder: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            hidden: candle_nn::linear(8, 96, builder.pp("hidden"))?,
            output: candle_nn::linear(96, 3, builder.pp("output"))?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.output.forward(&self.hidden.forward(x)?.tanh()?)
    }
}

fn batch(step: u64) -> (Tensor, Tensor) {
    let draw = |name, width| {
        let init = candle_nn::Init::Randn {
            mean: 0.0,
            stdev: 1.0,
        };
        let seed = SeedTree::new(3).index(step);
        septet_core::nn::initial(&seed, name, (512, width), init, DType::F32, CPU).unwrap()
    };
    (draw("x", 8), draw("y", 3))
}

fn train(seed: u64, steps: u64) -> Parameters {
    let parameters = Parameters::new(SeedTree::new(seed));
    let model = Perceptron::new(&parameters.builder(DType::F32, CPU)).unwrap();
    let mut state = State::default();
    for step in 0..steps {
        let (x, y) = batch(step);
        let loss = (model.forward(&x).unwrap() - y).unwrap();
        let loss = loss.sqr().unwrap().mean_all().unwrap();
        let gradients = parameters.gradients(&loss).unwrap();
        let (gradients, _) = clip_grad_norm(&gradients, 0.5).unwrap();
        let (values, next) = Adam::default()
            .step(0.01, &parameters.values(), &gradients, &state)
            .unwrap();
        parameters.assign(&values).unwrap();
        state = next;
    }
    parameters
}

#[test]
fn a_seed_gives_the_same_bits_with_any_number_of_threads() {
    let first = train(5, 20).fingerprint().unwrap();
    assert_eq!(first, train(5, 20).fingerprint().unwrap());
    assert_ne!(first, train(6, 20).fingerprint().unwrap());
    let beside = std::thread::spawn(|| train(5, 20).fingerprint().unwrap());
    assert_eq!(first, beside.join().unwrap());
    let _ = one_math_thread();
    assert_eq!(first, train(5, 20).fingerprint().unwrap());
}

#[test]
fn the_order_of_construction_does_not_matter() {
    let forwards = Parameters::new(SeedTree::new(1));
    let backwards = Parameters::new(SeedTree::new(1));
    let names = ["c", "a", "b"];
    for name in names {
        let builder = forwards.builder(DType::F32, CPU);
        candle_nn::linear(4, 4, builder.pp(name)).unwrap();
    }
    for name in names.iter().rev() {
        let builder = backwards.builder(DType::F32, CPU);
        candle_nn::linear(4, 4, builder.pp(name)).unwrap();
    }
    assert_eq!(
        forwards.fingerprint().unwrap(),
        backwards.fingerprint().unwrap()
    );
    assert_eq!(forwards.names(), {
        let mut sorted = backwards.names();
        sorted.sort();
        sorted
    });
}

#[test]
fn a_saved_model_is_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let (path, again) = (folder.path().join("m.safetensors"), folder.path().join("n"));
    let trained = train(5, 3);
    trained.save(&path).unwrap();
    trained.save(&again).unwrap();
    assert_eq!(
        std::fs::read(&path).unwrap(),
        std::fs::read(&again).unwrap()
    );
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);

    let loaded = Parameters::from_file(&path, CPU).unwrap();
    assert_eq!(
        loaded.fingerprint().unwrap(),
        trained.fingerprint().unwrap()
    );
    let model = Perceptron::new(&loaded.builder(DType::F32, CPU)).unwrap();
    assert_eq!(model.forward(&batch(0).0).unwrap().dims(), [512, 3]);

    let other = train(6, 0);
    other.load(&path).unwrap();
    assert_eq!(other.fingerprint().unwrap(), trained.fingerprint().unwrap());
}

#[test]
fn what_does_not_fit_a_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let store = |shapes: &[(&str, (usize, usize))]| {
        let parameters = Parameters::new(SeedTree::new(1));
        for (name, shape) in shapes {
            parameters
                .builder(DType::F32, CPU)
                .get(*shape, name)
                .unwrap();
        }
        parameters
    };
    store(&[("a", (2, 3)), ("b", (4, 1))]).save(&path).unwrap();
    let message = |shapes: &[(&str, (usize, usize))]| {
        let wanted = store(shapes);
        let before = wanted.fingerprint().unwrap();
        let error = wanted.load(&path).unwrap_err();
        assert_eq!(
            wanted.fingerprint().unwrap(),
            before,
            "nothing is overwritten"
        );
        let text = error.to_string();
        text.split_once("safetensors: ").unwrap().1.to_owned()
    };
    assert_eq!(
        message(&[("a", (2, 3)), ("b", (1, 4))]),
        "the tensor `b` is f32 [4, 1], expected f32 [1, 4]"
    );
    assert_eq!(
        message(&[("a", (2, 3)), ("b", (4, 1)), ("c", (5, 5))]),
        "the tensor `c` f32 [5, 5] is missing"
    );
    assert_eq!(
        message(&[("a", (2, 3))]),
        "the tensor `b` belongs to no parameter"
    );

    let bytes = std::fs::read(&path).unwrap();
    for cut in [0, 7, 8, 20, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let error = Parameters::from_file(&path, CPU).unwrap_err();
        assert!(matches!(error, NnError::Format { .. }), "{error}");
    }
    // A header that claims to be longer than any memory.
    std::fs::write(&path, u64::MAX.to_le_bytes()).unwrap();
    let error = Parameters::from_file(&path, CPU).unwrap_err();
    assert!(matches!(error, NnError::Format { .. }), "{error}");
    let absent = Parameters::from_file(folder.path().join("none"), CPU).unwrap_err();
    assert!(matches!(absent, NnError::File { .. }), "{absent}");
}

#[test]
fn a_model_gets_nothing_that_is_not_there() {
    let drawn = Parameters::new(SeedTree::new(1));
    let builder = drawn.builder(DType::F32, CPU);
    builder.get((2, 2), "a").unwrap();
    assert!(builder.get((2, 3), "a").is_err(), "another shape");
    let fixed = Parameters::from_tensors(&drawn.values()).unwrap();
    let builder = fixed.builder(DType::F32, CPU);
    assert!(builder.get((2, 2), "a").is_ok());
    assert!(builder.get((2, 2), "b").is_err(), "another name");
    // A copy: what happens to one store does not touch the other.
    let before = fixed.fingerprint().unwrap();
    let doubled = drawn.values()["a"].affine(2.0, 1.0).unwrap();
    drawn.assign(&[("a".to_owned(), doubled)].into()).unwrap();
    assert_eq!(fixed.fingerprint().unwrap(), before);
}

#[test]
fn a_parameter_without_gradient_is_an_error() {
    let parameters = Parameters::new(SeedTree::new(1));
    let builder = parameters.builder(DType::F32, CPU);
    let used = builder.get(4, "used").unwrap();
    builder.get(4, "forgotten").unwrap();
    let error = parameters.gradients(&used.sum_all().unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no gradient reaches the parameter `forgotten`"
    );
}

#[test]
fn the_gradient_of_a_layer_is_right() {
    let parameters = Parameters::new(SeedTree::new(1));
    let builder = parameters.builder(DType::F64, CPU);
    candle_nn::linear(4, 3, builder).unwrap();
    let inputs: Vec<Tensor> = parameters.values().into_values().collect();
    let x = batch(0).0.narrow(1, 0, 4).unwrap().narrow(0, 0, 5).unwrap();
    let x = x.to_dtype(DType::F64).unwrap();
    assert_gradient(&inputs, 1e-8, |p| {
        Linear::new(p[1].clone(), Some(p[0].clone()))
            .forward(&x)?
            .tanh()
    });
}
