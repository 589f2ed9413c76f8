//! Training through the public interface: every parameter gets a gradient, equal seeds give equal bits,
//! interrupted trainings continue, and networks learn.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

mod small;

use std::rc::Rc;

use candle_core::{DType, Device, Tensor as Candle};
use septet_coded_serving::Tensor;
use septet_coded_serving::code::Weights;
use septet_coded_serving::images::{Images, Strokes};
use septet_coded_serving::network::{Batch, SetEncoder};
use septet_coded_serving::train::{
    CouplingNetwork, CouplingSize, EncoderLoss, EncoderNetwork, EncoderSize, Fit, MlpNetwork,
    ResidualNetwork, TrainError, outputs,
};
use septet_core::nn::{CheckpointFile, Decay, NnError, Parameters, Schedule};
use septet_core::seed::SeedTree;
use small::{WIDTH, differences, encoder_network, images, query, seed, size, trained};

fn as_candle(images: &Images, count: usize) -> Candle {
    let pixels = images.gather(&(0..count).collect::<Vec<_>>());
    Candle::from_vec(pixels, (count, images.width()), &Device::Cpu).unwrap()
}

fn assert_gradients_reach_all(parameters: &Parameters, loss: &Candle) {
    let weights = parameters.weights();
    let gradients = weights.gradients(loss).unwrap();
    assert_eq!(gradients.len(), weights.tensors().len());
    for (name, gradient) in gradients {
        let largest = gradient.abs().unwrap().max_all().unwrap();
        let largest = largest.to_dtype(DType::F64).unwrap();
        assert!(largest.to_scalar::<f64>().unwrap() > 1e-9, "{name}");
    }
}

#[test]
fn every_parameter_gets_a_gradient() {
    let x = as_candle(&images(30), 30);
    for bound in [None, Some(0.5)] {
        let network = CouplingNetwork::new(size(bound), &seed()).unwrap();
        let loss = network
            .forward(&x)
            .unwrap()
            .sqr()
            .unwrap()
            .mean_all()
            .unwrap();
        assert_gradients_reach_all(network.parameters(), &loss);
    }
    let network = ResidualNetwork::new(WIDTH, 12, 2, 0.9, &seed()).unwrap();
    let loss = network
        .forward(&x)
        .unwrap()
        .sqr()
        .unwrap()
        .mean_all()
        .unwrap();
    assert_gradients_reach_all(network.parameters(), &loss);

    let network = MlpNetwork::new(&[WIDTH, 16, 10], &seed()).unwrap();
    let loss = network
        .forward(&x)
        .unwrap()
        .sqr()
        .unwrap()
        .mean_all()
        .unwrap();
    assert_gradients_reach_all(network.parameters(), &loss);

    let network = encoder_network();
    let loss = network
        .forward(&x, &[0.2; 5])
        .unwrap()
        .sqr()
        .unwrap()
        .mean_all()
        .unwrap();
    assert_gradients_reach_all(network.parameters(), &loss);
}

/// What is trained and what serves are the same network.
#[test]
fn inference_agrees_with_training() {
    let images = images(20);
    let x = as_candle(&images, 20);
    let all = images.batch(&(0..20).collect::<Vec<_>>());
    let rows = |tensor: Candle| -> Vec<f32> { tensor.flatten_all().unwrap().to_vec1().unwrap() };

    let network = CouplingNetwork::new(size(None), &seed()).unwrap();
    let found = network.classifier().unwrap().forward(&all).unwrap();
    let right = Batch::from_vec(10, 20, rows(network.forward(&x).unwrap()));
    assert!(differences(&found, &right) < 1e-4);

    let network = MlpNetwork::new(&[WIDTH, 16, 12, 10], &seed()).unwrap();
    let found = network.mlp().unwrap().forward(&all).unwrap();
    let right = Batch::from_vec(10, 20, rows(network.forward(&x).unwrap()));
    assert!(differences(&found, &right) < 1e-4);

    let network = encoder_network();
    let weights = [0.1, 0.2, 0.3, 0.4];
    let found = network
        .encoder()
        .unwrap()
        .encode_groups(&all, &weights)
        .unwrap();
    let right = Batch::from_vec(WIDTH, 5, rows(network.forward(&x, &weights).unwrap()));
    assert!(differences(&found, &right) < 1e-4);
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let images = images(100);
    let fingerprint = |seed: &SeedTree| {
        let network = CouplingNetwork::new(size(Some(1.0)), seed).unwrap();
        network.fit(&images, &Fit::new(5, 20, 1e-3), seed).unwrap();
        let base = network.classifier().unwrap();
        let encoder = EncoderNetwork::new(
            EncoderSize {
                width: WIDTH,
                features: 8,
                hidden: 8,
            },
            seed,
        )
        .unwrap();
        encoder
            .fit(
                &base,
                &images,
                3,
                EncoderLoss::Task,
                &Fit::new(5, 8, 1e-3),
                seed,
            )
            .unwrap();
        [network.parameters(), encoder.parameters()].map(|p| p.weights().fingerprint().unwrap())
    };
    assert_eq!(fingerprint(&seed()), fingerprint(&seed()));
    let other = SeedTree::new(8);
    assert!(
        fingerprint(&seed())
            .iter()
            .zip(fingerprint(&other))
            .all(|(a, b)| *a != b)
    );
}

#[test]
fn each_loss_trains_an_encoder() {
    let base = trained(Some(1.0), 200);
    let (train, test) = (images(1000), images(200));
    let groups = test.groups(4, &seed());
    let order: Vec<usize> = groups.concat();
    let x = test.batch(&order);
    let answers = base.forward(&x).unwrap();
    let error_of = |encoder: &SetEncoder| {
        let made = encoder.encode_groups(&x, &[0.25; 4]).unwrap();
        let parity = base.forward(&made).unwrap();
        let right = Batch::from_fn(10, groups.len(), |class, group| {
            (0..4).map(|i| 0.25 * answers[(class, 4 * group + i)]).sum()
        });
        (parity - right).norm()
    };
    let before = error_of(&encoder_network().encoder().unwrap());
    for (loss, rest) in [
        (EncoderLoss::Task, 0.7),
        (EncoderLoss::PixelLogCosh, 0.9),
        (EncoderLoss::LatentDistillation, 0.9),
        (EncoderLoss::PixelGan, 1.0),
    ] {
        let network = encoder_network();
        let fit = Fit::new(120, 32, 3e-3);
        network.fit(&base, &train, 4, loss, &fit, &seed()).unwrap();
        let after = error_of(&network.encoder().unwrap());
        assert!(after < rest * before, "{loss:?}: {before} to {after}");
    }
}

#[test]
fn students_and_parity_models_learn() {
    let base = trained(Some(1.0), 200);
    let (train, test) = (images(1000), images(300));
    let answers = outputs(&train, |x| base.forward(x)).unwrap();
    let student = MlpNetwork::new(&[WIDTH, 16, 10], &seed()).unwrap();
    student
        .fit_student(&train, &answers, &Fit::new(200, 50, 5e-3), &seed())
        .unwrap();
    let student = student.mlp().unwrap();
    let right = (0..300)
        .filter(|&i| student.answer(&query(&test, i)).unwrap().argmax() == Some(test.labels()[i]));
    // Chance is 30 of 300.
    assert!(right.count() > 200);

    let parity = MlpNetwork::new(&[WIDTH, 32, 10], &seed()).unwrap();
    parity
        .fit_parity(&train, &answers, 2, &Fit::new(300, 50, 5e-3), &seed())
        .unwrap();
    let parity = parity.parity_model(2).unwrap();
    let (mut error, mut size) = (0.0, 0.0);
    for i in 0..100 {
        let (a, b) = (query(&test, i), query(&test, 299 - i));
        let sum = a
            .values()
            .iter()
            .zip(b.values())
            .map(|(a, b)| (a + b) / 2.0_f32.sqrt());
        let found = parity.answer(&Tensor::vector(sum.collect())).unwrap();
        let (a, b) = (base.answer(&a).unwrap(), base.answer(&b).unwrap());
        for class in 0..10 {
            let right = a.values()[class] + b.values()[class];
            error += (found.values()[class] - right).powi(2);
            size += right.powi(2);
        }
    }
    assert!(error < 0.4 * size, "{error} of {size}");
}

#[test]
fn invalid_sizes_and_data_are_rejected() {
    let refused = |change: fn(&mut CouplingSize)| {
        let mut size = size(None);
        change(&mut size);
        assert!(CouplingNetwork::new(size, &seed()).is_err());
    };
    refused(|size| size.hidden = 0);
    refused(|size| size.blocks = 0);
    refused(|size| size.spectral_bound = Some(0.0));
    refused(|size| size.spectral_bound = Some(f64::NAN));
    refused(|size| size.order = vec![0, 1, 2]);
    refused(|size| size.order = vec![0, 1, 2, 2]);
    assert!(MlpNetwork::new(&[4], &seed()).is_err());
    assert!(ResidualNetwork::new(4, 4, 1, 1.0, &seed()).is_err());

    let network = CouplingNetwork::new(size(None), &seed()).unwrap();
    let few = network.fit(&images(10), &Fit::new(1, 20, 1e-3), &seed());
    assert!(matches!(few, Err(TrainError::Parameter { .. })));
    let labeled = Images::new(WIDTH, vec![0.5; WIDTH], vec![10]).unwrap();
    let label = network.fit(&labeled, &Fit::new(1, 1, 1e-3), &seed());
    assert!(matches!(label, Err(TrainError::Parameter { .. })));
    let blank = Images::new(WIDTH, vec![f32::NAN; 20 * WIDTH], vec![1; 20]).unwrap();
    let diverged = network.fit(&blank, &Fit::new(1, 20, 1e-3), &seed());
    assert!(matches!(
        diverged,
        Err(TrainError::Tensor(NnError::Diverged { step: 0, .. }))
    ));
}

const ENCODER_LOSSES: [EncoderLoss; 4] = [
    EncoderLoss::Task,
    EncoderLoss::PixelLogCosh,
    EncoderLoss::PixelGan,
    EncoderLoss::LatentDistillation,
];

/// Trains a new network, and gives the fingerprint of its weights.
type Training<'a> = Box<dyn Fn(&Fit) -> Result<[u8; 32], TrainError> + 'a>;

/// Every way to train that the library has, by name: a new one belongs here.
fn every_training(train: &Images) -> Vec<(String, Training<'_>)> {
    let base = CouplingNetwork::new(size(None), &seed()).unwrap();
    let base = Rc::new(base.classifier().unwrap());
    let answers = Rc::new(outputs(train, |x| base.forward(x)).unwrap());
    let fingerprint = |parameters: &Parameters| Ok(parameters.weights().fingerprint()?);
    let mut trainings: Vec<(String, Training<'_>)> = Vec::new();
    // With a bound, the singular vectors belong to the state.
    for bound in [None, Some(0.5)] {
        let coupling = move |fit: &Fit| {
            let network = CouplingNetwork::new(size(bound), &seed())?;
            network.fit(train, fit, &seed())?;
            fingerprint(network.parameters())
        };
        trainings.push((format!("coupling, bound {bound:?}"), Box::new(coupling)));
    }
    let targets = Rc::clone(&answers);
    let student = move |fit: &Fit| {
        let network = MlpNetwork::new(&[WIDTH, 16, 10], &seed())?;
        network.fit_student(train, &targets, fit, &seed())?;
        fingerprint(network.parameters())
    };
    trainings.push(("student".to_owned(), Box::new(student)));
    let parity = move |fit: &Fit| {
        let network = MlpNetwork::new(&[WIDTH, 16, 10], &seed())?;
        network.fit_parity(train, &answers, 2, fit, &seed())?;
        fingerprint(network.parameters())
    };
    trainings.push(("parity model".to_owned(), Box::new(parity)));
    for loss in ENCODER_LOSSES {
        let base = Rc::clone(&base);
        let encoder = move |fit: &Fit| {
            let network = encoder_network();
            network.fit(&base, train, 2, loss, fit, &seed())?;
            fingerprint(network.parameters())
        };
        trainings.push((format!("encoder, {loss:?}"), Box::new(encoder)));
    }
    let weights = Weights::cauchy(2, 2).unwrap();
    let parities = move |fit: &Fit| {
        let network = encoder_network();
        let loss = EncoderLoss::Task;
        network.fit_parities(&base, train, &weights, loss, fit, &seed())?;
        fingerprint(network.parameters())
    };
    trainings.push(("encoder, two parities".to_owned(), Box::new(parities)));
    trainings
}

#[test]
fn diverging_training_is_a_typed_error() {
    let train = images(60);
    let fit = Fit::new(30, 20, 1e9);
    for (name, training) in every_training(&train) {
        let error = training(&fit).unwrap_err();
        let diverged = matches!(error, TrainError::Tensor(NnError::Diverged { .. }));
        assert!(diverged, "{name}: {error}");
    }
}

#[test]
fn a_learning_rate_that_reaches_zero_ends_no_training() {
    let train = images(60);
    let base = CouplingNetwork::new(size(None), &seed()).unwrap();
    let base = base.classifier().unwrap();
    let decay = Decay::Linear {
        steps: 2,
        floor: 0.0,
    };
    let fit = Fit {
        schedule: Schedule { warm_up: 0, decay },
        ..Fit::new(4, 20, 1e-3)
    };
    for loss in ENCODER_LOSSES {
        encoder_network()
            .fit(&base, &train, 2, loss, &fit, &seed())
            .unwrap();
    }
}

/// A process that is killed between two writes leaves the checkpoint of the earlier one; that of an
/// even step here, or of the last step.
#[test]
fn resumed_training_is_bitwise_equal() {
    let train = images(60);
    let folder = tempfile::tempdir().unwrap();
    for (name, training) in every_training(&train) {
        let plain = Fit::new(9, 16, 1e-2);
        let through = training(&plain).unwrap();
        let path = folder.path().join(&name);
        let kept = |steps| Fit {
            steps,
            checkpoint: Some(CheckpointFile::new(&path, 2).unwrap()),
            ..plain.clone()
        };
        for interrupted_at in [4, 5] {
            assert_ne!(training(&kept(interrupted_at)).unwrap(), through, "{name}");
        }
        assert_eq!(training(&kept(9)).unwrap(), through, "{name}");
        // A shorter training than that of the file is an error, and nothing is trained after the end.
        let error = training(&kept(8)).unwrap_err();
        let rejected = matches!(error, TrainError::Tensor(NnError::Parameter { .. }));
        assert!(rejected, "{name}: {error}");
        assert_eq!(training(&kept(9)).unwrap(), through, "{name}");
    }
}

#[test]
fn a_checkpoint_of_another_training_is_refused() {
    let (train, others) = (images(60), images(61));
    let base = CouplingNetwork::new(size(None), &seed()).unwrap();
    let base = base.classifier().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("encoder");
    let fit = Fit {
        checkpoint: Some(CheckpointFile::new(&path, 2).unwrap()),
        ..Fit::new(4, 16, 1e-3)
    };
    let hasty = Fit {
        learning_rate: 2e-3,
        ..fit.clone()
    };
    let encoder = |images, group, fit: &Fit, seed: &SeedTree| {
        encoder_network().fit(&base, images, group, EncoderLoss::Task, fit, seed)
    };
    encoder(&train, 2, &fit, &seed()).unwrap();
    for result in [
        encoder(&others, 2, &fit, &seed()),
        encoder(&train, 3, &fit, &seed()),
        encoder(&train, 2, &hasty, &seed()),
        encoder(&train, 2, &fit, &seed().child("other")),
        encoder_network().fit(&base, &train, 2, EncoderLoss::PixelGan, &fit, &seed()),
    ] {
        let error = result.unwrap_err();
        let refused = matches!(error, TrainError::Tensor(NnError::OtherTraining { .. }));
        assert!(refused, "{error}");
    }
    encoder(&train, 2, &fit, &seed()).unwrap();
}

#[test]
fn accuracy_of_a_linear_classifier_of_strokes_is_in_range() {
    let strokes = Strokes::new(16, &seed());
    let (train, test) = (
        strokes.images(4000, &seed().child("train")),
        strokes.images(1000, &seed().child("test")),
    );
    let linear = MlpNetwork::new(&[256, 10], &seed()).unwrap();
    let answers = Batch::zeros(10, train.len());
    linear
        .fit_student(&train, &answers, &Fit::new(400, 100, 1e-2), &seed())
        .unwrap();
    let linear = linear.mlp().unwrap();
    let right = (0..1000)
        .filter(|&i| linear.answer(&query(&test, i)).unwrap().argmax() == Some(test.labels()[i]))
        .count();
    assert!((850..=970).contains(&right), "{right} of 1000");
}
