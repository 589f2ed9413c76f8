//! F2: the lead over a parity model grows with the size of the group.

use septet_core::experiment::{Column, Context, Expected, Figure, Profile, Scale, Series, Table};

use super::job::{Job, Recovered};
use super::plan::{Outcome, SIZES, base, encoder, every_seed, parity, seeds};
use super::world::World;

pub(super) fn jobs(profile: Profile, world: World) -> Vec<Job> {
    if profile == Profile::Quick {
        return Vec::new();
    }
    let mut jobs = Vec::new();
    for seed in seeds(world, profile) {
        for k in SIZES {
            for means in [encoder(world, k, profile), parity(world, k, profile)] {
                let base = base(world, seed);
                jobs.push(Job { base, k, means });
            }
        }
    }
    jobs
}

pub(super) fn judge(cx: &mut Context, outcome: &Outcome, world: World) {
    if outcome.profile == Profile::Quick {
        return;
    }
    let [two, four, ten] = SIZES.map(|k| outcome.lead(world, k));
    let growth: Vec<f64> = two
        .iter()
        .zip(&four)
        .zip(&ten)
        .map(|((two, four), ten)| (four - two).min(ten - four))
        .collect();
    cx.claim(
        &format!("F2.{}", world.id()),
        &format!(
            "The lead over Parity Models grows from k = 2 to 4 to 10, {}: the smaller growth, every seed",
            world.name()
        ),
    )
    .paper_ref("abstract: `especially when overhead is as low as 10 %`")
    .scale(Scale::Original)
    .expect(Expected::AtLeast(0.0))
    .measured(every_seed(&growth, "points"));

    let mean = |k, means, value: fn(&Recovered) -> f64| {
        let values = outcome.by_seed(world, k, means, value);
        100.0 * values.iter().sum::<f64>() / values.len() as f64
    };
    let mut table = Table::new(
        format!("{}: recovered answers, mean of the seeds, %", world.name()),
        [
            Column::integer("k"),
            Column::number("encoder, label", 2),
            Column::number("agreement", 2),
            Column::number("Parity Models, label", 2),
            Column::number("agreement", 2),
        ],
    )
    .note("One answer of each group is lost, every one in turn; `agreement` compares with the answer of the base model.");
    let mut ours = Series::new("learned encoder");
    let mut theirs = Series::new("Parity Models");
    for k in SIZES {
        let encoder = encoder(world, k, outcome.profile);
        let parity = parity(world, k, outcome.profile);
        let cells = [
            mean(k, encoder, |r| r.label),
            mean(k, encoder, |r| r.agreement),
            mean(k, parity, |r| r.label),
            mean(k, parity, |r| r.agreement),
        ];
        table.push([(k as i64).into()].into_iter().chain(cells.map(Into::into)));
        ours = ours.points([(k as f64, cells[0])]);
        theirs = theirs.points([(k as f64, cells[2])]);
    }
    cx.table(table);
    let clean = outcome.clean(world);
    let clean = clean.iter().sum::<f64>() / clean.len() as f64;
    cx.figure(
        Figure::new(
            format!("recovered-{}", world.id()),
            format!("{}: lost answers with the right label", world.name()),
            "queries for one parity",
            "%",
        )
        .series(ours)
        .series(theirs)
        .reference("no answer lost", clean),
    );
}
