//! The experiments of the paper, run by `cargo xtask reproduce coded-serving`: set-up, calls and claims. The only
//! algorithm in this package is one of a competitor, used for comparison.
//!
//! Only the abstract and the introduction of the paper were available: results are compared with the figures
//! of the abstract, and settings with those of the authors' programs.
//!
//! Each part of the experiment is a file. It lists the trainings that it needs, which are shared among parts
//! and run as cells, and evaluates the results.

mod base;
mod cost;
mod exactness;
mod gap;
mod headline;
mod interpolation;
mod job;
mod latency;
mod lies;
mod load;
mod plan;
mod rational;
mod training;
mod work;
mod world;

use std::process::ExitCode;

use septet_core::experiment::{Context, ExperimentError, Profile};

use crate::job::Job;
use crate::plan::Outcome;
use crate::world::World;

/// A part that needs trainings.
struct Part {
    /// The prefixes of the ids of its claims.
    claims: &'static [&'static str],
    jobs: fn(Profile, World) -> Vec<Job>,
    judge: fn(&mut Context, &Outcome) -> Result<(), ExperimentError>,
    /// Notes that the claims on a world cannot be measured.
    skip: fn(&mut Context, World),
}

const PARTS: [Part; 5] = [
    Part {
        claims: &["Q2", "Q3"],
        jobs: headline::jobs,
        judge: headline::judge,
        skip: headline::skip,
    },
    Part {
        claims: &["F2"],
        jobs: gap::jobs,
        judge: gap::judge,
        skip: gap::skip,
    },
    Part {
        claims: &["Q1"],
        jobs: exactness::jobs,
        judge: exactness::judge,
        skip: exactness::skip,
    },
    Part {
        claims: &["Q4"],
        jobs: training::jobs,
        judge: training::judge,
        skip: training::skip,
    },
    Part {
        claims: &["F7"],
        jobs: cost::jobs,
        judge: cost::judge,
        skip: cost::skip,
    },
];

fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    let profile = cx.profile();
    // Only selected parts contribute trainings.
    let parts: Vec<&Part> = PARTS
        .iter()
        .filter(|part| part.claims.iter().any(|claim| cx.selects(claim)))
        .collect();
    for &world in World::of(profile) {
        // Parts share trainings: each job runs once, in the order of its first use.
        let mut jobs: Vec<Job> = Vec::new();
        for job in parts.iter().flat_map(|part| (part.jobs)(profile, world)) {
            if !jobs.contains(&job) {
                jobs.push(job);
            }
        }
        if jobs.is_empty() {
            continue;
        }
        match world.load(cx)? {
            Some(data) => {
                // Base models first: everything else is trained against them.
                let bases = base::train(cx, world, &data, &jobs)?;
                let recovered = job::run(cx, world, &data, &bases, jobs)?;
                let outcome = Outcome::new(profile, world, bases, recovered);
                for part in &parts {
                    (part.judge)(cx, &outcome)?;
                }
            }
            None => {
                for part in &parts {
                    (part.skip)(cx, world);
                }
            }
        }
    }
    // These parts need no training.
    interpolation::run(cx)?;
    latency::run(cx)?;
    load::run(cx)
}

fn main() -> ExitCode {
    // Small models train fastest in parallel, on one thread each. If this has no effect, they only take
    // longer.
    let _ = septet_core::nn::one_math_thread();
    let _ = septet_core::nn::keep_freed_memory();
    septet_core::experiment::main(&septet_core::package!(), run)
}
