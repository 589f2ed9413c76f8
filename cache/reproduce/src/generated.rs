//! Generated traces: the mechanism of the paper without any data.

use septet_cache::SeedTree;
use septet_cache::trace::Trace;
use septet_cache::trace::generate::{Pattern, Phase, Program, phases};
use septet_core::experiment::{Context, ExperimentError};

use crate::SEEDS;
use crate::families::{Draw, Family, Origin, WAYS};

/// Requests of a generated program.
const PROGRAM_REQUESTS: usize = 80_000;

/// Instances of the other families, their requests, and their slots.
const INSTANCES: u64 = 8;
const REQUESTS: usize = 20_000;
const CAPACITY: usize = 16;

/// Programs in the place of the instrumented ones, and two mixtures.
pub(crate) fn families(cx: &Context) -> Result<Vec<Family>, ExperimentError> {
    let seed = cx.seed().child("generated traces");
    let mut families = Vec::new();
    for (name, program, lines) in [
        ("generated mcf", Program::Mcf, 3_000),
        ("generated libquantum", Program::Libquantum, 1_200),
        ("generated lbm", Program::Lbm, 1_200),
        ("generated astar", Program::Astar, 4_000),
    ] {
        let seed = seed.child(name);
        let draws: Result<Vec<Draw>, ExperimentError> = (0..SEEDS)
            .map(|draw| program_draw(program, lines, PROGRAM_REQUESTS, &seed.index(draw)))
            .collect();
        families.push(family(name, WAYS, draws?));
    }
    families.push(instances("generated drift", &seed, drift)?);
    families.push(instances("generated mixture", &seed, mixture)?);
    Ok(families)
}

fn family(name: &str, capacity: usize, draws: Vec<Draw>) -> Family {
    Family {
        name: name.to_owned(),
        capacity,
        draws,
        origin: Origin::Generated,
    }
}

/// The sets of a cache that a generated program goes to.
pub(crate) fn program_draw(
    program: Program,
    lines: u64,
    requests: usize,
    seed: &SeedTree,
) -> Result<Draw, ExperimentError> {
    let pattern = Pattern::Program { program, lines };
    let whole = Trace::from_records(pattern.requests(seed)?.take(requests).map(Ok))?;
    Draw::set_associative(whole)
}

fn instances(
    name: &str,
    seed: &SeedTree,
    make: fn(&SeedTree) -> Result<Trace, ExperimentError>,
) -> Result<Family, ExperimentError> {
    let seed = seed.child(name);
    let draws: Result<Vec<Draw>, ExperimentError> = (0..SEEDS)
        .map(|draw| {
            let instances: Result<Vec<Trace>, ExperimentError> = (0..INSTANCES)
                .map(|index| make(&seed.index(draw).index(index)))
                .collect();
            Ok(Draw::new(instances?))
        })
        .collect();
    Ok(family(name, CAPACITY, draws?))
}

/// Popularity that wanders: what was popular is so no longer, and counts of requests mislead.
fn drift(seed: &SeedTree) -> Result<Trace, ExperimentError> {
    let pattern = Pattern::DriftingZipf {
        objects: 200,
        alpha: 1.0,
        period: 40,
    };
    let requests = pattern.requests(seed)?.take(REQUESTS);
    Ok(Trace::from_records(requests.map(Ok))?)
}

/// Scans a little larger than the cache, popularity, and recency, one after the other.
fn mixture(seed: &SeedTree) -> Result<Trace, ExperimentError> {
    let patterns = [
        Pattern::Scan { pages: 20 },
        Pattern::Zipf {
            objects: 300,
            alpha: 0.9,
        },
        Pattern::StackDistance {
            alpha: 0.5,
            pages: 200,
        },
    ];
    let rounds: Vec<Phase> = (0..REQUESTS / 1_000)
        .map(|round| Phase {
            pattern: patterns[round % patterns.len()],
            requests: 1_000,
        })
        .collect();
    Ok(Trace::from_records(phases(&rounds, seed)?.map(Ok))?)
}
