//! The experiments of the paper, the program behind `cargo xtask reproduce coded-serving`: set-up,
//! calls and claims. No algorithm lives here but one rival's, which serves the comparison only.
//!
//! Only the abstract and the introduction of the paper could be read: what is compared with it are the
//! figures of its abstract, and the settings of the authors' programs.
//!
//! A part of the experiment is a file. It names the trainings that it needs, which are shared among parts
//! and run as cells, and judges what came out.

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

/// A part that rests on trainings.
struct Part {
    /// The beginnings of the ids of its claims.
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
    // Only parts that are asked for name trainings.
    let parts: Vec<&Part> = PARTS
        .iter()
        .filter(|part| part.claims.iter().any(|claim| cx.wants(claim)))
        .collect();
    for &world in World::of(profile) {
        // Parts share trainings: each job runs once, in the order in which it is first named.
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
    // These parts need no training of ours.
    interpolation::run(cx)?;
    latency::run(cx)?;
    load::run(cx)
}

fn main() -> ExitCode {
    // Small models train fastest on one thread each, beside each other. Where this has no effect,
    // they only take longer.
    let _ = septet_core::nn::one_math_thread();
    septet_core::experiment::main(&septet_core::package!(), run)
}
