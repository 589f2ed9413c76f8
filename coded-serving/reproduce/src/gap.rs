//! F2: the lead over a parity model grows with the size of the group.

use septet_core::experiment::{
    ClaimBuilder, Column, Context, Expected, ExperimentError, Figure, Profile, Scale, Series, Table,
};
use septet_core::stats;

use crate::job::{Job, Recovered};
use crate::plan::{Outcome, SIZES, encoder, every_training, job, parity};
use crate::work;
use crate::world::World;

pub(crate) fn jobs(profile: Profile, world: World) -> Vec<Job> {
    if profile == Profile::Quick {
        return Vec::new();
    }
    let jobs = SIZES
        .into_iter()
        .flat_map(|k| [encoder(world, k), parity(world, k)].map(|means| job(world, k, means)));
    jobs.collect()
}

fn claim(cx: &mut Context, world: World) -> ClaimBuilder<'_> {
    cx.claim(
        &format!("F2.{}", world.id()),
        &format!(
            "The lead over Parity Models grows from k = 2 to 4 to 10, {}: the smaller growth",
            world.name()
        ),
    )
    .paper_ref("abstract: `especially when the compute resource overhead is as low as 10%`")
    .scale(Scale::Scaled)
    .expect(Expected::AtLeast(0.0))
}

pub(crate) fn skip(cx: &mut Context, world: World) {
    if cx.profile() == Profile::Full {
        world.skip(claim(cx, world));
    }
}

pub(crate) fn judge(cx: &mut Context, outcome: &Outcome) -> Result<(), ExperimentError> {
    if outcome.profile == Profile::Quick {
        return Ok(());
    }
    let world = outcome.world;
    // The lead has to grow at both steps, in the same training: the smaller growth is judged.
    let [two, four, ten] = SIZES.map(|k| outcome.lead(k));
    let (two, four, ten) = (two?, four?, ten?);
    let growth: Vec<f64> = two
        .iter()
        .zip(&four)
        .zip(&ten)
        .map(|((two, four), ten)| (four - two).min(ten - four))
        .collect();
    claim(cx, world).measured(every_training(&growth, "points"));

    // In addition to the claim: accuracy and agreement separately, for each size and each code.
    let mean = |k, means, value: fn(&Recovered) -> f64| {
        let values = outcome.of(k, means, value)?;
        Ok::<_, ExperimentError>(100.0 * stats::mean(&values))
    };
    let mut table = Table::new(
        format!("{}: recovered answers, mean of the trainings, %", world.name()),
        [
            Column::integer("k"),
            Column::number("encoder, label", 2),
            Column::number("agreement", 2),
            Column::number("Parity Models, label", 2),
            Column::number("agreement", 2),
            Column::number("training of the encoder, 10^12", 3),
            Column::number("of Parity Models, 10^12", 3),
        ],
    )
    .note("One answer of each group is lost, every one in turn; `agreement` compares with the answer of the base model. Training is counted in multiply-adds, forward and backward, with the answers of the base model that it is held against.");
    let mut ours = Series::new("learned encoder");
    let mut theirs = Series::new("Parity Models");
    for k in SIZES {
        let encoder = encoder(world, k);
        let parity = parity(world, k);
        let cells = [
            mean(k, encoder, |r| r.label)?,
            mean(k, encoder, |r| r.agreement)?,
            mean(k, parity, |r| r.label)?,
            mean(k, parity, |r| r.agreement)?,
        ];
        // The multiply-adds of both trainings show that the competitor is not undertrained.
        let work = [encoder, parity].map(|means| work::of(world, k, means).unwrap_or(0) as f64);
        let work = work.map(|work| (1e-12 * work).into());
        let cells_of_row = cells.map(Into::into).into_iter().chain(work);
        table.push([(k as i64).into()].into_iter().chain(cells_of_row));
        ours = ours.points([(k as f64, cells[0])]);
        theirs = theirs.points([(k as f64, cells[2])]);
    }
    cx.table(table);
    // The figure shows labels only, between two fixed marks: nothing lost, and the abstract.
    cx.figure(
        Figure::new(
            format!("recovered-{}", world.id()),
            format!("{}: lost answers with the right label", world.name()),
            "queries per parity query",
            "%",
        )
        .series(ours)
        .series(theirs)
        .reference("no answer lost", stats::mean(&outcome.clean()))
        .reference("the abstract, ten queries", 85.9),
    );
    Ok(())
}
