//! Training through the public interface: every parameter gets a gradient, equal seeds give equal bits,
//! interrupted trainings continue, and oracles cover more.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use candle_core::{DType, Device, Tensor};
use septet_core::nn::{CheckpointFile, NnError, assert_gradient, gradcheck};
use septet_core::seed::SeedTree;
use septet_sketch::oracle::{BlockFeatures, FlowFeatures, Oracle, TextFeatures};
use septet_sketch::stream::HeteroFlows;
use septet_sketch::train::{
    EmbedMlpNetwork, EmbedMlpSize, HsuLstm, LinearNetwork, Loss, Network, Sampler, Trainer, monitor,
};
use septet_sketch::{FlowKey, SketchError};

const LOSSES: [Loss; 6] = [
    Loss::LogMse,
    Loss::L1,
    Loss::BatchRank { group: 8 },
    Loss::BatchRank { group: 64 },
    Loss::Poisson,
    Loss::Tweedie { power: 1.5 },
];

fn seed() -> SeedTree {
    SeedTree::new(7)
}

fn vector(values: &[f64]) -> Tensor {
    Tensor::new(values, &Device::Cpu).unwrap()
}

/// Scores and counts without symmetry.
fn example(count: usize) -> (Vec<f64>, Vec<f64>) {
    // The absolute difference of L1 has a kink where a score is the logarithm of a count.
    let scores = (0..count)
        .map(|i| (i as f64 * 1.7 + 0.1).sin() * 2.0)
        .collect();
    let counts = (0..count).map(|i| ((i * i * 31) % 97 + 1) as f64).collect();
    (scores, counts)
}

/// The gradient of a loss, checked in every parameter that has one.
fn assert_gradients_reach<K>(network: &impl Network<K>, keys: &[K], loss: Loss) {
    let references: Vec<&K> = keys.iter().collect();
    let encoded = network.encode(&references).unwrap();
    let scores = network.forward(&encoded).unwrap();
    assert_eq!(scores.dims(), [keys.len()]);
    let (_, counts) = example(keys.len());
    let loss_value = loss.value(&scores, &vector(&counts), 0.0).unwrap();
    let gradients = network
        .parameters()
        .weights()
        .gradients(&loss_value)
        .unwrap();
    assert!(!gradients.is_empty());
    let last_bias = gradients
        .keys()
        .rfind(|name| name.ends_with("bias"))
        .cloned();
    for (name, gradient) in gradients {
        let gradient = gradient.to_dtype(DType::F64).unwrap();
        let largest = gradient.abs().unwrap().max_all().unwrap();
        let largest = largest.to_scalar::<f64>().unwrap();
        // Ranks do not change when all scores do by the same amount.
        if matches!(loss, Loss::BatchRank { .. }) && Some(&name) == last_bias.as_ref() {
            continue;
        }
        assert!(largest > 1e-9, "{loss:?}: {name}: {largest}");
    }
}

fn flows(count: usize) -> Vec<FlowKey> {
    HeteroFlows::new(&seed()).window(0, count).keys().to_vec()
}

fn texts(count: usize) -> Vec<String> {
    (0..count)
        .map(|i| format!("word{} {} other-{}", i % 7, i % 13, i))
        .collect()
}

#[test]
fn every_parameter_gets_a_gradient() {
    let size = EmbedMlpSize {
        rows: 16,
        width: 3,
        hidden: vec![8, 4],
    };
    let blocks: Vec<u64> = (0..200).map(|i| i * 977).collect();
    for loss in LOSSES {
        let linear = LinearNetwork::new(FlowFeatures::default(), 16, &seed()).unwrap();
        assert_gradients_reach(&linear, &flows(200), loss);
        let mlp = EmbedMlpNetwork::new(FlowFeatures::default(), size.clone(), &seed()).unwrap();
        assert_gradients_reach(&mlp, &flows(200), loss);
        let mlp = EmbedMlpNetwork::new(BlockFeatures::default(), size.clone(), &seed()).unwrap();
        assert_gradients_reach(&mlp, &blocks, loss);
        let mlp = EmbedMlpNetwork::<TextFeatures>::new::<String>(
            TextFeatures::default(),
            size.clone(),
            &seed(),
        );
        assert_gradients_reach(&mlp.unwrap(), &texts(200), loss);
        assert_gradients_reach(&HsuLstm::new(&seed()).unwrap(), &flows(100), loss);
    }
}

#[test]
fn every_row_that_is_read_gets_a_gradient() {
    let size = EmbedMlpSize {
        rows: 8,
        width: 2,
        hidden: vec![16],
    };
    let network = EmbedMlpNetwork::new(BlockFeatures::default(), size, &seed()).unwrap();
    let blocks: Vec<u64> = (0..500).map(|i| i * 977).collect();
    let references: Vec<&u64> = blocks.iter().collect();
    let encoded = network.encode(&references).unwrap();
    let scores = network.forward(&encoded).unwrap();
    let (_, counts) = example(500);
    let loss = Loss::LogMse.value(&scores, &vector(&counts), 0.0).unwrap();
    let parameters = Network::<u64>::parameters(&network);
    let gradients = parameters.weights().gradients(&loss).unwrap();
    let rows = gradients["embedding"].abs().unwrap().max(1).unwrap();
    let read: Vec<u32> = encoded.flatten_all().unwrap().to_vec1().unwrap();
    for (row, gradient) in rows.to_vec1::<f32>().unwrap().into_iter().enumerate() {
        assert_eq!(gradient > 0.0, read.contains(&(row as u32)), "row {row}");
    }
}

#[test]
fn losses_have_right_gradients() {
    // 19 examples: groups of 8 leave 3 over, groups of 64 are cut.
    let (scores, counts) = example(19);
    let counts = vector(&counts);
    for loss in LOSSES {
        for exponent in [0.0, 0.5, 1.0] {
            assert_gradient(&[vector(&scores)], 1e-7, |x| {
                loss.value(&x[0], &counts, exponent)
            });
        }
    }
    for group in [1, 2, 19, 20] {
        let loss = Loss::BatchRank { group };
        assert_gradient(&[vector(&scores)], 1e-7, |x| {
            loss.value(&x[0], &counts, 0.0)
        });
    }
}

#[test]
fn batch_rank_is_the_definition() {
    let (scores, counts) = example(21);
    for group in [1, 2, 5, 8, 21, 40] {
        for exponent in [0.0, 1.0] {
            let mut expected = 0.0;
            for (scores, counts) in scores.chunks(group).zip(counts.chunks(group)) {
                let n = scores.len() as f64;
                let mean = scores.iter().sum::<f64>() / n;
                let variance = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / n;
                for (s, c) in scores.iter().zip(counts) {
                    let z = (s - mean) / (variance + 1e-5).sqrt();
                    expected -= z * c.powf(1.0 - exponent);
                }
            }
            let found = Loss::BatchRank { group }
                .value(&vector(&scores), &vector(&counts), exponent)
                .unwrap();
            let found: f64 = found.to_scalar().unwrap();
            assert!(
                (found - expected).abs() < 1e-9,
                "{group}: {found} {expected}"
            );
        }
    }
}

#[test]
fn equal_scores_have_finite_gradients() {
    let counts = vector(&[1.0, 5.0, 1e5, 2.0, 3.0]);
    for group in [1, 2, 5] {
        let worst = gradcheck(&[vector(&[0.3; 5])], |x| {
            Loss::BatchRank { group }.value(&x[0], &counts, 0.0)
        })
        .unwrap();
        assert!(worst.gradient.is_finite() && worst.error.is_finite());
    }
}

fn small_window() -> (Vec<FlowKey>, Vec<u64>) {
    let window = HeteroFlows::new(&seed()).window(0, 4_000);
    (window.keys().to_vec(), window.counts().to_vec())
}

fn train_small(seed: &SeedTree, sampler: Sampler) -> [u8; 16] {
    let (keys, counts) = small_window();
    let size = EmbedMlpSize {
        rows: 64,
        width: 3,
        hidden: vec![16, 8],
    };
    let network = EmbedMlpNetwork::new(FlowFeatures::default(), size, seed).unwrap();
    Trainer::new(Loss::BatchRank { group: 8 }, seed)
        .sampler(sampler)
        .batch_size(256)
        .steps(30)
        .max_gradient_norm(100.0)
        .fit(&network, &keys, &counts, |_| ())
        .unwrap();
    Oracle::<FlowKey>::fingerprint(&network.oracle::<FlowKey>().unwrap())
}

#[test]
fn a_seed_gives_the_same_bits() {
    for sampler in [Sampler::Uniform, Sampler::ByCount { alpha: 1.0 }] {
        let first = train_small(&SeedTree::new(1), sampler);
        assert_eq!(first, train_small(&SeedTree::new(1), sampler));
        let beside = std::thread::spawn(move || train_small(&SeedTree::new(1), sampler));
        assert_eq!(first, beside.join().unwrap());
        assert_ne!(first, train_small(&SeedTree::new(2), sampler));
    }
}

#[test]
fn an_oracle_scores_as_its_network() {
    let keys = flows(300);
    let references: Vec<&FlowKey> = keys.iter().collect();
    let network_scores = |network: &dyn Network<FlowKey>| -> Vec<f32> {
        let encoded = network.encode(&references).unwrap();
        network.forward(&encoded).unwrap().to_vec1().unwrap()
    };
    let assert_same = |network: &dyn Network<FlowKey>, oracle: &dyn Oracle<FlowKey>| {
        let mut scores = vec![0.0; keys.len()];
        oracle.score(&references, &mut scores);
        let expected = network_scores(network);
        // Products are summed in another order.
        assert!(
            scores
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-5)
        );
    };
    let network =
        EmbedMlpNetwork::new(FlowFeatures::default(), EmbedMlpSize::default(), &seed()).unwrap();
    assert_same(&network, &network.oracle::<FlowKey>().unwrap());
    let network = LinearNetwork::new(FlowFeatures::default(), 64, &seed()).unwrap();
    let (train_keys, counts) = small_window();
    Trainer::new(Loss::LogMse, &seed())
        .steps(3)
        .fit(&network, &train_keys, &counts, |_| ())
        .unwrap();
    assert_same(&network, &network.oracle::<FlowKey>().unwrap());
    let network = HsuLstm::new(&seed()).unwrap();
    assert_same(&network, &network);
}

#[test]
fn a_recurrent_network_round_trips_through_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let network = HsuLstm::new(&seed()).unwrap();
    network.parameters().weights().save(&path).unwrap();
    let loaded = HsuLstm::load(&path).unwrap();
    assert_eq!(loaded.fingerprint(), network.fingerprint());

    let other = LinearNetwork::new(FlowFeatures::default(), 64, &seed()).unwrap();
    Network::<FlowKey>::parameters(&other)
        .weights()
        .save(&path)
        .unwrap();
    let error = HsuLstm::load(&path).unwrap_err();
    assert!(matches!(error, SketchError::Tensor(_)), "{error}");
}

#[test]
fn a_recurrent_network_learns() {
    // Flows to port 53 are small.
    let (keys, counts) = small_window();
    let network = HsuLstm::new(&seed()).unwrap();
    let mut losses = Vec::new();
    Trainer::new(Loss::LogMse, &seed())
        .batch_size(256)
        .steps(25)
        .fit(&network, &keys, &counts, |progress| {
            losses.push(progress.loss);
        })
        .unwrap();
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    assert_eq!(losses.len(), 25);
    assert!(mean(&losses[20..]) < 0.8 * mean(&losses[..5]), "{losses:?}");
}

/// Trains a new network on these counts, and gives the fingerprint of its weights and the number of
/// steps that were taken.
type Training<'a> = Box<dyn Fn(&Trainer, &[u64]) -> Result<([u8; 32], usize), SketchError> + 'a>;

/// Every network that the library trains, by name: a new one belongs here.
fn every_network(keys: &[FlowKey]) -> Vec<(&'static str, Training<'_>)> {
    fn train<N: Network<FlowKey>>(
        network: &N,
        trainer: &Trainer,
        keys: &[FlowKey],
        counts: &[u64],
    ) -> Result<([u8; 32], usize), SketchError> {
        let mut taken = 0;
        trainer.fit(network, keys, counts, |_| taken += 1)?;
        Ok((network.parameters().weights().fingerprint()?, taken))
    }
    vec![
        (
            "linear",
            Box::new(|trainer, counts| {
                let network = LinearNetwork::new(FlowFeatures::default(), 64, &seed())?;
                train(&network, trainer, keys, counts)
            }),
        ),
        (
            "embedding and perceptron",
            Box::new(|trainer, counts| {
                let size = EmbedMlpSize::default();
                let network = EmbedMlpNetwork::new(FlowFeatures::default(), size, &seed())?;
                train(&network, trainer, keys, counts)
            }),
        ),
        (
            "recurrent",
            Box::new(|trainer, counts| train(&HsuLstm::new(&seed())?, trainer, keys, counts)),
        ),
    ]
}

#[test]
fn diverging_training_is_a_typed_error() {
    let (keys, counts) = small_window();
    for loss in LOSSES {
        let trainer = Trainer::new(loss, &seed())
            .learning_rate(1e9)
            .batch_size(256)
            .steps(20);
        for (name, training) in every_network(&keys) {
            let error = training(&trainer, &counts).unwrap_err();
            let diverged = matches!(error, SketchError::Tensor(NnError::Diverged { .. }));
            assert!(diverged, "{name}, {loss:?}: {error}");
        }
    }
}

/// A process that is killed between two writes leaves the checkpoint of the earlier one; that of every
/// fourth step here, or of the last step.
#[test]
fn resumed_training_is_bitwise_equal() {
    let (keys, counts) = small_window();
    let folder = tempfile::tempdir().unwrap();
    for sampler in [Sampler::Uniform, Sampler::ByCount { alpha: 0.5 }] {
        for (name, training) in every_network(&keys) {
            let path = folder.path().join(format!("{name} {sampler:?}"));
            let plain = Trainer::new(Loss::Poisson, &seed())
                .sampler(sampler)
                .batch_size(64)
                .max_gradient_norm(1.0)
                .steps(9);
            let kept = plain
                .clone()
                .checkpoint(CheckpointFile::new(&path, 4).unwrap());
            let (through, _) = training(&plain, &counts).unwrap();
            for (steps, taken) in [(4, 4), (5, 1)] {
                let interrupted = training(&kept.clone().steps(steps), &counts).unwrap();
                assert_ne!(interrupted.0, through, "{name}");
                assert_eq!(interrupted.1, taken, "{name}: only the rest is trained");
            }
            let resumed = training(&kept, &counts).unwrap();
            assert_eq!(resumed, (through, 4), "{name}, {sampler:?}");

            // Another learning rate, and another window of the same size.
            let mut others = counts.clone();
            others[0] += 1;
            for (trainer, counts) in [(kept.clone().learning_rate(1e-2), &counts), (kept, &others)]
            {
                let error = training(&trainer, counts).unwrap_err();
                let rejected = matches!(error, SketchError::Tensor(NnError::OtherTraining { .. }));
                assert!(rejected, "{name}: {error}");
            }
        }
    }
}

#[test]
fn batch_rank_covers_more_than_log_mse() {
    let world = HeteroFlows::new(&seed());
    let train = world.window(0, 40_000);
    let test = world.window(1, 40_000);
    let coverage = |loss| {
        let size = EmbedMlpSize {
            rows: 512,
            width: 4,
            hidden: vec![32, 16],
        };
        let network = EmbedMlpNetwork::new(FlowFeatures::default(), size, &seed()).unwrap();
        Trainer::new(loss, &seed())
            .learning_rate(3e-3)
            .batch_size(1024)
            .steps(150)
            .fit(&network, train.keys(), train.counts(), |_| ())
            .unwrap();
        let oracle = network.oracle::<FlowKey>().unwrap();
        let references: Vec<&FlowKey> = test.keys().iter().collect();
        let mut scores = vec![0.0; references.len()];
        oracle.score(&references, &mut scores);
        let mut order: Vec<usize> = (0..references.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let covered: u64 = order[..4_800].iter().map(|&key| test.counts()[key]).sum();
        covered as f64 / test.total() as f64
    };
    let logarithm = coverage(Loss::LogMse);
    let rank = coverage(Loss::BatchRank { group: 8 });
    // Expected at 12 % of the keys: about 0.36 and 0.60.
    assert!(rank > 0.5 && logarithm < 0.5, "{rank} {logarithm}");
    assert!(rank > logarithm + 0.1, "{rank} {logarithm}");
}

#[test]
fn coverage_grows_while_a_network_learns() {
    let world = HeteroFlows::new(&seed());
    let (train, later) = (world.window(0, 20_000), world.window(1, 5_000));
    let network = LinearNetwork::new(FlowFeatures::default(), 512, &seed()).unwrap();
    let mut watched = vec![monitor(&network, later.keys(), later.counts())];
    Trainer::new(Loss::BatchRank { group: 8 }, &seed())
        .learning_rate(0.01)
        .steps(60)
        .fit(&network, train.keys(), train.counts(), |progress| {
            if progress.step % 20 == 0 {
                watched.push(monitor(&network, later.keys(), later.counts()));
            }
        })
        .unwrap();
    assert_eq!(watched.len(), 4);
    for coverages in &watched {
        assert!(coverages.iter().all(|at| at.covered <= at.ideal + 1e-12));
        assert!(
            coverages
                .windows(2)
                .all(|at| at[0].covered <= at[1].covered)
        );
    }
    // At 20 % of the keys; without training every key is as good as any other.
    let (before, after) = (watched[0][4], watched[3][4]);
    assert!((before.covered - 0.2).abs() < 0.1, "{before:?}");
    assert!(after.covered > 0.5, "{after:?}");
}

#[test]
fn wrong_arguments_are_named() {
    let network = LinearNetwork::new(BlockFeatures::default(), 8, &seed()).unwrap();
    let trainer = Trainer::new(Loss::LogMse, &seed());
    let fit = |keys: &[u64], counts: &[u64]| {
        trainer
            .fit(&network, keys, counts, |_| ())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        fit(&[1, 2], &[1]),
        "counts: expected 2, one for each key, found 1"
    );
    assert_eq!(
        fit(&[1, 2], &[1, 1]),
        "batch size: expected 1 to 2, the number of examples, found 1024"
    );
    assert!(LinearNetwork::new::<u64>(BlockFeatures::default(), 0, &seed()).is_err());
    assert!(LinearNetwork::new::<u64>(BlockFeatures::default(), 1 << 30, &seed()).is_err());
    for loss in [
        Loss::Tweedie { power: 2.0 },
        Loss::Tweedie { power: f64::NAN },
        Loss::BatchRank { group: 0 },
    ] {
        let result =
            Trainer::new(loss, &seed())
                .batch_size(2)
                .fit(&network, &[1, 2], &[1, 1], |_| ());
        assert!(matches!(result, Err(SketchError::Parameter { .. })));
    }
    let empty = EmbedMlpSize {
        hidden: vec![4, 0],
        ..EmbedMlpSize::default()
    };
    assert!(EmbedMlpNetwork::new::<u64>(BlockFeatures::default(), empty, &seed()).is_err());
}
