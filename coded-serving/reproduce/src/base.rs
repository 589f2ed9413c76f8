//! The base models, each trained once.

use std::collections::BTreeMap;

use septet_coded_serving::network::{
    Array, Batch, Coupling, InvertibleClassifier, NetworkError, Tensors, checkerboard,
};
use septet_coded_serving::train::{CouplingNetwork, CouplingSize, Fit, outputs};
use septet_core::experiment::{Context, ExperimentError, SeedTree};
use serde::{Deserialize, Serialize};

use crate::job::Job;
use crate::plan::trainings;
use crate::world::{Data, World};

/// Identifies a base model, except for the seed of its training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct BaseId {
    pub(crate) world: World,
    pub(crate) hidden: usize,
    pub(crate) epochs: u64,
    /// Whether the layers of its blocks have bounded singular values.
    pub(crate) bounded: bool,
}

/// A trained base model, and its outputs for the test images.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) classifier: InvertibleClassifier<Coupling>,
    pub(crate) answers: Batch,
    /// Its accuracy on the test images.
    pub(crate) clean: f64,
}

/// A trained model as it is cached: names, shapes and values of its tensors.
#[derive(Serialize, Deserialize)]
struct Kept(Vec<(String, Vec<usize>, Vec<f32>)>);

/// The base models of a world: for each id the trainings, in the order of their seeds.
pub(crate) type Bases = BTreeMap<BaseId, Vec<Base>>;

/// Classes of every world.
pub(crate) const CLASSES: usize = 10;

/// The version of the trained models, and so of all that is measured with them: raise it when their
/// training changes.
pub(crate) const VERSION: u32 = 1;

/// Coupling blocks, and images per training step.
pub(crate) const BLOCKS: usize = 4;
const BATCH: usize = 200;
const RATE: f64 = 2e-3;

pub(crate) fn hidden(world: World) -> usize {
    match world {
        World::Strokes => 96,
        World::SmallMnist => 128,
        World::Mnist | World::Fashion => 256,
    }
}

/// Training epochs.
pub(crate) fn epochs(world: World) -> u64 {
    match world {
        World::Strokes => 10,
        World::SmallMnist | World::Mnist => 6,
        World::Fashion => 15,
    }
}

/// Trains the base models of these jobs.
pub(crate) fn train(
    cx: &mut Context,
    world: World,
    data: &Data,
    jobs: &[Job],
) -> Result<Bases, ExperimentError> {
    // Several jobs share a base model: each is trained once.
    let mut ids: Vec<BaseId> = jobs.iter().map(|job| job.base).collect();
    ids.sort_unstable();
    ids.dedup();
    let root = cx.seed().child("base");
    let kept = cx
        .grid(&format!("base models, {}", world.name()), ids.clone())
        .version(VERSION)
        .seeds(trainings(world))
        .reads(world.set())
        .run(|id, cell| {
            // The seed leaves out the id: models with and without a bound share it, which pairs their
            // comparison.
            let seed = seed_of(&root, world, cell.seed_index());
            let size = CouplingSize {
                order: checkerboard(data.side, data.side),
                blocks: BLOCKS,
                hidden: id.hidden,
                classes: CLASSES,
                spectral_bound: id.bounded.then_some(1.0),
            };
            let network = CouplingNetwork::new(size, &seed)?;
            // An epoch is a number of whole batches: the remaining images add no step.
            let steps = id.epochs * (data.train.len() / BATCH) as u64;
            network.fit(&data.train, &Fit::new(steps, BATCH, RATE), &seed)?;
            Ok(keep(&network.classifier()?.to_tensors())?)
        })?;
    // The grid keeps the weights; answers and accuracy are computed from them in every run.
    let bases = ids.into_iter().map(|id| {
        let trained = kept.by_seed(&id)?.iter().map(|kept| judged(kept, data));
        Ok((id, trained.collect::<Result<_, ExperimentError>>()?))
    });
    bases.collect()
}

fn judged(kept: &Kept, data: &Data) -> Result<Base, ExperimentError> {
    let classifier = InvertibleClassifier::from_tensors(&unkeep(kept))?;
    let answers = outputs(&data.test, |x| classifier.forward(x))?;
    let right = (0..data.test.len())
        .filter(|&i| answers.column(i).argmax().0 == data.test.labels()[i])
        .count();
    Ok(Base {
        clean: right as f64 / data.test.len() as f64,
        classifier,
        answers,
    })
}

/// The seed of everything that is trained on a world with this number.
pub(crate) fn seed_of(root: &SeedTree, world: World, number: u64) -> SeedTree {
    root.child(world.id()).index(number)
}

fn keep(tensors: &Tensors) -> Result<Kept, NetworkError> {
    let kept = tensors.names().map(|name| {
        let array = tensors.get(name)?;
        Ok((name.to_owned(), array.shape.clone(), array.values.clone()))
    });
    Ok(Kept(kept.collect::<Result<_, _>>()?))
}

fn unkeep(kept: &Kept) -> Tensors {
    let mut tensors = Tensors::default();
    for (name, shape, values) in kept.0.iter().cloned() {
        tensors.insert(name, Array { shape, values });
    }
    tensors
}
