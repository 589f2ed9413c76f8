//! The ways of training that are compared, each at its own best on a validation window.

use std::rc::Rc;

use septet_core::experiment::{ExperimentError, SeedTree};
use septet_core::nn::{Decay, Schedule};
use septet_sketch::metrics;
use septet_sketch::oracle::Oracle;
use septet_sketch::train::{Loss, Network, Sampler, Trainer};
use serde::Serialize;

/// The paper's grid of explicit keys, in part: shares of all keys from 0.2 % to 20 %.
pub(crate) const GRID: [f64; 7] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.10, 0.20];

/// A loss and a sampler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Method {
    LogMse,
    WeightedLogMse,
    L1,
    WeightedL1,
    BatchRank8,
    BatchRank64,
    Poisson,
}

impl Method {
    /// The six of the paper, and the Poisson deviance.
    pub(crate) const ALL: [Self; 7] = [
        Self::LogMse,
        Self::WeightedLogMse,
        Self::L1,
        Self::WeightedL1,
        Self::BatchRank8,
        Self::BatchRank64,
        Self::Poisson,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LogMse => "log-MSE",
            Self::WeightedLogMse => "log-MSE, weighted",
            Self::L1 => "L1",
            Self::WeightedL1 => "L1, weighted",
            Self::BatchRank8 => "BatchRank 8",
            Self::BatchRank64 => "BatchRank 64",
            Self::Poisson => "Poisson",
        }
    }

    /// The name in the ids of claims.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::LogMse => "log-mse",
            Self::WeightedLogMse => "weighted-log-mse",
            Self::L1 => "l1",
            Self::WeightedL1 => "weighted-l1",
            Self::BatchRank8 => "batchrank8",
            Self::BatchRank64 => "batchrank64",
            Self::Poisson => "poisson",
        }
    }

    /// A trainer with the paper's learning rate.
    pub(crate) fn trainer(self, seed: &SeedTree) -> Trainer {
        let loss = match self {
            Self::LogMse | Self::WeightedLogMse => Loss::LogMse,
            Self::L1 | Self::WeightedL1 => Loss::L1,
            Self::BatchRank8 => Loss::BatchRank { group: 8 },
            Self::BatchRank64 => Loss::BatchRank { group: 64 },
            Self::Poisson => Loss::Poisson,
        };
        let trainer = Trainer::new(loss, seed);
        match self {
            Self::WeightedLogMse | Self::WeightedL1 => {
                trainer.sampler(Sampler::ByCount { alpha: 1.0 })
            }
            // Counts of 10^5 would throw the scores off, which are logarithms here.
            Self::Poisson | Self::L1 => trainer.max_gradient_norm(1.0),
            _ => trainer,
        }
    }
}

/// How long and how fast a training may go. Which rate, and after how many of the steps it stops, is
/// chosen on a validation window for each loss and each share of explicit keys.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Protocol {
    /// Full learning rates, from which each training falls along half a cosine.
    pub(crate) rates: Vec<f64>,
    pub(crate) steps: u64,
    /// How often a training is looked at, at equal distances.
    pub(crate) looks: u64,
    pub(crate) batch: usize,
}

/// What is trained on, and the counts of the keys of the validation window.
#[derive(Debug)]
pub(crate) struct Examples<'a, K> {
    pub(crate) keys: &'a [K],
    pub(crate) counts: &'a [u64],
    pub(crate) validation: &'a [u64],
}

/// What was chosen for a share of explicit keys.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) rate: f64,
    pub(crate) step: u64,
    /// The coverage of the validation window.
    validated: f64,
    /// The scores of the keys of the test window.
    pub(crate) scores: Rc<Vec<f64>>,
}

/// Trains a network for each rate, and keeps for each share of `shares` the scores of the test keys
/// at the look at which most of the validation window was covered. `score` gives the scores of the
/// validation and the test keys.
pub(crate) fn best_on_validation<K, N: Network<K>>(
    method: Method,
    protocol: &Protocol,
    seed: &SeedTree,
    make: impl Fn() -> Result<N, ExperimentError>,
    examples: &Examples<'_, K>,
    shares: &[f64],
    score: impl Fn(&N) -> Result<[Vec<f64>; 2], ExperimentError>,
) -> Result<Vec<Choice>, ExperimentError> {
    let mut best: Vec<Option<Choice>> = vec![None; shares.len()];
    // Each rate starts from the same weights: `make` draws them from one seed.
    for &rate in &protocol.rates {
        let network = make()?;
        // The callback of a training cannot fail; the first error waits here for its end.
        let mut failed = None;
        let every = protocol.steps / protocol.looks;
        let mut look = |step: u64| -> Result<(), ExperimentError> {
            let [of_validation, of_test] = score(&network)?;
            let covered = metrics::coverage_at(examples.validation, &of_validation, shares);
            let scores = Rc::new(of_test);
            // Shares choose apart: the best at 1 % may not be the best at 20 %.
            for (best, validated) in best.iter_mut().zip(covered) {
                if best.as_ref().is_none_or(|best| best.validated < validated) {
                    let scores = Rc::clone(&scores);
                    *best = Some(Choice {
                        rate,
                        step,
                        validated,
                        scores,
                    });
                }
            }
            Ok(())
        };
        // No warm-up: trainings are short.
        let schedule = Schedule {
            warm_up: 0,
            decay: Decay::Cosine {
                steps: protocol.steps,
                floor: 0.05,
            },
        };
        method
            .trainer(seed)
            .batch_size(protocol.batch)
            .steps(protocol.steps)
            .learning_rate(rate)
            .schedule(schedule)
            .fit(&network, examples.keys, examples.counts, |progress| {
                if progress.step % every == 0 && failed.is_none() {
                    failed = look(progress.step).err();
                }
            })?;
        if let Some(error) = failed {
            return Err(error);
        }
    }
    // A share without a choice means that no look took place.
    let best: Option<Vec<Choice>> = best.into_iter().collect();
    best.ok_or_else(|| ExperimentError::new("a training that was never looked at"))
}

/// The coverage of each choice at its share.
pub(crate) fn covered(counts: &[u64], choices: &[Choice], shares: &[f64]) -> Vec<f64> {
    let pairs = choices.iter().zip(shares);
    pairs
        .map(|(choice, &share)| metrics::coverage_at(counts, &choice.scores, &[share])[0])
        .collect()
}

/// The scores of keys.
pub(crate) fn scores_of<K>(oracle: &impl Oracle<K>, keys: &[K]) -> Vec<f64> {
    let mut scores = Vec::with_capacity(keys.len());
    let mut batch = vec![0.0; 4096];
    for keys in keys.chunks(batch.len()) {
        let references: Vec<&K> = keys.iter().collect();
        oracle.score(&references, &mut batch[..keys.len()]);
        scores.extend(batch[..keys.len()].iter().map(|&score| f64::from(score)));
    }
    scores
}
