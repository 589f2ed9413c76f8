//! Running policies over families.

use std::collections::BTreeMap;

use septet_core::experiment::{Context, Estimate, ExperimentError};
use septet_core::stats;
use serde::{Deserialize, Serialize};

use crate::SeedTree;
use crate::predict::PredictorSpec;
use crate::spec::PolicySpec;
use crate::trace::Trace;

use super::SEEDS;
use super::families::Family;
use super::predictor;

/// A unit of work: several policies on one family with one predictor.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Job {
    family: String,
    predictor: PredictorSpec,
    policies: Vec<String>,
}

/// Misses by policy: one sum over the instances for each seed, or a single one when neither the
/// policy nor the predictor is random.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Misses {
    by_policy: BTreeMap<String, Vec<u64>>,
}

impl Misses {
    /// The sums of a policy that was run.
    pub(super) fn of(&self, policy: &str) -> &[u64] {
        self.by_policy.get(policy).map_or(&[], Vec::as_slice)
    }

    /// The mean over the seeds.
    pub(super) fn mean(&self, policy: &str) -> f64 {
        stats::mean(&self.values(policy))
    }

    pub(super) fn values(&self, policy: &str) -> Vec<f64> {
        self.of(policy)
            .iter()
            .map(|&misses| misses as f64)
            .collect()
    }

    /// The misses over those of the optimum.
    pub(super) fn ratio(&self, policy: &str, optimum: f64, seed: &SeedTree) -> Estimate {
        let ratios: Vec<f64> = self
            .values(policy)
            .iter()
            .map(|misses| misses / optimum)
            .collect();
        match ratios.as_slice() {
            [single] => Estimate::exact(*single, ""),
            _ => Estimate::of_samples(&ratios, "", &mut seed.child("ratio interval").rng()),
        }
    }
}

/// Runs the same policies on every pair of a family and a predictor; the results are in the order
/// of the pairs.
pub(super) fn run(
    cx: &mut Context,
    group: &str,
    pairs: &[(&Family, PredictorSpec)],
    policies: &[&str],
) -> Result<Vec<Misses>, ExperimentError> {
    let jobs: Vec<Job> = pairs
        .iter()
        .map(|(family, predictor)| Job {
            family: family.name.clone(),
            predictor: *predictor,
            policies: policies.iter().map(ToString::to_string).collect(),
        })
        .collect();
    let families: BTreeMap<&str, &Family> = pairs
        .iter()
        .map(|(family, _)| (family.name.as_str(), *family))
        .collect();
    let root = *cx.seed();
    cx.cells(group, &jobs, |job, _| {
        // Every family of a job is in the map: both come from the pairs.
        match families.get(job.family.as_str()) {
            Some(family) => work(job, family, &root),
            None => Err(ExperimentError::new(format!("no family {}", job.family))),
        }
    })
}

fn work(job: &Job, family: &Family, root: &SeedTree) -> Result<Misses, ExperimentError> {
    let mut by_policy: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut instances = Vec::new();
    for seed_index in 0..SEEDS {
        // Equal seeds of different policies and predictors make paired comparisons.
        let seed = root.child("run").index(seed_index);
        let new_predictions = seed_index == 0 || job.predictor.is_randomised();
        if new_predictions {
            instances = predictor::apply(job.predictor, family, &seed)?;
        }
        for name in &job.policies {
            let spec: PolicySpec = name.parse()?;
            if new_predictions || spec.is_randomised() {
                let misses = replay(&spec, family.capacity, &instances, &seed)?;
                by_policy.entry(name.clone()).or_default().push(misses);
            }
        }
    }
    Ok(Misses { by_policy })
}

/// The misses of one policy, summed over instances.
pub(super) fn replay(
    spec: &PolicySpec,
    capacity: usize,
    instances: &[Trace],
    seed: &SeedTree,
) -> Result<u64, ExperimentError> {
    let mut misses = 0;
    for (index, instance) in instances.iter().enumerate() {
        let mut policy = spec.build(capacity as u64, &seed.index(index as u64))?;
        misses += policy.replay(instance)?.misses;
    }
    Ok(misses)
}
