//! Networks for inference: exact inverses and bounds that hold, codes that decode, files.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

mod small;

use std::sync::Arc;

use nalgebra::DMatrix;
use septet_coded_serving::code::{Code, Decoded, Encoder, InvNet, Slots};
use septet_coded_serving::network::{
    Array, Batch, Bijection, Dense, ExactInverse, InvertibleClassifier, Mlp, NetworkError,
    Residual, SetEncoder, Tensors, batch,
};
use septet_coded_serving::train::{CouplingNetwork, ResidualNetwork};
use septet_coded_serving::{CodeError, Tensor};
use septet_core::seed::SeedTree;
use small::{WIDTH, differences, encoder_network, images, query, seed, size, trained};

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
                    let x = batch(x.values(), WIDTH).unwrap();
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
                    let z = batch(latent.output.values(), WIDTH);
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

/// The exactness theorem on networks of ten seeds: every lost answer of every group of 2 to 12, every two of
/// eight with two parities; three are never guessed.
#[test]
fn lost_latents_come_back_from_any_network() {
    for number in 0..10 {
        let network = CouplingNetwork::new(size(None), &SeedTree::new(number)).unwrap();
        let bijection = Arc::new(network.classifier().unwrap().bijection().clone());
        let images = images(12);
        let sizes = (2..=12).map(|k| (k, 1)).chain([(8, 2)]);
        for (k, r) in sizes {
            let code = InvNet::new(k, r, ExactInverse::new(Arc::clone(&bijection))).unwrap();
            let queries: Vec<Tensor> = (0..k).map(|i| query(&images, i)).collect();
            let tasks = code.encode(&queries).unwrap();
            let inputs = queries.iter().chain(tasks.iter().map(|task| &task.input));
            let latents: Vec<Tensor> = inputs
                .map(|x| {
                    let x = batch(x.values(), WIDTH).unwrap();
                    Tensor::vector(bijection.forward(&x).unwrap().as_slice().to_vec())
                })
                .collect();
            let pairs = (0..k).flat_map(|a| (a..k).map(move |b| [a, b]));
            for pair in pairs.filter(|[a, b]| r == 2 || a == b) {
                let lost: Slots = pair.into_iter().collect();
                for latent in decode(&code, &latents, lost) {
                    // Two parities multiply errors by up to 79 for eight queries, one by 23 for twelve.
                    let tolerance = if lost.len() == 2 { 4e-4 } else { 1e-4 };
                    assert_near(&latent.output, &latents[latent.query], tolerance);
                }
            }
            for first in 0..k.saturating_sub(r) {
                let lost: Slots = (first..=first + r).collect();
                let here = latents.iter().enumerate();
                let here: Vec<_> = here.filter(|(slot, _)| !lost.contains(*slot)).collect();
                let refused = code.decode(k, &here, lost);
                assert!(matches!(refused, Err(CodeError::Unrecoverable { .. })));
            }
        }
    }
}

fn decode(code: &dyn Code, outputs: &[Tensor], lost: Slots) -> Vec<Decoded> {
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
fn layers_check_their_shapes() {
    let array = |shape: &[usize]| Array {
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
