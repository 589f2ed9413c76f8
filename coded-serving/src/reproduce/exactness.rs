//! Q1: with the exact inverse as encoder, lost answers come back as they were.

use septet_core::experiment::{Context, Estimate, Expected, ExperimentError, Profile, Scale};

use super::job::{Job, Means};
use super::plan::{Outcome, SIZES, base};
use super::world::World;

/// Whether the part looks at a world: the small one is enough for the quick profile.
fn looks_at(profile: Profile, world: World) -> bool {
    profile != Profile::Quick || world == World::Strokes
}

pub(super) fn jobs(profile: Profile, world: World) -> Vec<Job> {
    if !looks_at(profile, world) {
        return Vec::new();
    }
    let job = |k| Job {
        base: base(world, 0),
        k,
        means: Means::ExactInverse,
    };
    SIZES.map(job).to_vec()
}

pub(super) fn judge(
    cx: &mut Context,
    outcome: &Outcome,
    world: World,
) -> Result<(), ExperimentError> {
    if !looks_at(outcome.profile, world) {
        return Ok(());
    }
    let over_sizes = |value: fn(&super::job::Recovered) -> f64, pick: fn(f64, f64) -> f64| {
        let values = SIZES.into_iter().flat_map(|k| {
            let jobs = outcome.by_seed(world, k, Means::ExactInverse, value);
            jobs.into_iter()
        });
        values.reduce(pick).unwrap_or(f64::NAN)
    };
    cx.claim(
        &format!("Q1.agreement-{}", world.id()),
        &format!(
            "Exact inverse, k = 2, 4, 10, {}: a lost answer has the class it had",
            world.name()
        ),
    )
    .paper_ref("section 3: decoding is exact for any bijection")
    .scale(Scale::Analytic)
    .expect(Expected::AtLeast(99.9))
    .tolerance_because("rounding may turn answers whose best classes differ by less than 1e-3")
    .measured(Estimate::exact(
        100.0 * over_sizes(|r| r.agreement, f64::min),
        "%",
    ));
    cx.claim(
        &format!("Q1.error-{}", world.id()),
        &format!(
            "Exact inverse, k = 2, 4, 10, {}: the largest error of a decoded answer",
            world.name()
        ),
    )
    .paper_ref("section 3: decoding is exact for any bijection")
    .scale(Scale::Analytic)
    .expect(Expected::AtMost(1e-3))
    .tolerance_because("32-bit rounding, multiplied by k")
    .measured(Estimate::exact(
        over_sizes(|r| r.largest_error, f64::max),
        "",
    ));
    Ok(())
}
