//! Q2, Q3, F1, F3 and B1: what a learned encoder recovers with one worker more for ten, and how much more that
//! is than with a parity model.

use septet_core::experiment::{Context, Expected, Profile, Scale};

use super::job::{Job, Recovered};
use super::plan::{Outcome, base, encoder, every_seed, parity, seeds};
use super::world::World;

/// The paper's figures at k = 10.
const RECOVERED: f64 = 85.9;
const LEAD: f64 = 32.5;

const K: usize = 10;

pub(super) fn jobs(profile: Profile, world: World) -> Vec<Job> {
    let all = seeds(world, profile).flat_map(|seed| {
        [encoder(world, K, profile), parity(world, K, profile)].map(|means| Job {
            base: base(world, seed),
            k: K,
            means,
        })
    });
    all.collect()
}

pub(super) fn judge(cx: &mut Context, outcome: &Outcome, world: World) {
    let quick = outcome.profile == Profile::Quick;
    let means = encoder(world, K, outcome.profile);
    let lower = every_seed(&outcome.by_seed(world, K, means, Recovered::lower), "%");
    let lead = every_seed(&outcome.lead(world, K), "points");
    let clean = every_seed(&outcome.clean(world), "%");
    let name = world.name();
    let recovered = format!(
        "One of ten answers lost, learned encoder, {name}: recovered, by label and by agreement, every seed"
    );
    let leads = format!(
        "One of ten answers lost, {name}: more recovered than with Parity Models, every seed"
    );
    let paper = "abstract: 85.9 % at 10 % more workers, 32.5 % more than the previous best";
    if (world, quick) != (World::Mnist, true) && world != World::Fashion {
        let confident = outcome.by_seed(world, K, means, |r| 100.0 * r.confident);
        cx.claim(
            &format!("B1.{}", world.id()),
            &format!("One of ten answers lost, {name}: refusing the tenth with the smallest margins, so many of the rest agree, every seed"),
        )
        .scale(Scale::Beyond)
        .expect(Expected::AtLeast(99.0))
        .source("set before the first run: what a service may want to hear before it answers")
        .optional()
        .measured(every_seed(&confident, "%"));
    }
    match (world, quick) {
        (World::Strokes, _) => {
            cx.claim("Q2.strokes", &recovered)
                .paper_ref(paper)
                .scale(Scale::Scaled)
                .expect(Expected::AtLeast(RECOVERED))
                .measured(lower);
            cx.claim("Q3.strokes", &leads)
                .paper_ref(paper)
                .scale(Scale::Scaled)
                .expect(Expected::AtLeast(15.0))
                .source("set before the first run: half of the paper's lead")
                .optional()
                .measured(lead);
        }
        (World::Mnist, true) => {
            cx.claim("Q3.mnist", &format!("{leads}; a tenth of the training of the full profile"))
                .paper_ref(paper)
                .scale(Scale::Scaled)
                .expect(Expected::AtLeast(10.0))
                .source("set before the first run: a third of the paper's lead, for a tenth of the training")
                .measured(lead);
        }
        (World::Mnist, false) => {
            cx.claim(
                "F1.clean",
                "The invertible network on MNIST, no answer lost, every seed",
            )
            .scale(Scale::Original)
            .expect(Expected::AtLeast(97.0))
            .source("an invertible network that is no worse than the usual small ones")
            .measured(clean);
            cx.claim("F1.recovered", &recovered)
                .paper_ref(paper)
                .scale(Scale::Original)
                .expect(Expected::AtLeast(RECOVERED))
                .measured(lower);
            cx.claim("F1.lead", &leads)
                .paper_ref(paper)
                .scale(Scale::Original)
                .expect(Expected::AtLeast(LEAD))
                .source("the stricter reading of `32.5 %`: points")
                .measured(lead);
        }
        (World::Fashion, _) => {
            cx.claim(
                "F3.clean",
                "The invertible network on Fashion-MNIST, no answer lost, every seed",
            )
            .scale(Scale::Original)
            .expect(Expected::AtLeast(88.0))
            .source("an invertible network that is no worse than the usual small ones")
            .measured(clean);
            cx.claim("F3.lead", &leads)
                .paper_ref("section 4, Fashion-MNIST")
                .scale(Scale::Original)
                .expect(Expected::AtLeast(15.0))
                .source("a preliminary study with another program found 20.3 points")
                .measured(lead);
        }
    }
}
