//! Q1: with the exact inverse as encoder, lost answers are recovered exactly.

use septet_core::experiment::{
    ClaimBuilder, Context, Estimate, Expected, ExperimentError, Profile, Scale,
};

use crate::job::{Job, Means};
use crate::plan::{Outcome, SIZES, job};
use crate::world::World;

/// One world is enough: what is tested is arithmetic.
fn looks_at(profile: Profile, world: World) -> bool {
    match profile {
        Profile::Quick => world == World::Strokes,
        Profile::Full => world == World::Mnist,
    }
}

pub(crate) fn jobs(profile: Profile, world: World) -> Vec<Job> {
    if !looks_at(profile, world) {
        return Vec::new();
    }
    SIZES.map(|k| job(world, k, Means::ExactInverse)).to_vec()
}

fn claim(cx: &mut Context, world: World) -> ClaimBuilder<'_> {
    cx.claim(
        &format!("Q1.{}", world.id()),
        &format!(
            "Exact inverse as encoder, k = 2, 4 and 10, {}: the largest error of a recovered output",
            world.name()
        ),
    )
    .scale(Scale::Analytic)
    .expect(Expected::AtMost(1e-3))
    .source("decoding is linear in the latents, and exact for any bijection")
    .tolerance_because("32-bit rounding, multiplied by k")
}

pub(crate) fn skip(cx: &mut Context, world: World) {
    if looks_at(cx.profile(), world) {
        world.skip(claim(cx, world));
    }
}

pub(crate) fn judge(cx: &mut Context, outcome: &Outcome) -> Result<(), ExperimentError> {
    let world = outcome.world;
    if !looks_at(outcome.profile, world) {
        return Ok(());
    }
    let mut errors = Vec::new();
    for k in SIZES {
        errors.extend(outcome.of(k, Means::ExactInverse, |r| r.largest_error)?);
    }
    claim(cx, world).measured(Estimate::range(&errors, "trainings and group sizes", ""));
    Ok(())
}
