//! Q4 and F4: what an encoder has to be trained for.

use septet_core::experiment::{Context, Expected, ExperimentError, Profile, Scale};

use super::base::BaseId;
use super::job::{Job, Loss, Means, Recovered};
use super::plan::{Outcome, base, encoder, every_seed, seeds};
use super::world::World;

/// The group size of the quick comparison with the mean image.
const SMALL: usize = 4;
/// That of the full comparison of losses.
const LARGE: usize = 10;
const STEPS: u64 = 500;

fn short(loss: Loss) -> Means {
    Means::Encoder {
        features: 256,
        hidden: 512,
        loss,
        steps: STEPS,
    }
}

fn unbounded(seed: u64) -> BaseId {
    BaseId {
        bounded: false,
        ..base(World::Mnist, seed)
    }
}

pub(super) fn jobs(profile: Profile, world: World) -> Vec<Job> {
    let mut jobs = Vec::new();
    for seed in seeds(world, profile) {
        let base = base(world, seed);
        match (profile, world) {
            (Profile::Quick, World::Strokes) => {
                for means in [Means::MeanImage, encoder(world, SMALL, profile)] {
                    jobs.push(Job {
                        base,
                        k: SMALL,
                        means,
                    });
                }
            }
            (Profile::Full, World::Mnist) => {
                for (base, loss) in [
                    (base, Loss::Task),
                    (base, Loss::PixelLogCosh),
                    (unbounded(seed), Loss::Task),
                ] {
                    jobs.push(Job {
                        base,
                        k: LARGE,
                        means: short(loss),
                    });
                }
            }
            _ => {}
        }
    }
    jobs
}

pub(super) fn judge(
    cx: &mut Context,
    outcome: &Outcome,
    world: World,
) -> Result<(), ExperimentError> {
    match (outcome.profile, world) {
        (Profile::Quick, World::Strokes) => {
            let encoder = encoder(world, SMALL, outcome.profile);
            let ours = outcome.by_seed(world, SMALL, encoder, Recovered::lower);
            let mean = outcome.by_seed(world, SMALL, Means::MeanImage, Recovered::lower);
            let gain: Vec<f64> = ours.iter().zip(&mean).map(|(a, b)| a - b).collect();
            cx.claim(
                "Q4.mean-image",
                "One of four answers lost, generated strokes: more recovered than with the mean image, every seed",
            )
            .paper_ref("section 3: the encoder is what is hard")
            .scale(Scale::Scaled)
            .expect(Expected::AtLeast(10.0))
            .source("set before the first run")
            .measured(every_seed(&gain, "points"));
        }
        (Profile::Full, World::Mnist) => {
            let task = outcome.by_seed(world, LARGE, short(Loss::Task), Recovered::lower);
            let pixel = outcome.by_seed(world, LARGE, short(Loss::PixelLogCosh), Recovered::lower);
            let gain: Vec<f64> = task.iter().zip(&pixel).map(|(a, b)| a - b).collect();
            cx.claim(
                "F4.loss",
                "k = 10, MNIST, 500 steps: trained for decoded answers against trained for pixels, every seed",
            )
            .scale(Scale::Beyond)
            .expect(Expected::AtLeast(0.0))
            .source("the authors train for pixels; only errors that the head sees are amplified")
            .measured(every_seed(&gain, "points"));
            let free: Vec<f64> = seeds(world, outcome.profile)
                .filter_map(|seed| {
                    let job = Job {
                        base: unbounded(seed),
                        k: LARGE,
                        means: short(Loss::Task),
                    };
                    outcome.recovered.get(&job).map(Recovered::lower)
                })
                .collect();
            let gain: Vec<f64> = task.iter().zip(&free).map(|(a, b)| a - b).collect();
            cx.claim(
                "F4.bound",
                "k = 10, MNIST, 500 steps: base model with bounded singular values against without, every seed",
            )
            .scale(Scale::Beyond)
            .expect(Expected::AtLeast(0.0))
            .source("an encoder can only learn what the base model does not stretch too much")
            .measured(every_seed(&gain, "points"));
        }
        _ => {}
    }
    Ok(())
}
