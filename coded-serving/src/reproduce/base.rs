//! The base models, each trained once.

use std::collections::BTreeMap;

use septet_core::experiment::{Context, ExperimentError, Profile, SeedTree};
use serde::{Deserialize, Serialize};

use super::world::{Data, World};
use crate::network::{Array, Batch, Coupling, InvertibleClassifier, Tensors, checkerboard};
use crate::train::{CouplingNetwork, CouplingSize, Fit, outputs};

/// Which base model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct BaseId {
    pub(super) world: World,
    pub(super) seed: u64,
    /// Whether the layers of its blocks have bounded singular values.
    pub(super) bounded: bool,
}

/// A trained base model, and what it answers to the test images.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) classifier: InvertibleClassifier<Coupling>,
    pub(super) answers: Batch,
    /// The share of test images that it classifies rightly.
    pub(super) clean: f64,
}

/// A trained model as it is kept: names, shapes and numbers.
#[derive(Serialize, Deserialize)]
struct Kept(Vec<(String, Vec<usize>, Vec<f32>)>);

pub(super) type Bases = BTreeMap<BaseId, Base>;

/// Classes of every world.
pub(super) const CLASSES: usize = 10;

/// Blocks, hidden units, and passes over the training images, of 200 in a step.
pub(super) const BLOCKS: usize = 4;
const BATCH: usize = 200;
const RATE: f64 = 2e-3;

pub(super) fn hidden(world: World) -> usize {
    match world {
        World::Strokes => 96,
        World::Mnist | World::Fashion => 256,
    }
}

fn epochs(world: World, profile: Profile) -> u64 {
    match (world, profile) {
        (World::Strokes, _) => 12,
        (_, Profile::Quick) => 1,
        (World::Mnist, _) => 6,
        (World::Fashion, _) => 15,
    }
}

/// Trains these models.
pub(super) fn train(
    cx: &mut Context,
    worlds: &BTreeMap<World, Data>,
    ids: &[BaseId],
) -> Result<Bases, ExperimentError> {
    let profile = cx.profile();
    let root = cx.seed().child("base");
    let kept: Vec<Kept> = cx.cells("base models", ids, |id, _| {
        let data = of(worlds, id.world)?;
        let seed = seed_of(&root, id.world, id.seed);
        let size = CouplingSize {
            order: checkerboard(data.side, data.side),
            blocks: BLOCKS,
            hidden: hidden(id.world),
            classes: CLASSES,
            spectral_bound: id.bounded.then_some(1.0),
        };
        let network = CouplingNetwork::new(size, &seed)?;
        let steps = epochs(id.world, profile) * (data.train.len() / BATCH) as u64;
        network.fit(&data.train, &Fit::new(steps, BATCH, RATE), &seed)?;
        Ok(keep(&network.classifier()?.to_tensors())?)
    })?;
    let bases = ids.iter().zip(kept).map(|(id, kept)| {
        let data = of(worlds, id.world)?;
        let classifier = InvertibleClassifier::from_tensors(&unkeep(kept))?;
        let answers = outputs(&data.test, |x| classifier.forward(x))?;
        let right = (0..data.test.len())
            .filter(|&i| answers.column(i).argmax().0 == data.test.labels()[i])
            .count();
        let base = Base {
            clean: right as f64 / data.test.len() as f64,
            classifier,
            answers,
        };
        Ok((*id, base))
    });
    bases.collect()
}

/// The seed of everything that is trained on a world with this number.
pub(super) fn seed_of(root: &SeedTree, world: World, number: u64) -> SeedTree {
    root.child(world.id()).index(number)
}

pub(super) fn of(worlds: &BTreeMap<World, Data>, world: World) -> Result<&Data, ExperimentError> {
    worlds
        .get(&world)
        .ok_or_else(|| ExperimentError::new(format!("the images of {} are not here", world.name())))
}

fn keep(tensors: &Tensors) -> Result<Kept, crate::network::NetworkError> {
    let kept = tensors.names().map(|name| {
        let array = tensors.get(name)?;
        Ok((name.to_owned(), array.shape.clone(), array.values.clone()))
    });
    Ok(Kept(kept.collect::<Result<_, _>>()?))
}

fn unkeep(kept: Kept) -> Tensors {
    let mut tensors = Tensors::default();
    for (name, shape, values) in kept.0 {
        tensors.insert(name, Array { shape, values });
    }
    tensors
}
