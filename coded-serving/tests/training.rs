//! Training as a user meets it: gradients that reach everything, the same bits for the same seed,
//! bounds that hold, and codes that decode.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::sync::Arc;

use candle_core::{DType, Device, Tensor as Candle};
use nalgebra::DMatrix;
use septet_coded_serving::Tensor;
use septet_coded_serving::code::{Code, Encoder, InvNet, Slots};
use septet_coded_serving::images::{Images, Strokes};
use septet_coded_serving::network::{
    Batch, Bijection, Coupling, Dense, ExactInverse, InvertibleClassifier, Mlp, NetworkError,
    Residual, SetEncoder, Tensors, checkerboard,
};
use septet_coded_serving::train::{
    CouplingNetwork, CouplingSize, EncoderLoss, EncoderNetwork, EncoderSize, Fit, MlpNetwork,
    ResidualNetwork, TrainError, outputs,
};
use septet_core::seed::SeedTree;
use septet_core::tensor::Parameters;

const SIDE: usize = 8;
const WIDTH: usize = SIDE * SIDE;

fn seed() -> SeedTree {
    SeedTree::new(7)
}

fn images(count: usize) -> Images {
    Strokes::new(SIDE, &seed()).images(count, &seed().child(&count.to_string()))
}

fn size(spectral_bound: Option<f64>) -> CouplingSize {
    CouplingSize {
        order: checkerboard(SIDE, SIDE),
        blocks: 3,
        hidden: 24,
        classes: 10,
        spectral_bound,
    }
}

fn trained(spectral_bound: Option<f64>, steps: u64) -> InvertibleClassifier<Coupling> {
    let network = CouplingNetwork::new(size(spectral_bound), &seed()).unwrap();
    let fit = Fit::new(steps, 50, 5e-3);
    network.fit(&images(1000), &fit, &seed()).unwrap();
    network.classifier().unwrap()
}

fn query(images: &Images, index: usize) -> Tensor {
    Tensor::vector(images.image(index).to_vec())
}

fn as_candle(images: &Images, count: usize) -> Candle {
    let pixels = images.gather(&(0..count).collect::<Vec<_>>());
    Candle::from_vec(pixels, (count, images.width()), &Device::Cpu).unwrap()
}

fn assert_gradients_reach_all(parameters: &Parameters, loss: &Candle) {
    let gradients = parameters.gradients(loss).unwrap();
    assert_eq!(gradients.len(), parameters.names().len());
    for (name, gradient) in gradients {
        let largest = gradient.abs().unwrap().max_all().unwrap();
        let largest = largest.to_dtype(DType::F64).unwrap();
        assert!(largest.to_scalar::<f64>().unwrap() > 1e-9, "{name}");
    }
}

fn differences(a: &Batch, b: &Batch) -> f32 {
    (a - b).amax()
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

fn encoder_network() -> EncoderNetwork {
    let size = EncoderSize {
        width: WIDTH,
        features: 16,
        hidden: 24,
    };
    EncoderNetwork::new(size, &seed()).unwrap()
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
        [network.parameters(), encoder.parameters()].map(|p| p.fingerprint().unwrap())
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
fn the_inverse_is_exact_and_so_is_decoding() {
    for bound in [None, Some(1.0)] {
        let base = trained(bound, 60);
        let images = images(1000);
        let all = images.batch(&(0..1000).collect::<Vec<_>>());
        let back = base
            .bijection()
            .inverse(&base.latents(&all).unwrap())
            .unwrap();
        assert!(differences(&back, &all) <= 1e-5);
        // And on inputs that are no images.
        let noise = Batch::from_fn(WIDTH, 1000, |i, j| {
            ((i * 31 + j * 17) as f32 * 0.37).sin() * 2.0
        });
        let back = base
            .bijection()
            .inverse(&base.latents(&noise).unwrap())
            .unwrap();
        assert!(differences(&back, &noise) <= 1e-5);

        let base = Arc::new(base);
        let bijection = Arc::new(base.bijection().clone());
        for (k, r) in [(2, 1), (5, 1), (12, 1), (8, 2)] {
            let code = InvNet::new(k, r, ExactInverse::new(Arc::clone(&bijection))).unwrap();
            let queries: Vec<Tensor> = (0..k).map(|i| query(&images, 7 * i)).collect();
            let tasks = code.encode(&queries).unwrap();
            let inputs = queries.iter().chain(tasks.iter().map(|task| &task.input));
            let answers: Vec<Tensor> = inputs.clone().map(|x| base.answer(x).unwrap()).collect();
            let latents: Vec<Tensor> = inputs
                .map(|x| {
                    let x = septet_coded_serving::network::batch(x.values(), WIDTH).unwrap();
                    Tensor::vector(base.latents(&x).unwrap().as_slice().to_vec())
                })
                .collect();
            for lost in 0..k {
                let lost = [lost, (lost + 3) % k][..r]
                    .iter()
                    .copied()
                    .collect::<Slots>();
                let by_answers = decode(&code, &answers, lost);
                let by_latents = decode(&code, &latents, lost);
                for (answer, latent) in by_answers.iter().zip(&by_latents) {
                    let right = &answers[answer.query];
                    assert_near(
                        &answer.output,
                        right,
                        1e-4 * f32::from(if r == 1 { 1_u8 } else { 10 }),
                    );
                    assert_near(
                        &latent.output,
                        &latents[latent.query],
                        1e-4 * f32::from(if r == 1 { 1_u8 } else { 10 }),
                    );
                    // An affine head: decoding answers is decoding latents.
                    let z = septet_coded_serving::network::batch(latent.output.values(), WIDTH);
                    let head = base.answers_of(&z.unwrap()).unwrap();
                    let head = Tensor::vector(head.as_slice().to_vec());
                    assert_near(&answer.output, &head, 1e-3);
                }
            }
            let too_many: Slots = (0..=r).collect();
            let few: Vec<_> = answers
                .iter()
                .enumerate()
                .filter(|(s, _)| !too_many.contains(*s))
                .collect();
            assert!(code.decode(k, &few, too_many).is_err());
        }
    }
}

fn decode(
    code: &dyn Code,
    outputs: &[Tensor],
    lost: Slots,
) -> Vec<septet_coded_serving::code::Decoded> {
    let here = outputs.iter().enumerate();
    let here: Vec<_> = here.filter(|(slot, _)| !lost.contains(*slot)).collect();
    code.decode(code.shape().queries, &here, lost).unwrap()
}

fn assert_near(found: &Tensor, right: &Tensor, tolerance: f32) {
    let largest = right.values().iter().fold(0.0_f32, |l, v| l.max(v.abs()));
    for (found, right) in found.values().iter().zip(right.values()) {
        assert!(
            (found - right).abs() <= tolerance * (1.0 + largest),
            "{found} for {right}"
        );
    }
}

#[test]
fn bounds_hold() {
    for bound in [None, Some(1.0), Some(0.7)] {
        let base = trained(bound, 100);
        for block in base.bijection().blocks() {
            for layer in block.layers() {
                let largest = layer.weight().clone().singular_values()[0];
                if let Some(bound) = bound {
                    assert!(f64::from(largest) <= 1.02 * bound, "{largest}");
                }
            }
        }
        let (forward, inverse) = base.bijection().lipschitz_bounds();
        if bound == Some(1.0) {
            // The golden ratio for each block, and 1 % for each layer.
            assert!(forward <= 1.618_f64.powi(3) * 1.05, "{forward}");
        }
        let images = images(200);
        let x = images.batch(&(0..200).collect::<Vec<_>>());
        let z = base.latents(&x).unwrap();
        for i in 0..200 {
            // 50 partners each: 10 000 pairs.
            for step in 1..=50 {
                let j = (i + step) % 200;
                let inputs = f64::from((x.column(i) - x.column(j)).norm());
                let latents = f64::from((z.column(i) - z.column(j)).norm());
                assert!(latents <= forward * inputs * 1.0001);
                assert!(inputs <= inverse * latents * 1.0001);
            }
        }
    }
}

#[test]
fn residual_blocks_are_inverted_or_refused() {
    let network = ResidualNetwork::new(WIDTH, 20, 2, 0.9, &seed()).unwrap();
    let residual = network.residual().unwrap();
    let x = images(50).batch(&(0..50).collect::<Vec<_>>());
    let back = residual.inverse(&residual.forward(&x).unwrap()).unwrap();
    assert!(differences(&back, &x) <= 1e-4);
    let (forward, inverse) = residual.lipschitz_bounds();
    assert!(forward < 1.9_f64.powi(2) && inverse.is_finite());

    // A block that stretches: the iteration runs away.
    let stretching = residual.to_stretched();
    assert!(stretching.lipschitz_bounds().1.is_infinite());
    let latents = stretching.forward(&x).unwrap();
    assert!(matches!(
        stretching.inverse(&latents),
        Err(NetworkError::NotConverged { .. })
    ));
    // So does what is not a number.
    let mut bad = residual.forward(&x).unwrap();
    bad[(0, 0)] = f32::NAN;
    assert!(residual.inverse(&bad).is_err());
}

trait Stretched {
    fn to_stretched(&self) -> Residual;
}

impl Stretched for Residual {
    fn to_stretched(&self) -> Residual {
        let mut tensors = Tensors::default();
        self.insert_into(&mut tensors, "");
        let names: Vec<String> = tensors.names().map(str::to_owned).collect();
        for name in names {
            let mut array = tensors.get(&name).unwrap().clone();
            array.values.iter_mut().for_each(|value| *value *= 3.0);
            tensors.insert(name, array);
        }
        Residual::from_tensors(&tensors, "", self.width()).unwrap()
    }
}

#[test]
fn encoders_do_not_mind_the_order_and_take_smaller_groups() {
    let network = encoder_network();
    let encoder = network.encoder().unwrap();
    let images = images(6);
    let group: Vec<Tensor> = (0..6).map(|i| query(&images, i)).collect();
    let mut turned = group.clone();
    turned.rotate_left(2);
    let made = encoder.encode(&group, &[1.0 / 6.0; 6]).unwrap();
    assert_near(
        &encoder.encode(&turned, &[1.0 / 6.0; 6]).unwrap(),
        &made,
        1e-5,
    );
    let code = InvNet::new(6, 1, encoder).unwrap();
    let tasks = code.encode(&group[..4]).unwrap();
    assert_eq!((tasks.len(), tasks[0].slot), (1, 4));
    // Queries of another width are refused.
    let narrow = vec![Tensor::vector(vec![0.0; 3]); 6];
    assert!(code.encode(&narrow).is_err());
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
fn networks_come_back_from_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let base = trained(Some(1.0), 5);
    let path = folder.path().join("base.safetensors");
    base.to_tensors().write(&path).unwrap();
    assert_eq!(
        InvertibleClassifier::from_tensors(&Tensors::read(&path).unwrap()).unwrap(),
        base
    );
    let bytes = std::fs::read(&path).unwrap();
    base.to_tensors().write(&path).unwrap();
    assert_eq!(
        std::fs::read(&path).unwrap(),
        bytes,
        "equal tensors give equal bytes"
    );

    let encoder = encoder_network().encoder().unwrap();
    assert_eq!(
        SetEncoder::from_tensors(&encoder.to_tensors()).unwrap(),
        encoder
    );

    // Damaged files, and files of something else.
    std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    assert!(matches!(
        Tensors::read(&path),
        Err(NetworkError::Format { .. })
    ));
    std::fs::write(&path, b"not tensors").unwrap();
    assert!(matches!(
        Tensors::read(&path),
        Err(NetworkError::Format { .. })
    ));
    assert!(matches!(
        Tensors::read(folder.path().join("absent")),
        Err(NetworkError::File { .. })
    ));
    let wrong = InvertibleClassifier::from_tensors(&encoder.to_tensors());
    assert!(matches!(wrong, Err(NetworkError::Missing { .. })));
    assert!(SetEncoder::from_tensors(&base.to_tensors()).is_err());
    assert!(Mlp::from_tensors(&base.to_tensors(), "block.9.", 1).is_err());
    let mut tensors = base.to_tensors();
    let mut head = tensors.get("head.weight").unwrap().clone();
    head.shape = vec![640];
    tensors.insert("head.weight", head);
    assert!(matches!(
        InvertibleClassifier::from_tensors(&tensors),
        Err(NetworkError::Tensor { .. })
    ));
}

#[test]
fn what_makes_no_network_is_refused() {
    let refused = |change: fn(&mut CouplingSize)| {
        let mut size = size(None);
        change(&mut size);
        assert!(CouplingNetwork::new(size, &seed()).is_err());
    };
    refused(|size| size.hidden = 0);
    refused(|size| size.blocks = 0);
    refused(|size| size.order = vec![0, 1, 2]);
    refused(|size| size.order = vec![0, 1, 2, 2]);
    assert!(MlpNetwork::new(&[4], &seed()).is_err());
    assert!(ResidualNetwork::new(4, 4, 1, 1.0, &seed()).is_err());

    let network = CouplingNetwork::new(size(None), &seed()).unwrap();
    let few = network.fit(&images(10), &Fit::new(1, 20, 1e-3), &seed());
    assert!(matches!(few, Err(TrainError::Parameter { .. })));
    let labelled = Images::new(vec![0.5; WIDTH], vec![10]);
    let label = network.fit(&labelled, &Fit::new(1, 1, 1e-3), &seed());
    assert!(matches!(label, Err(TrainError::Parameter { .. })));
    let blank = Images::new(vec![f32::NAN; 20 * WIDTH], vec![1; 20]);
    let diverged = network.fit(&blank, &Fit::new(1, 20, 1e-3), &seed());
    assert!(matches!(
        diverged,
        Err(TrainError::Diverged { step: 0, .. })
    ));
}

#[test]
fn a_linear_readout_of_strokes_is_neither_trivial_nor_hopeless() {
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

/// An example of what `Dense` refuses, and the dense SVD of `nalgebra` as the independent judge above.
#[test]
fn layers_check_their_shapes() {
    let array = |shape: &[usize]| septet_coded_serving::network::Array {
        shape: shape.to_vec(),
        values: vec![1.0; shape.iter().product()],
    };
    let dense = Dense::new("layer", &array(&[2, 3]), &array(&[2])).unwrap();
    assert_eq!(dense.weight(), &DMatrix::from_element(2, 3, 1.0_f32));
    assert!(Dense::new("layer", &array(&[2, 3]), &array(&[3])).is_err());
    assert!(Dense::new("layer", &array(&[6]), &array(&[2])).is_err());
    assert!(Dense::new("layer", &array(&[0, 3]), &array(&[0])).is_err());
    let next = Dense::new("next", &array(&[4, 5]), &array(&[4])).unwrap();
    assert!(matches!(
        Mlp::new(vec![dense, next]),
        Err(NetworkError::Width {
            expected: 5,
            found: 2,
            ..
        })
    ));
}
