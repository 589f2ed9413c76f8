//! Running policies over families.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use septet_cache::predict::PredictorSpec;
use septet_cache::trace::Trace;
use septet_cache::{PolicySpec, SeedTree};
use septet_core::experiment::{Context, Estimate, ExperimentError};
use septet_core::stats;
use serde::{Deserialize, Serialize};

use crate::families::{Family, Origin};
use crate::predictor;
use crate::{SEEDS, SEEDS_OF_D_SHORT, SEEDS_OF_R, SEEDS_OF_R_SHORT, SHORT};

/// A unit of work: a policy on a family with a predictor, for all seeds.
#[derive(Clone, Debug, Serialize)]
struct Job {
    family: String,
    requests: usize,
    predictor: PredictorSpec,
    policy: String,
    seeds: u64,
}

/// How many seeds R and Marker are run with on real traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seeds {
    /// As many as everything else.
    Few,
    /// As many as a claim on R needs.
    ManyOfR,
}

impl Job {
    fn new(family: &Family, predictor: PredictorSpec, policy: &str, seeds: Seeds) -> Self {
        Self {
            family: family.name.clone(),
            requests: family.requests(),
            predictor,
            policy: policy.to_owned(),
            seeds: match policy {
                "RobustFtP_R" | "Marker"
                    if seeds == Seeds::ManyOfR && family.origin != Origin::Generated =>
                {
                    if family.requests() < SHORT {
                        SEEDS_OF_R_SHORT
                    } else {
                        SEEDS_OF_R
                    }
                }
                // The published ratios of D are given to three decimals.
                "RobustFtP_D"
                    if seeds == Seeds::ManyOfR
                        && family.origin == Origin::Literature
                        && family.requests() < SHORT =>
                {
                    SEEDS_OF_D_SHORT
                }
                _ => SEEDS,
            },
        }
    }
}

/// Misses by policy on one family with one predictor: a sum over the instances for each seed, or a
/// single one when nothing is random.
#[derive(Clone, Debug)]
pub(crate) struct Misses {
    by_policy: BTreeMap<String, Vec<f64>>,
    replicates: &'static str,
}

/// What a job counted.
#[derive(Serialize, Deserialize)]
struct Counted {
    misses: Vec<u64>,
}

impl Misses {
    /// The mean over the seeds.
    pub(crate) fn mean(&self, policy: &str) -> f64 {
        stats::mean(self.values(policy))
    }

    /// The sums, by seed.
    pub(crate) fn values(&self, policy: &str) -> &[f64] {
        self.by_policy.get(policy).map_or(&[], Vec::as_slice)
    }

    /// These, and those of more policies on the same family with the same predictor.
    pub(crate) fn with(&self, more: Self) -> Self {
        let mut both = self.clone();
        both.by_policy.extend(more.by_policy);
        both
    }

    /// The policy with fewer misses in the mean.
    pub(crate) fn better<'p>(&self, one: &'p str, other: &'p str) -> &'p str {
        if self.mean(one) < self.mean(other) {
            one
        } else {
            other
        }
    }

    /// The misses of a policy over those of another one with the same seed, by seed.
    pub(crate) fn ratios(&self, policy: &str, reference: &str) -> Vec<f64> {
        self.by_seed([policy, reference], |[misses, reference]| {
            misses / reference
        })
    }

    /// A quantity of the misses of several policies with the same seed, for each seed that all of
    /// those have that are random.
    pub(crate) fn by_seed<const N: usize>(
        &self,
        policies: [&str; N],
        quantity: impl Fn([f64; N]) -> f64,
    ) -> Vec<f64> {
        let values = policies.map(|policy| self.values(policy));
        let random = values
            .into_iter()
            .map(<[f64]>::len)
            .filter(|&seeds| seeds > 1);
        let seeds = random.min().unwrap_or(1);
        let of = |seed: usize| {
            values.map(|values| {
                let only = values.first().copied().unwrap_or(f64::NAN);
                values.get(seed).copied().unwrap_or(only)
            })
        };
        (0..seeds).map(|seed| quantity(of(seed))).collect()
    }

    /// The mean ratio of misses, with its interval where there are several seeds.
    pub(crate) fn ratio(&self, policy: &str, reference: &str) -> Estimate {
        self.estimate(&self.ratios(policy, reference))
    }

    /// The mean of a value by seed, with its interval where there are several.
    pub(crate) fn estimate(&self, by_seed: &[f64]) -> Estimate {
        match by_seed {
            [single] => Estimate::exact(*single, ""),
            // Few seeds have Student's interval, which draws nothing.
            several => Estimate::mean(several, self.replicates, "", &mut SeedTree::new(0).rng()),
        }
    }
}

/// Runs the same policies on every pair of a family and a predictor; the results are in the order
/// of the pairs.
pub(crate) fn run<P: AsRef<str>>(
    cx: &mut Context,
    group: &str,
    pairs: &[(&Family, PredictorSpec)],
    policies: &[P],
    seeds: Seeds,
) -> Result<Vec<Misses>, ExperimentError> {
    let jobs: Vec<Job> = pairs
        .iter()
        .flat_map(|(family, predictor)| {
            let jobs = policies.iter().map(AsRef::as_ref);
            jobs.map(|policy| Job::new(family, *predictor, policy, seeds))
        })
        .collect();
    // Predictions that depend on no seed are made once for all policies, when one asks for them.
    let shared: Vec<Vec<OnceLock<Vec<Trace>>>> = pairs
        .iter()
        .map(|(family, _)| family.draws.iter().map(|_| OnceLock::new()).collect())
        .collect();
    let reads: BTreeSet<&str> = pairs
        .iter()
        .filter_map(|(family, _)| family.origin.data_set())
        .collect();
    // Seeds come from the root, not from the cell: policies are compared on equal ones.
    let root = *cx.seed();
    let grid = cx
        .grid(group, jobs)
        .version(2)
        .reads(reads)
        .run(|job: &Job, _| {
            let pair = pairs
                .iter()
                .position(|(family, predictor)| {
                    family.name == job.family && *predictor == job.predictor
                })
                .ok_or_else(|| ExperimentError::new(format!("no family {}", job.family)))?;
            work(job, pairs[pair].0, &shared[pair], &root)
        })?;
    // Back from jobs to pairs: the same job is the key of its result.
    let of_pair = |&(family, predictor): &(&Family, PredictorSpec)| {
        let mut by_policy = BTreeMap::new();
        for policy in policies {
            let policy = policy.as_ref();
            let counted: &Counted = grid.get(&Job::new(family, predictor, policy, seeds))?;
            let misses = counted.misses.iter().map(|&misses| misses as f64).collect();
            by_policy.insert(policy.to_owned(), misses);
        }
        let replicates = family.replicates();
        Ok(Misses {
            by_policy,
            replicates,
        })
    };
    pairs.iter().map(of_pair).collect()
}

fn work(
    job: &Job,
    family: &Family,
    shared: &[OnceLock<Vec<Trace>>],
    root: &SeedTree,
) -> Result<Counted, ExperimentError> {
    let spec: PolicySpec = job.policy.parse()?;
    let random = job.predictor.is_randomized();
    let mut misses = Vec::new();
    for seed_index in 0..job.seeds {
        // A generated family has a draw for each seed; a real trace is the same for all.
        let draw_index = seed_index as usize % family.draws.len();
        let (draw, shared) = (&family.draws[draw_index], &shared[draw_index]);
        // Equal seeds of different policies and predictors make paired comparisons.
        let seed = root.child("run").index(seed_index);
        // Random predictions belong to one seed and cannot be shared.
        if random {
            let instances = predictor::apply(job.predictor, family, draw, &seed)?;
            misses.push(replay(&spec, family.capacity, &instances, &seed)?);
        } else if seed_index == 0 || spec.is_randomized() || family.draws.len() > 1 {
            // Where nothing is random, the first seed says all.
            let instances = match shared.get() {
                Some(instances) => instances,
                // Making predictions can fail, which get_or_init cannot express: two jobs may both
                // make them, and the first stays.
                None => {
                    let instances = predictor::apply(job.predictor, family, draw, &seed)?;
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
