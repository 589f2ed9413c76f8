//! The ways of training that are compared.

use septet_core::experiment::SeedTree;
use serde::Serialize;

use crate::oracle::Oracle;
use crate::train::{Loss, Sampler, Trainer};

/// A loss and a sampler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Method {
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
    pub(super) const ALL: [Self; 7] = [
        Self::LogMse,
        Self::WeightedLogMse,
        Self::L1,
        Self::WeightedL1,
        Self::BatchRank8,
        Self::BatchRank64,
        Self::Poisson,
    ];

    pub(super) fn name(self) -> &'static str {
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
    pub(super) fn id(self) -> &'static str {
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
    pub(super) fn trainer(self, seed: &SeedTree) -> Trainer {
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
            Self::Poisson | Self::L1 => trainer.clip(1.0),
            _ => trainer,
        }
    }
}

/// The scores of keys.
pub(super) fn scores_of<K>(oracle: &impl Oracle<K>, keys: &[K]) -> Vec<f64> {
    let mut scores = Vec::with_capacity(keys.len());
    let mut batch = vec![0.0; 4096];
    for keys in keys.chunks(batch.len()) {
        let references: Vec<&K> = keys.iter().collect();
        oracle.score(&references, &mut batch[..keys.len()]);
        scores.extend(batch[..keys.len()].iter().map(|&score| f64::from(score)));
    }
    scores
}
