//! Training as a user sees it: the same bits for the same seed, and files that are whole.

#![expect(clippy::unwrap_used, reason = "a failure of candle fails the test")]

use candle_core::{DType, Device, Module, Result, Tensor};
use candle_nn::{Linear, VarBuilder};
use septet_core::nn::{
    Adam, Checkpoint, CheckpointFile, NnError, Optimizer, Parameters, Schedule, Sgd, Step,
    TensorMap, Weights, assert_gradient, one_math_thread,
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

fn untrained(seed: u64) -> Parameters {
    let parameters = Parameters::new(SeedTree::new(seed));
    Perceptron::new(&parameters.builder(DType::F32, CPU)).unwrap();
    parameters
}

fn loss(parameters: &Parameters, step: u64) -> std::result::Result<Tensor, NnError> {
    let (x, y) = batch(step);
    let model = Perceptron::new(&parameters.builder(DType::F32, CPU))?;
    Ok((model.forward(&x)? - y)?.sqr()?.mean_all()?)
}

/// Trains to `steps` steps, from the checkpoint if there is one.
fn train_with<O: Optimizer>(
    step: &Step<O>,
    parameters: &Parameters,
    steps: u64,
    file: Option<&CheckpointFile>,
) -> std::result::Result<(), NnError> {
    step.run(
        parameters,
        steps,
        file,
        |step| loss(parameters, step),
        |_| (),
    )
}

fn train(seed: u64, steps: u64) -> Parameters {
    let parameters = untrained(seed);
    let step = Step::new(Adam::default(), 0.01).max_gradient_norm(0.5);
    train_with(&step, &parameters, steps, None).unwrap();
    parameters
}

fn fingerprint(parameters: &Parameters) -> [u8; 32] {
    parameters.weights().fingerprint().unwrap()
}

#[test]
fn resumed_training_is_bitwise_equal() {
    fn check<O: Optimizer>(optimizer: O) {
        let step = Step::new(optimizer, 0.01).max_gradient_norm(0.5);
        let through = untrained(5);
        train_with(&step, &through, 7, None).unwrap();
        for interrupted_at in 0..7 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("training.safetensors");
            let file = CheckpointFile::new(&path, 2).unwrap();
            let first = untrained(5);
            train_with(&step, &first, interrupted_at, Some(&file)).unwrap();
            // Another process would begin with fresh parameters.
            let second = untrained(5);
            train_with(&step, &second, 7, Some(&file)).unwrap();
            assert_eq!(
                fingerprint(&second),
                fingerprint(&through),
                "{interrupted_at}"
            );
            let bytes = std::fs::read(&path).unwrap();
            Checkpoint::load(&path, CPU).unwrap().save(&path).unwrap();
            assert_eq!(
                std::fs::read(&path).unwrap(),
                bytes,
                "equal states, equal bytes"
            );
        }
    }
    check(Adam::default());
    check(Sgd {
        momentum: 0.9,
        ..Sgd::default()
    });
    check(Sgd::default());
}

#[test]
fn checkpoints_of_another_model_or_damaged_are_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("training.safetensors");
    let step = Step::new(Adam::default(), 0.01);
    let file = CheckpointFile::new(&path, 1).unwrap();
    let other = Parameters::new(SeedTree::new(1));
    other.builder(DType::F32, CPU).get(4, "w").unwrap();
    let square = |_| -> std::result::Result<Tensor, NnError> {
        Ok(other.weights().get("w").unwrap().sqr()?.sum_all()?)
    };
    step.run(&other, 1, Some(&file), square, |_| ()).unwrap();
    let error = train_with(&step, &untrained(5), 2, Some(&file)).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("`hidden.bias` f32 [96] is missing"),
        "{error}"
    );

    // A model's file is no checkpoint.
    untrained(5).weights().save(&path).unwrap();
    let error = Checkpoint::load(&path, CPU).unwrap_err().to_string();
    assert!(
        error.ends_with("the tensor `steps` i64 [1], not negative is missing"),
        "{error}"
    );
    for (name, tensor, expected) in [
        (
            "steps",
            Tensor::new(&[-1i64], CPU).unwrap(),
            "`steps` is i64 [1]",
        ),
        (
            "steps",
            Tensor::new(&[1f32], CPU).unwrap(),
            "`steps` is f32 [1]",
        ),
        (
            "stray",
            Tensor::new(&[1f32], CPU).unwrap(),
            "`stray` belongs to no parameter",
        ),
    ] {
        let steps = ("steps".to_owned(), Tensor::new(&[1i64], CPU).unwrap());
        let mut tensors = TensorMap::from([steps]);
        tensors.insert(name.to_owned(), tensor);
        Weights::new(tensors).unwrap().save(&path).unwrap();
        let error = Checkpoint::load(&path, CPU).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(CheckpointFile::new(&path, 0).is_err());
}

#[test]
fn diverging_training_is_a_typed_error() {
    fn diverges<O: Optimizer>(step: &Step<O>) -> String {
        let parameters = untrained(5);
        let error = train_with(step, &parameters, 50, None).unwrap_err();
        assert!(matches!(error, NnError::Diverged { .. }), "{error}");
        // The weights are those of the last step that was good.
        for value in parameters.weights().tensors().values() {
            let largest = value.abs().unwrap().max_all().unwrap();
            assert!(largest.to_scalar::<f32>().unwrap().is_finite());
        }
        error.to_string()
    }
    let warm_up = Schedule {
        warm_up: 100,
        ..Schedule::default()
    };
    diverges(&Step::new(Adam::default(), 1e9));
    diverges(&Step::new(Adam::default(), 1e9).schedule(warm_up));
    diverges(&Step::new(Sgd::default(), 1e9).max_gradient_norm(1.0));
    let text = diverges(&Step::new(Sgd::default(), 1e9));
    assert!(
        text.contains("step 0") && text.contains("1000000000"),
        "{text}"
    );

    for rate in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
        let step = Step::new(Adam::default(), rate);
        let error = train_with(&step, &untrained(5), 1, None).unwrap_err();
        assert!(error.to_string().starts_with("learning rate: "), "{error}");
    }
    let step = Step::new(Adam::default(), 0.1).max_gradient_norm(0.0);
    assert!(train_with(&step, &untrained(5), 1, None).is_err());
}

#[test]
fn a_loss_or_gradient_that_is_not_finite_changes_nothing() {
    let parameters = Parameters::new(SeedTree::new(1));
    let w = parameters.builder(DType::F32, CPU).get(4, "w").unwrap();
    let mut checkpoint = Checkpoint::new(parameters.weights());
    let step = Step::new(Adam::default(), 0.01);
    let infinite = (&w * f64::INFINITY).unwrap().sum_all().unwrap();
    // The value is 0, the gradient is not a number: 0 * infinity.
    let zero = ((&w - &w).unwrap() * 1e30)
        .unwrap()
        .sqr()
        .unwrap()
        .sqrt()
        .unwrap();
    let pairs = w.sum_all().unwrap().broadcast_as(2).unwrap();
    for (loss, quantity) in [
        (infinite, "loss"),
        (zero.sum_all().unwrap(), "norm of the gradients"),
        (pairs, "one element"),
    ] {
        let before = checkpoint.weights.fingerprint().unwrap();
        let error = step.take(&mut checkpoint, &loss).unwrap_err();
        assert!(error.to_string().contains(quantity), "{error}");
        assert_eq!(checkpoint.weights.fingerprint().unwrap(), before);
        assert_eq!(checkpoint.steps(), 0);
    }
}

#[test]
fn a_seed_gives_the_same_bits_with_any_number_of_threads() {
    let first = fingerprint(&train(5, 20));
    assert_eq!(first, fingerprint(&train(5, 20)));
    assert_ne!(first, fingerprint(&train(6, 20)));
    let beside = std::thread::spawn(|| fingerprint(&train(5, 20)));
    assert_eq!(first, beside.join().unwrap());
    let _ = one_math_thread();
    assert_eq!(first, fingerprint(&train(5, 20)));
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
    assert_eq!(fingerprint(&forwards), fingerprint(&backwards));
    assert!(forwards.weights().names().is_sorted());
    assert!(forwards.weights().names().eq(backwards.weights().names()));
}

#[test]
fn a_saved_model_round_trips() {
    let folder = tempfile::tempdir().unwrap();
    let (path, again) = (folder.path().join("m.safetensors"), folder.path().join("n"));
    let trained = train(5, 3);
    trained.weights().save(&path).unwrap();
    trained.weights().save(&again).unwrap();
    assert_eq!(
        std::fs::read(&path).unwrap(),
        std::fs::read(&again).unwrap()
    );
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);

    let loaded = Weights::load(&path, CPU).unwrap();
    assert_eq!(loaded.fingerprint().unwrap(), fingerprint(&trained));
    let model = Perceptron::new(&loaded.builder(DType::F32, CPU)).unwrap();
    assert_eq!(model.forward(&batch(0).0).unwrap().dims(), [512, 3]);

    let other = train(6, 0);
    other.load(&path).unwrap();
    assert_eq!(fingerprint(&other), fingerprint(&trained));
}

#[test]
fn tensors_that_do_not_match_a_file_are_named() {
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
    let two = store(&[("a", (2, 3)), ("b", (4, 1))]);
    two.weights().save(&path).unwrap();
    let message = |shapes: &[(&str, (usize, usize))]| {
        let wanted = store(shapes);
        let before = fingerprint(&wanted);
        let error = wanted.load(&path).unwrap_err();
        assert_eq!(fingerprint(&wanted), before, "nothing is overwritten");
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
        let error = Weights::load(&path, CPU).unwrap_err();
        assert!(matches!(error, NnError::Format { .. }), "{error}");
    }
    // A header that claims to be longer than any memory.
    std::fs::write(&path, u64::MAX.to_le_bytes()).unwrap();
    let error = Weights::load(&path, CPU).unwrap_err();
    assert!(matches!(error, NnError::Format { .. }), "{error}");
    let absent = Weights::load(folder.path().join("none"), CPU).unwrap_err();
    assert!(matches!(absent, NnError::File { .. }), "{absent}");
}

#[test]
fn missing_parameters_are_an_error() {
    let drawn = Parameters::new(SeedTree::new(1));
    let builder = drawn.builder(DType::F32, CPU);
    builder.get((2, 2), "a").unwrap();
    assert!(builder.get((2, 3), "a").is_err(), "another shape");
    let weights = drawn.weights();
    for builder in [
        weights.builder(DType::F32, CPU),
        Parameters::from(weights.clone()).builder(DType::F32, CPU),
    ] {
        assert!(builder.get((2, 2), "a").is_ok());
        assert!(builder.get((2, 3), "a").is_err(), "another shape");
        assert!(builder.get((2, 2), "b").is_err(), "another name");
    }
    // A snapshot stays as it is when a newer one takes its place.
    let before = weights.fingerprint().unwrap();
    let doubled = weights.tensors()["a"].affine(2.0, 1.0).unwrap();
    drawn.set(Weights::new([("a".to_owned(), doubled)].into()).unwrap());
    assert_eq!(weights.fingerprint().unwrap(), before);
    assert_ne!(fingerprint(&drawn), before);
    // Nor does it share the memory of a variable that it was made of.
    let variable = candle_core::Var::zeros(2, DType::F32, CPU).unwrap();
    let of_variable =
        Weights::new([("v".to_owned(), variable.as_tensor().clone())].into()).unwrap();
    let before = of_variable.fingerprint().unwrap();
    let ones = Tensor::ones(2, DType::F32, CPU).unwrap();
    variable.set(&ones).unwrap();
    assert_eq!(of_variable.fingerprint().unwrap(), before);
}

#[test]
fn a_parameter_without_gradient_is_an_error() {
    let parameters = Parameters::new(SeedTree::new(1));
    let builder = parameters.builder(DType::F32, CPU);
    let used = builder.get(4, "used").unwrap();
    builder.get(4, "forgotten").unwrap();
    let weights = parameters.weights();
    let error = weights.gradients(&used.sum_all().unwrap()).unwrap_err();
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
    let inputs: Vec<Tensor> = parameters.weights().tensors().values().cloned().collect();
    let x = batch(0).0.narrow(1, 0, 4).unwrap().narrow(0, 0, 5).unwrap();
    let x = x.to_dtype(DType::F64).unwrap();
    assert_gradient(&inputs, 1e-8, |p| {
        Linear::new(p[1].clone(), Some(p[0].clone()))
            .forward(&x)?
            .tanh()
    });
}

#[test]
fn a_parameter_that_the_loss_draws_is_an_error() {
    let parameters = Parameters::new(SeedTree::new(5));
    let error = train_with(&Step::new(Adam::default(), 0.01), &parameters, 2, None).unwrap_err();
    assert!(matches!(error, NnError::NotBuilt { .. }), "{error}");
}

#[test]
fn a_checkpoint_continues_from_the_first_step_and_never_backwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("training.safetensors");
    let file = CheckpointFile::new(&path, 1).unwrap();
    let step = Step::new(Adam::default(), 0.01);
    // The state before the first step counts as any other, also with other weights.
    Checkpoint::new(untrained(6).weights()).save(&path).unwrap();
    let resumed = untrained(5);
    train_with(&step, &resumed, 3, Some(&file)).unwrap();
    let through = untrained(6);
    train_with(&step, &through, 3, None).unwrap();
    assert_eq!(fingerprint(&resumed), fingerprint(&through));

    let error = train_with(&step, &untrained(6), 2, Some(&file)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "steps of the checkpoint: expected at most 2, the steps of this training, found 3"
    );
}

#[test]
fn a_gradient_whose_square_overflows_is_a_divergence() {
    let run = |norm: Option<f64>| {
        let parameters = untrained(5);
        let step = Step::new(Adam::default(), 0.01).max_gradient_norm(norm);
        let scaled = |at: u64| Ok((loss(&parameters, at)? * 1e21)?);
        step.run(&parameters, 2, None, scaled, |_| ())
    };
    let error: NnError = run(None).unwrap_err();
    assert!(
        matches!(error, NnError::Diverged { step: 0, .. }),
        "{error}"
    );
    run(Some(1.0)).unwrap();
}

#[test]
fn a_parameter_of_another_type_is_an_error() {
    let parameters = untrained(5);
    let error = Perceptron::new(&parameters.builder(DType::F64, CPU))
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .contains("f32 [96, 8], the model asks for f64 [96, 8]"),
        "{error}"
    );
}

#[test]
fn a_checkpoint_of_another_training_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("training.safetensors");
    let step = Step::new(Adam::default(), 0.01);
    let plain = || CheckpointFile::new(&path, 1).unwrap();
    let of = |data: &str| plain().for_training(["batch size 4", data]);
    train_with(&step, &untrained(5), 2, Some(&of("a"))).unwrap();
    train_with(&step, &untrained(5), 3, Some(&of("a"))).unwrap();
    let before = std::fs::read(&path).unwrap();
    for other in [of("b"), plain(), plain().for_training(["batch size 4a"])] {
        let error = train_with(&step, &untrained(5), 4, Some(&other)).unwrap_err();
        assert!(matches!(error, NnError::OtherTraining { .. }), "{error}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// A target and its follower, each of which takes a step after the other's.
fn train_two(
    networks: [&Parameters; 2],
    steps: u64,
    file: Option<&CheckpointFile>,
) -> std::result::Result<(), NnError> {
    let step = Step::new(Adam::default(), 0.01);
    let output = |parameters: &Parameters, at| {
        Perceptron::new(&parameters.builder(DType::F32, CPU))?.forward(&batch(at).0)
    };
    let [target, follower] = networks;
    let [mut of_target, mut of_follower] = match file {
        Some(file) => file.start(networks, steps)?,
        None => networks.map(|network| Checkpoint::new(network.weights())),
    };
    for at in of_target.steps()..steps {
        // The follower takes two steps, so that the numbers of steps differ.
        for _ in 0..2 {
            let difference = (output(follower, at)? - output(target, at)?.detach())?;
            step.take(&mut of_follower, &difference.sqr()?.mean_all()?)?;
            follower.set(of_follower.weights.clone());
        }
        let difference = (output(target, at)? + output(follower, at)?.detach())?;
        step.take(&mut of_target, &difference.sqr()?.mean_all()?)?;
        target.set(of_target.weights.clone());
        target.set_buffer("position", Tensor::new(&[at as i64], CPU)?);
        if let Some(file) = file {
            let states = [(target, &mut of_target), (follower, &mut of_follower)];
            file.after_step(states, at + 1 == steps)?;
        }
    }
    Ok(())
}

#[test]
fn resumed_training_of_two_networks_is_bitwise_equal() {
    let pair = || [untrained(5), untrained(6)];
    let through = pair();
    train_two(through.each_ref(), 7, None).unwrap();
    for interrupted_at in 0..7 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("training.safetensors");
        let file = CheckpointFile::new(&path, 2).unwrap();
        train_two(pair().each_ref(), interrupted_at, Some(&file)).unwrap();
        let resumed = pair();
        train_two(resumed.each_ref(), 7, Some(&file)).unwrap();
        let found = resumed.each_ref().map(fingerprint);
        assert_eq!(
            found,
            through.each_ref().map(fingerprint),
            "{interrupted_at}"
        );
        // Buffers belong to the state, each to its network.
        let again = pair();
        let [target, follower] = file.start(again.each_ref(), 7).unwrap();
        assert_eq!((target.steps(), follower.steps()), (7, 14));
        let position = again[0].buffer("position").unwrap();
        assert_eq!(position.to_vec1::<i64>().unwrap(), [6]);
        assert!(again[1].buffer("position").is_none());
    }
}

#[test]
fn checkpoint_with_another_number_of_networks_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("training.safetensors");
    let pair = [untrained(5), untrained(6)];
    let both = pair.each_ref();
    let step = Step::new(Adam::default(), 0.01);
    let plain = || CheckpointFile::new(&path, 1).unwrap();
    let of = |training: &str| plain().for_training([training]);

    // The hash of the training is compared first, the tensors of the networks next.
    train_with(&step, &untrained(5), 1, Some(&of("one"))).unwrap();
    let error = of("two").start(both, 1).unwrap_err();
    assert!(matches!(error, NnError::OtherTraining { .. }), "{error}");
    let error = of("one").start(both, 1).unwrap_err();
    assert!(matches!(error, NnError::Missing { .. }), "{error}");
    assert!(
        error.to_string().contains("`network.0/steps` i64 [1]"),
        "{error}"
    );

    std::fs::remove_file(&path).unwrap();
    train_two(both, 3, Some(&of("two"))).unwrap();
    let error = train_with(&step, &untrained(5), 3, Some(&of("two"))).unwrap_err();
    assert!(matches!(error, NnError::Missing { .. }), "{error}");
    let error = plain().start(both, 3).unwrap_err();
    assert!(matches!(error, NnError::OtherTraining { .. }), "{error}");

    // Neither network changes unless the states of both are valid.
    let other = Parameters::new(SeedTree::new(1));
    other.builder(DType::F32, CPU).get(4, "w").unwrap();
    let valid = untrained(8);
    let before = fingerprint(&valid);
    let error = of("two").start([&valid, &other], 3).unwrap_err();
    assert!(matches!(error, NnError::Missing { .. }), "{error}");
    assert_eq!(fingerprint(&valid), before);
    let error = of("two").start(both, 2).unwrap_err();
    assert!(matches!(error, NnError::Parameter { .. }), "{error}");
}
