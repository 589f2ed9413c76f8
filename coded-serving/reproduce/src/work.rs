//! The cost of a training in multiply-adds.
//!
//! Matrix products, forward and backward, sums over groups, and the base model's outputs that serve as targets
//! are counted. Parameter updates are not: there are more of them in the trainings of parity models, so the
//! omission favors those.

use crate::base::{BLOCKS, CLASSES, hidden};
use crate::job::{Loss, Means};
use crate::world::World;

/// The multiply-adds of a training for groups of `k`; `None` where they are not used.
pub(crate) fn of(world: World, k: usize, means: Means) -> Option<u64> {
    let teacher = world.trained_on() * (bijection(world) + head(world));
    Some(steps_of(world, k, means)? + teacher as u64)
}

/// The same without the outputs of the base model, which every training needs once.
fn steps_of(world: World, k: usize, means: Means) -> Option<u64> {
    let (steps, step) = match means {
        Means::Encoder {
            features,
            hidden,
            loss: Loss::Task,
            batch,
            steps,
        } => (
            steps,
            batch as u64 * encoder_group(world, k, features, hidden),
        ),
        Means::Parity {
            hidden,
            batch,
            steps,
        } => (steps, batch as u64 * parity_group(world, k, hidden)),
        _ => return None,
    };
    Some(steps * step)
}

/// The number of steps of a parity model with at least as many multiply-adds as the training of an encoder,
/// rounded up to hundreds.
pub(crate) fn parity_steps(
    world: World,
    k: usize,
    hidden: usize,
    batch: usize,
    encoder: Means,
) -> u64 {
    let work = steps_of(world, k, encoder).unwrap_or(0);
    work.div_ceil(batch as u64 * parity_group(world, k, hidden))
        .next_multiple_of(100)
}

/// The bijection of a base model, for one query.
fn bijection(world: World) -> usize {
    BLOCKS * world.width() * hidden(world)
}

fn head(world: World) -> usize {
    world.width() * CLASSES
}

/// One group of a step for decoded answers.
fn encoder_group(world: World, k: usize, features: usize, hidden: usize) -> u64 {
    let width = world.width();
    // Forward, and backward for the weights: no gradient is needed in the queries.
    let phi = 2 * k * width * features;
    // Backward for weights and inputs.
    let rho = 3 * ((features + width) * hidden + hidden * width);
    // Through the frozen blocks: forward, and backward for inputs only, which repeats the forward
    // pass and then, inside each block, that of the first of its two equal layers.
    let frozen = bijection(world) * 7 / 2;
    // Features are summed, and their gradients broadcast; queries are summed twice, answers once.
    let sums = k * (2 * features + 2 * width + CLASSES);
    (phi + rho + frozen + 3 * head(world) + sums) as u64
}

fn parity_group(world: World, k: usize, hidden: usize) -> u64 {
    let width = world.width();
    let layers = 2 * width * hidden + 3 * hidden * hidden + 3 * hidden * CLASSES;
    (layers + k * (width + CLASSES)) as u64
}
