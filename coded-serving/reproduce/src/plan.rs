//! The training plan, and the outcomes.

use septet_core::experiment::{Estimate, ExperimentError, Grid, Profile};

use crate::base::{self, BaseId, Bases};
use crate::job::{BATCH, Job, Loss, Means, Recovered};
use crate::work;
use crate::world::World;

/// Group sizes of the paper.
pub(crate) const SIZES: [usize; 3] = [2, 4, 10];

/// The group size of the abstract: one extra worker per ten.
pub(crate) const TEN: usize = 10;

/// The number of trainings. Each training of a base model is paired with one of every model that depends on it.
pub(crate) fn trainings(world: World) -> u64 {
    match world {
        World::Strokes | World::SmallMnist => 2,
        World::Mnist | World::Fashion => 3,
    }
}

/// What a training replicates, at the intervals of reports.
const OF: &str = "trainings";

pub(crate) fn base(world: World) -> BaseId {
    BaseId {
        world,
        hidden: base::hidden(world),
        epochs: base::epochs(world),
        bounded: true,
    }
}

/// One training on the usual base model.
pub(crate) fn job(world: World, k: usize, means: Means) -> Job {
    let base = base(world);
    Job { base, k, means }
}

/// Groups per training step.
fn batch(world: World) -> usize {
    match world {
        // As in the program of Parity Models: more steps with the same number of multiply-adds.
        World::Strokes | World::SmallMnist => 64,
        World::Mnist | World::Fashion => BATCH,
    }
}

/// The learned encoder.
pub(crate) fn encoder(world: World, k: usize) -> Means {
    let (features, hidden, steps) = match world {
        World::Strokes => (128, 256, 400),
        World::SmallMnist => (64, 256, 1900),
        World::Mnist => (256, 512, if k == TEN { 2000 } else { 1200 }),
        World::Fashion => (256, 512, if k == TEN { 1600 } else { 1200 }),
    };
    Means::Encoder {
        features,
        hidden,
        loss: Loss::Task,
        batch: batch(world),
        steps,
    }
}

/// The parity model. It is trained with at least as many multiply-adds as the encoder of the same group.
pub(crate) fn parity(world: World, k: usize) -> Means {
    let hidden = match world {
        World::Strokes => 192,
        World::SmallMnist => 256,
        World::Mnist | World::Fashion => 512,
    };
    let batch = batch(world);
    let steps = work::parity_steps(world, k, hidden, batch, encoder(world, k));
    Means::Parity {
        hidden,
        batch,
        steps,
    }
}

/// The outcomes on a world.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) profile: Profile,
    pub(crate) world: World,
    bases: Bases,
    recovered: Grid<Job, Recovered>,
}

impl Outcome {
    pub(crate) fn new(
        profile: Profile,
        world: World,
        bases: Bases,
        recovered: Grid<Job, Recovered>,
    ) -> Self {
        Self {
            profile,
            world,
            bases,
            recovered,
        }
    }

    /// A quantity of a job in each training.
    pub(crate) fn by_training(
        &self,
        job: &Job,
        value: impl Fn(&Recovered) -> f64,
    ) -> Result<Vec<f64>, ExperimentError> {
        Ok(self.recovered.by_seed(job)?.iter().map(value).collect())
    }

    /// A quantity of a job on the usual base model, in each training.
    pub(crate) fn of(
        &self,
        k: usize,
        means: Means,
        value: impl Fn(&Recovered) -> f64,
    ) -> Result<Vec<f64>, ExperimentError> {
        self.by_training(&job(self.world, k, means), value)
    }

    /// The lead of the encoder over the parity model in points, in each training: the smaller of the leads in
    /// accuracy and in agreement.
    pub(crate) fn lead(&self, k: usize) -> Result<Vec<f64>, ExperimentError> {
        let points = |share: fn(&Recovered) -> f64| {
            let ours = self.of(k, encoder(self.world, k), share)?;
            let theirs = self.of(k, parity(self.world, k), share)?;
            let pairs = ours.into_iter().zip(theirs);
            let points: Vec<f64> = pairs.map(|(a, b)| 100.0 * (a - b)).collect();
            Ok::<_, ExperimentError>(points)
        };
        let by_label = points(|r| r.label)?;
        let by_agreement = points(|r| r.agreement)?;
        let pairs = by_label.into_iter().zip(by_agreement);
        Ok(pairs.map(|(a, b)| a.min(b)).collect())
    }

    /// The accuracy of the base models in per cent, in each training.
    pub(crate) fn clean(&self) -> Vec<f64> {
        let bases = self.bases.get(&base(self.world)).into_iter().flatten();
        bases.map(|base| 100.0 * base.clean).collect()
    }
}

/// The difference in each training.
pub(crate) fn gain(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).map(|(a, b)| a - b).collect()
}

/// The lowest and the highest training: a claim holds when it does for every one.
pub(crate) fn every_training(values: &[f64], unit: &str) -> Estimate {
    Estimate::range(values, OF, unit)
}
