//! Generated traces: the mechanism of the paper without any data.

use rand::Rng;
use rand_distr::{Distribution, Zipf};
use septet_core::experiment::{Context, ExperimentError};

use crate::SeedTree;
use crate::trace::Trace;

use super::families::{Family, Origin};

const INSTANCES: u64 = 8;
const REQUESTS: usize = 20_000;
const CAPACITY: usize = 16;

/// The three regimes: a predictor that wins, one that loses, and a mixture.
pub(super) fn families(cx: &Context) -> Result<Vec<Family>, ExperimentError> {
    let seed = cx.seed().child("generated traces");
    let family = |name: &str, make: fn(&SeedTree) -> Result<Vec<u64>, ExperimentError>| {
        let instances: Result<Vec<Trace>, ExperimentError> = (0..INSTANCES)
            .map(|index| Ok(Trace::from_ids(make(&seed.child(name).index(index))?)))
            .collect();
        Ok::<_, ExperimentError>(Family::new(name, CAPACITY, instances?, Origin::Generated))
    };
    Ok(vec![
        family("generated loops", loops)?,
        family("generated drift", drift)?,
        family("generated mixture", mixture)?,
    ])
}

/// Loops over one to three times as many pages as the cache holds: LRU and Marker miss almost
/// always, popularity knows that the last page is needed last.
fn loops(seed: &SeedTree) -> Result<Vec<u64>, ExperimentError> {
    let mut rng = seed.rng();
    let mut ids = Vec::with_capacity(REQUESTS);
    while ids.len() < REQUESTS {
        let pages = rng.random_range(CAPACITY as u64 + 2..=3 * CAPACITY as u64);
        for _ in 0..rng.random_range(20..60) {
            ids.extend(0..pages);
        }
    }
    ids.truncate(REQUESTS);
    Ok(ids)
}

/// Zipf popularity over a window of pages that moves on: what was popular is so no longer.
fn drift(seed: &SeedTree) -> Result<Vec<u64>, ExperimentError> {
    let mut rng = seed.rng();
    let popularity = Zipf::new(200.0, 1.0)?;
    Ok((0..REQUESTS as u64)
        .map(|now| now / 40 + popularity.sample(&mut rng) as u64)
        .collect())
}

/// Phases of loops and of Zipf popularity with pages of their own.
fn mixture(seed: &SeedTree) -> Result<Vec<u64>, ExperimentError> {
    let mut rng = seed.rng();
    let popularity = Zipf::new(300.0, 0.9)?;
    let mut ids = Vec::with_capacity(REQUESTS);
    let mut phase = 0;
    while ids.len() < REQUESTS {
        phase += 1_000;
        if rng.random_bool(0.4) {
            let pages = rng.random_range(8..3 * CAPACITY as u64);
            for _ in 0..rng.random_range(5..20) {
                ids.extend(phase..phase + pages);
            }
        } else {
            let length = rng.random_range(500..2_000);
            ids.extend((0..length).map(|_| phase + popularity.sample(&mut rng) as u64));
        }
    }
    ids.truncate(REQUESTS);
    Ok(ids)
}
