//! Q6: the provable bound of the deterministic combiner.

use rand::Rng;
use septet_core::experiment::{Context, Estimate, Expected, ExperimentError, Scale};
use serde::{Deserialize, Serialize};

use crate::combine::{Combined, Rule};
use crate::learned::FollowPrediction;
use crate::policy::{Lru, Policy};
use crate::request::Request;

/// How many instances are tried, half of them adversarial.
const INSTANCES: u64 = 200;

const REQUESTS: u32 = 5_000;

#[derive(Serialize)]
struct Instance {
    number: u64,
    adversarial: bool,
}

#[derive(Serialize, Deserialize)]
struct Outcome {
    misses: u64,
    bound: f64,
}

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.wants("Q6") {
        return Ok(());
    }
    let instances: Vec<Instance> = (0..INSTANCES)
        .map(|number| Instance {
            number,
            adversarial: number % 2 == 1,
        })
        .collect();
    let outcomes = cx.cells("provable bound", &instances, |instance, seed| {
        Ok(replay(instance, &mut seed.rng())?)
    })?;
    let worst = outcomes
        .iter()
        .map(|outcome| outcome.misses as f64 / outcome.bound)
        .fold(0.0, f64::max);
    cx.claim(
        "Q6.bound",
        "On random and adversarial instances D has at most 2 (1 + gamma)^2 times the misses of the \
         better expert, plus k for each switch and k + 2; largest share of the bound",
    )
    .paper_ref("combiner D; the bound follows from its rule and lazy following")
    .scale(Scale::Simulated)
    .expect(Expected::AtMost(1.0))
    .source("theorem")
    .measured(Estimate::exact(worst, "of the bound"));
    Ok(())
}

/// D over `FtP` and LRU with predictions that are arbitrary numbers.
fn replay(instance: &Instance, rng: &mut impl Rng) -> Result<Outcome, crate::error::CacheError> {
    let capacity = rng.random_range(2..=64_usize);
    let gamma = [0.01, 0.1, 1.0][rng.random_range(0..3)];
    let pages = capacity as u32 + rng.random_range(1..=2 * capacity as u32);
    let mut policy = Combined::new(
        capacity,
        vec![
            Box::new(FollowPrediction::new(capacity)),
            Box::new(Lru::new(capacity as u64)),
        ],
        Rule::Doubling { gamma },
        &crate::SeedTree::new(instance.number),
    )?;
    let mut evicted = Vec::new();
    let mut misses = 0;
    for now in 0..REQUESTS {
        let page = if instance.adversarial {
            // A page outside the real cache: every request misses.
            (0..pages).find(|&page| !policy.contains(page))
        } else {
            None
        };
        let request = Request {
            predicted: f64::from(rng.random_range(-10_000..10_000)),
            ..Request::new(page.unwrap_or_else(|| rng.random_range(0..pages)), now)
        };
        misses += u64::from(!policy.access(&request, &mut evicted));
        evicted.clear();
    }
    let better = policy.expert_misses().iter().copied().min().unwrap_or(0) as f64;
    let switches = policy.switches() as f64;
    Ok(Outcome {
        misses,
        bound: 2.0 * (1.0 + gamma).powi(2) * better + capacity as f64 * (switches + 1.0) + 2.0,
    })
}
