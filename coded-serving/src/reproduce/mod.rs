//! The experiments of the paper: set-up, calls and claims. No algorithm lives here.
//!
//! The tables of the paper could not be read when this was written: what is compared with it are the
//! figures of its abstract and the settings of the authors' programs. Each claim names the origin of its
//! bound.
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
mod load;
mod plan;
mod training;
mod work;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use septet_core::experiment::{Context, Experiment, ExperimentError, Paper, Profile};

use base::{BaseId, Bases};
use job::Job;
use plan::Outcome;
use world::{Data, World};

static PAPER: Paper = Paper {
    id: "coded-serving",
    title: "Coded-InvNet for Resilient Prediction Serving Systems",
    authors: "T. Dinh, K. Lee",
    venue: "ICML",
    year: 2021,
    url: "https://proceedings.mlr.press/v139/dinh21a.html",
};

/// The reproduction of the study of coded serving with invertible networks.
#[derive(Clone, Copy, Debug)]
pub struct CodedInvNet;

/// A part that rests on trainings.
struct Part {
    /// The beginnings of the ids of its claims.
    claims: &'static [&'static str],
    jobs: fn(Profile, World) -> Vec<Job>,
    judge: fn(&mut Context, &Outcome, World) -> Result<(), ExperimentError>,
}

const PARTS: [Part; 5] = [
    Part {
        claims: &["Q1"],
        jobs: exactness::jobs,
        judge: exactness::judge,
    },
    Part {
        claims: &["Q2", "Q3", "F1", "F3", "B1"],
        jobs: headline::jobs,
        judge: headline::judge,
    },
    Part {
        claims: &["F2"],
        jobs: gap::jobs,
        judge: gap::judge,
    },
    Part {
        claims: &["Q4", "F4"],
        jobs: training::jobs,
        judge: training::judge,
    },
    Part {
        claims: &["F7", "F8"],
        jobs: cost::jobs,
        judge: cost::judge,
    },
];

impl Experiment for CodedInvNet {
    fn paper(&self) -> &'static Paper {
        &PAPER
    }

    fn data_sets(&self, profile: Profile) -> &'static [&'static str] {
        match profile {
            Profile::Quick => &["mnist", "parm-base-mlp"],
            Profile::Full | Profile::Gpu => &["mnist", "fashion-mnist", "parm-base-mlp"],
        }
    }

    fn expected_time(&self, profile: Profile) -> Option<Duration> {
        Some(Duration::from_secs(match profile {
            Profile::Quick => 75,
            Profile::Full | Profile::Gpu => 3600,
        }))
    }

    fn run(&self, cx: &mut Context) -> Result<(), ExperimentError> {
        let profile = cx.profile();
        let mut worlds: BTreeMap<World, Data> = BTreeMap::new();
        for &world in World::of(profile) {
            if let Some(data) = world.load(cx)? {
                worlds.insert(world, data);
            }
        }
        let parts: Vec<&Part> = PARTS
            .iter()
            .filter(|part| part.claims.iter().any(|claim| cx.wants(claim)))
            .collect();
        let mut jobs: Vec<Job> = Vec::new();
        for &world in worlds.keys() {
            for job in parts.iter().flat_map(|part| (part.jobs)(profile, world)) {
                if !jobs.contains(&job) {
                    jobs.push(job);
                }
            }
        }
        let mut ids: Vec<BaseId> = jobs.iter().map(|job| job.base).collect();
        if cx.wants("Q5") && worlds.contains_key(&World::Strokes) {
            let seeds = plan::seeds(World::Strokes, profile);
            ids.extend(seeds.map(|seed| plan::base(World::Strokes, seed)));
        }
        ids.sort_unstable();
        ids.dedup();
        let bases: Bases = base::train(cx, &worlds, &ids)?;
        let recovered = job::run(cx, &worlds, &bases, &jobs)?;
        let outcome = Outcome {
            profile,
            bases,
            recovered: jobs.into_iter().zip(recovered).collect(),
            worlds: worlds.keys().copied().collect(),
        };
        for &world in World::of(profile) {
            if !outcome.worlds.contains(&world) {
                skip(cx, world);
                continue;
            }
            for part in &parts {
                (part.judge)(cx, &outcome, world)?;
            }
        }
        let strokes = worlds.get(&World::Strokes);
        let real: Vec<(World, &Data)> = worlds
            .iter()
            .filter(|(world, _)| world.set().is_some())
            .map(|(world, data)| (*world, data))
            .collect();
        interpolation::run(cx, strokes.map(|data| (data, &outcome.bases)), &real)?;
        latency::run(cx)?;
        load::run(cx)
    }
}

/// Notes that the claims on a world cannot be measured.
fn skip(cx: &mut Context, world: World) {
    let set = world.set().unwrap_or_default();
    let id = match (world, cx.profile()) {
        (World::Fashion, _) => "F3.lead",
        (_, Profile::Quick) => "Q3.mnist",
        _ => "F1.lead",
    };
    let how =
        septet_core::data::set(set).map_or_else(String::new, septet_core::data::Set::how_to_get);
    cx.skip(
        id,
        &format!("The claims on {}", world.name()),
        &format!("the data set `{set}` is not here"),
        &how,
    );
}
