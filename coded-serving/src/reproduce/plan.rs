//! How long everything is trained, and what came out of it.

use std::collections::BTreeMap;

use septet_core::experiment::{Estimate, Profile};

use super::base::{BaseId, Bases};
use super::job::{Job, Loss, Means, Recovered};
use super::work;
use super::world::World;

/// Group sizes of the paper.
pub(super) const SIZES: [usize; 3] = [2, 4, 10];

/// How many seeds: each trains its own base model.
pub(super) fn seeds(world: World, profile: Profile) -> std::ops::Range<u64> {
    match (world, profile) {
        (World::Mnist, Profile::Quick) => 0..2,
        _ => 0..3,
    }
}

pub(super) fn base(world: World, seed: u64) -> BaseId {
    BaseId {
        world,
        seed,
        bounded: true,
    }
}

/// The learned encoder.
pub(super) fn encoder(world: World, k: usize, profile: Profile) -> Means {
    let (features, hidden, steps) = match (world, profile) {
        (World::Strokes, _) => (128, 256, if k == 10 { 600 } else { 400 }),
        (_, Profile::Quick) => (64, 256, 320),
        (World::Mnist, _) => (256, 512, if k == 10 { 2000 } else { 1200 }),
        (World::Fashion, _) => (256, 512, if k == 10 { 1600 } else { 1200 }),
    };
    Means::Encoder {
        features,
        hidden,
        loss: Loss::Task,
        steps,
    }
}

/// The parity model. It is trained with at least as many multiply-adds as the encoder of the same group.
pub(super) fn parity(world: World, k: usize, profile: Profile) -> Means {
    let hidden = match world {
        World::Strokes => 192,
        World::Mnist | World::Fashion => 512,
    };
    let steps = work::parity_steps(world, k, hidden, encoder(world, k, profile));
    Means::Parity { hidden, steps }
}

/// What came out.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) profile: Profile,
    pub(super) bases: Bases,
    pub(super) recovered: BTreeMap<Job, Recovered>,
    /// The worlds whose images are here.
    pub(super) worlds: Vec<World>,
}

impl Outcome {
    /// A quantity of the job on each seed; none when it was not run.
    pub(super) fn by_seed(
        &self,
        world: World,
        k: usize,
        means: Means,
        value: impl Fn(&Recovered) -> f64,
    ) -> Vec<f64> {
        seeds(world, self.profile)
            .filter_map(|seed| {
                let base = base(world, seed);
                self.recovered.get(&Job { base, k, means }).map(&value)
            })
            .collect()
    }

    /// What the encoder recovers more than the parity model, in points, on each seed. Of labels and
    /// agreement the smaller lead counts.
    pub(super) fn lead(&self, world: World, k: usize) -> Vec<f64> {
        let ours = encoder(world, k, self.profile);
        let theirs = parity(world, k, self.profile);
        let points = |share: fn(&Recovered) -> f64| {
            let ours = self.by_seed(world, k, ours, share);
            let theirs = self.by_seed(world, k, theirs, share);
            ours.into_iter().zip(theirs).map(|(a, b)| 100.0 * (a - b))
        };
        points(|r| r.label)
            .zip(points(|r| r.agreement))
            .map(|(label, agreement)| label.min(agreement))
            .collect()
    }

    /// The share of test images that the base models classify rightly, in per cent, on each seed.
    pub(super) fn clean(&self, world: World) -> Vec<f64> {
        seeds(world, self.profile)
            .filter_map(|seed| self.bases.get(&base(world, seed)))
            .map(|base| 100.0 * base.clean)
            .collect()
    }
}

/// The mean over seeds with the range from the worst to the best: a claim holds when it does for
/// every seed.
pub(super) fn every_seed(values: &[f64], unit: &str) -> Estimate {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    Estimate::with_interval(mean, (low, high), values.len(), unit)
}
