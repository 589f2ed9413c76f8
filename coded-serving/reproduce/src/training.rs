//! Q4: whether an encoder has to be learned, and with which loss.

use septet_core::experiment::{ClaimBuilder, Context, Expected, ExperimentError, Profile, Scale};

use crate::base::BaseId;
use crate::job::{BATCH, Job, Loss, Means, Recovered};
use crate::plan::{Outcome, TEN, base, encoder, every_training, gain, job};
use crate::world::World;

/// Of the comparison of losses.
const SHORT: u64 = 500;

fn short(loss: Loss) -> Means {
    Means::Encoder {
        features: 256,
        hidden: 512,
        loss,
        batch: BATCH,
        steps: SHORT,
    }
}

/// The same training on a base model without bounds on its singular values.
fn unbounded() -> Job {
    Job {
        base: BaseId {
            bounded: false,
            ..base(World::Mnist)
        },
        k: TEN,
        means: short(Loss::Task),
    }
}

pub(crate) fn jobs(_: Profile, world: World) -> Vec<Job> {
    if world == World::Fashion {
        return Vec::new();
    }
    let mut jobs = vec![
        job(world, TEN, Means::MeanImage),
        job(world, TEN, encoder(world, TEN)),
    ];
    if world == World::Mnist {
        let losses = [Loss::Task, Loss::PixelLogCosh];
        jobs.extend(losses.map(|loss| job(world, TEN, short(loss))));
        jobs.push(unbounded());
    }
    jobs
}

fn claim(cx: &mut Context, world: World) -> ClaimBuilder<'_> {
    cx.claim(
        &format!("Q4.{}", world.id()),
        &format!(
            "One of ten answers lost, {}: more recovered with the learned encoder than with the mean image",
            world.name()
        ),
    )
    .scale(Scale::Beyond)
    .expect(Expected::AtLeast(10.0))
    .source("a margin of our own: less would not be worth a training")
}

pub(crate) fn skip(cx: &mut Context, world: World) {
    if world != World::Fashion {
        world.skip(claim(cx, world));
    }
}

pub(crate) fn judge(cx: &mut Context, outcome: &Outcome) -> Result<(), ExperimentError> {
    let world = outcome.world;
    if world == World::Fashion {
        return Ok(());
    }
    // The encoder against the mean image, which costs no training.
    let ours = outcome.of(TEN, encoder(world, TEN), Recovered::lower)?;
    let mean = outcome.of(TEN, Means::MeanImage, Recovered::lower)?;
    claim(cx, world).measured(every_training(&gain(&ours, &mean), "points"));
    if world != World::Mnist {
        return Ok(());
    }
    // Short trainings compare losses and bounds: one choice differs at a time, and steps are equal.
    let task = outcome.of(TEN, short(Loss::Task), Recovered::lower)?;
    let pixel = outcome.of(TEN, short(Loss::PixelLogCosh), Recovered::lower)?;
    // Another base model, so it is looked up by its whole job.
    let free = outcome.by_training(&unbounded(), Recovered::lower)?;
    cx.claim(
        "Q4.loss",
        "k = 10, MNIST, 500 steps: encoder trained for decoded answers over one trained for pixels",
    )
    .scale(Scale::Beyond)
    .expect(Expected::AtLeast(0.0))
    .source("the authors' program trains for pixels; only errors that the head sees are amplified")
    .measured(every_training(&gain(&task, &pixel), "points"));
    cx.claim(
        "Q4.bound",
        "k = 10, MNIST, 500 steps: base model with bounded singular values over one without",
    )
    .scale(Scale::Beyond)
    .expect(Expected::AtLeast(0.0))
    .source("an encoder can only be learned for a base model with a moderate Lipschitz constant")
    .measured(every_training(&gain(&task, &free), "points"));
    Ok(())
}
