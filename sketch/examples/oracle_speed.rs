//! How many keys a second do the oracles score, on one thread? And how fast and how well do they
//! train?
//!
//! `cargo run --release -p septet-sketch --features train --example oracle_speed [STEPS]`

#![expect(
    clippy::print_stdout,
    reason = "a program that prints what it measures"
)]

use std::time::Instant;

use septet_core::nn::one_math_thread;
use septet_core::seed::SeedTree;
use septet_sketch::oracle::{FlowFeatures, LookupTable, Oracle};
use septet_sketch::stream::{FlowScore, HeteroFlows};
use septet_sketch::train::{
    EmbedMlpNetwork, EmbedMlpSize, HsuLstm, LinearNetwork, Loss, Sampler, Trainer,
};
use septet_sketch::{FlowKey, SketchError};

const FLOWS: usize = 131_072;

/// Shares of the keys of which the coverage is printed.
const SHARES: [f64; 6] = [0.005, 0.01, 0.02, 0.05, 0.10, 0.12];

fn main() -> Result<(), SketchError> {
    assert!(one_math_thread(), "main has started no thread");
    let steps: u64 = std::env::args()
        .nth(1)
        .and_then(|steps| steps.parse().ok())
        .unwrap_or(800);
    let world = HeteroFlows::new(&SeedTree::new(7));
    let (mut keys, mut counts) = (Vec::new(), Vec::new());
    for number in 0..5 {
        let window = world.window(number, FLOWS);
        keys.extend_from_slice(window.keys());
        counts.extend_from_slice(window.counts());
    }
    let test = world.window(6, FLOWS);
    let seed = SeedTree::new(7);

    println!("coverage at {SHARES:?} of the keys");
    for (name, score) in [
        ("log-optimal", FlowScore::MeanLog),
        ("optimal", FlowScore::Mean),
        ("size-biased", FlowScore::SizeBiased),
    ] {
        let scores: Vec<f32> = test.scores(score).iter().map(|&s| s as f32).collect();
        print_coverage(name, &scores, test.counts(), 0.0);
    }
    let by_count = Sampler::ByCount { alpha: 1.0 };
    for (name, loss, sampler, clip) in [
        ("log-mse", Loss::LogMse, Sampler::Uniform, None),
        ("weighted", Loss::LogMse, by_count, None),
        (
            "rank 8",
            Loss::BatchRank { group: 8 },
            Sampler::Uniform,
            None,
        ),
        (
            "rank 64",
            Loss::BatchRank { group: 64 },
            Sampler::Uniform,
            None,
        ),
        ("poisson", Loss::Poisson, Sampler::Uniform, Some(10.0)),
        (
            "tweedie",
            Loss::Tweedie { power: 1.5 },
            Sampler::Uniform,
            None,
        ),
        ("l1", Loss::L1, Sampler::Uniform, None),
    ] {
        let mut trainer = Trainer::new(loss, &seed)
            .sampler(sampler)
            .batch_size(2048)
            .steps(steps);
        if let Some(bound) = clip {
            trainer = trainer.max_gradient_norm(bound);
        }
        let start = Instant::now();
        let size = EmbedMlpSize::default();
        let network = EmbedMlpNetwork::new(FlowFeatures::default(), size, &seed)?;
        trainer.fit(&network, &keys, &counts, |_| ())?;
        let seconds = start.elapsed().as_secs_f64();
        let scores = scores_of(&network.oracle()?, test.keys());
        print_coverage(name, &scores, test.counts(), seconds);
    }
    let linear = LinearNetwork::new(FlowFeatures::default(), 1024, &seed)?;
    let start = Instant::now();
    Trainer::new(Loss::BatchRank { group: 8 }, &seed)
        .learning_rate(0.01)
        .batch_size(2048)
        .steps(steps)
        .fit(&linear, &keys, &counts, |_| ())?;
    let seconds = start.elapsed().as_secs_f64();
    let linear = linear.oracle()?;
    let scores = scores_of(&linear, test.keys());
    print_coverage("linear", &scores, test.counts(), seconds);

    println!("million keys a second, best of 5");
    let size = EmbedMlpSize::default();
    let network = EmbedMlpNetwork::new(FlowFeatures::default(), size, &seed)?;
    print_speed("HashedLinear", &linear, test.keys());
    print_speed("HashedEmbedMlp", &network.oracle()?, test.keys());
    let counts = test.counts().iter().copied();
    let pairs = test.keys().iter().copied().zip(counts);
    let table = LookupTable::new(pairs, FLOWS / 10);
    print_speed("LookupTable", &table, test.keys());
    print_speed("HsuLstm", &HsuLstm::new(&seed)?, &test.keys()[..8192]);
    Ok(())
}

fn scores_of(oracle: &impl Oracle<FlowKey>, keys: &[FlowKey]) -> Vec<f32> {
    let references: Vec<&FlowKey> = keys.iter().collect();
    let mut scores = vec![0.0; keys.len()];
    oracle.score(&references, &mut scores);
    scores
}

fn print_coverage(name: &str, scores: &[f32], counts: &[u64], seconds: f64) {
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let total: u64 = counts.iter().sum();
    print!("{name:>12} {seconds:5.1} s ");
    for share in SHARES {
        let slots = (share * counts.len() as f64) as usize;
        let covered: u64 = order[..slots].iter().map(|&key| counts[key]).sum();
        print!(" {:.3}", covered as f64 / total as f64);
    }
    println!();
}

fn print_speed(name: &str, oracle: &impl Oracle<FlowKey>, keys: &[FlowKey]) {
    let references: Vec<&FlowKey> = keys.iter().collect();
    let mut scores = vec![0.0; keys.len()];
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        // In batches, as a sketch scores.
        for (keys, scores) in references.chunks(1024).zip(scores.chunks_mut(1024)) {
            oracle.score(keys, scores);
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!(
        "{name:>16} {:8.3}  ({} bytes)",
        keys.len() as f64 / best / 1e6,
        oracle.model_bytes()
    );
}
