//! Running policies over families.

use std::collections::BTreeMap;
use std::sync::OnceLock;

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

/// A unit of work: a policy on a family with a predictor, for all seeds.
#[derive(Clone, Debug, Serialize)]
struct Job {
    family: String,
    predictor: PredictorSpec,
    policy: String,
}

/// Misses by policy: one sum over the instances for each seed, or a single one when neither the
/// policy nor the predictor is random.
#[derive(Clone, Debug, Default)]
pub(super) struct Misses {
    by_policy: BTreeMap<String, Vec<u64>>,
}

/// What a job counted.
#[derive(Serialize, Deserialize)]
struct Counted {
    misses: Vec<u64>,
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
        .flat_map(|(family, predictor)| {
            policies.iter().map(|policy| Job {
                family: family.name.clone(),
                predictor: *predictor,
                policy: (*policy).to_string(),
            })
        })
        .collect();
    // Predictions that depend on no seed are made once for all policies, when one asks for them.
    let shared: Vec<OnceLock<Vec<Trace>>> = pairs.iter().map(|_| OnceLock::new()).collect();
    let root = *cx.seed();
    let counted = cx.cells(group, &jobs, |job, _| {
        let pair = pairs
            .iter()
            .position(|(family, predictor)| {
                family.name == job.family && *predictor == job.predictor
            })
            .ok_or_else(|| ExperimentError::new(format!("no family {}", job.family)))?;
        work(job, pairs[pair].0, &shared[pair], &root)
    })?;
    let mut results = vec![Misses::default(); pairs.len()];
    for (index, (job, counted)) in jobs.into_iter().zip(counted).enumerate() {
        results[index / policies.len()]
            .by_policy
            .insert(job.policy, counted.misses);
    }
    Ok(results)
}

fn work(
    job: &Job,
    family: &Family,
    shared: &OnceLock<Vec<Trace>>,
    root: &SeedTree,
) -> Result<Counted, ExperimentError> {
    let spec: PolicySpec = job.policy.parse()?;
    let random = job.predictor.is_randomised();
    let mut misses = Vec::new();
    for seed_index in 0..SEEDS {
        // Equal seeds of different policies and predictors make paired comparisons.
        let seed = root.child("run").index(seed_index);
        if random {
            let instances = predictor::apply(job.predictor, family, &seed)?;
            misses.push(replay(&spec, family.capacity, &instances, &seed)?);
        } else if seed_index == 0 || spec.is_randomised() {
            let instances = match shared.get() {
                Some(instances) => instances,
                None => {
                    let instances = predictor::apply(job.predictor, family, &seed)?;
                    shared.get_or_init(|| instances)
                }
            };
            misses.push(replay(&spec, family.capacity, instances, &seed)?);
        }
    }
    Ok(Counted { misses })
}

/// The misses of one policy, summed over instances.
fn replay(
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
