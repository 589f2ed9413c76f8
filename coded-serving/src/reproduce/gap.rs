//! F2: the lead over a parity model grows with the size of the group.

use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Figure, Profile, Scale, Series, Table,
};

use super::job::{Job, Recovered};
use super::plan::{Outcome, SIZES, base, encoder, every_seed, parity, seeds};
use super::work;
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

pub(super) fn judge(
    cx: &mut Context,
    outcome: &Outcome,
    world: World,
) -> Result<(), ExperimentError> {
    if outcome.profile == Profile::Quick {
        return Ok(());
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

    let trained = |k| {
        let encoder = encoder(world, k, outcome.profile);
        let parity = parity(world, k, outcome.profile);
        [encoder, parity].map(|means| work::of(world, k, means).unwrap_or(0) as f64)
    };
    let least = SIZES
        .map(trained)
        .map(|[ours, theirs]| theirs / ours)
        .into_iter()
        .fold(f64::INFINITY, f64::min);
    cx.claim(
        &format!("F2.training-{}", world.id()),
        &format!(
            "{}: multiply-adds of the training of a parity model over those of the encoder, the least of k = 2, 4, 10",
            world.name()
        ),
    )
    .scale(Scale::Analytic)
    .expect(Expected::AtLeast(1.0))
    .source("a rival gets at least the same training")
    .measured(Estimate::exact(least, ""));

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
            Column::number("training of the encoder, 10^12", 3),
            Column::number("of Parity Models, 10^12", 3),
        ],
    )
    .note("One answer of each group is lost, every one in turn; `agreement` compares with the answer of the base model. Training is counted in multiply-adds, forward and backward, with the answers of the base model that it is held against.");
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
        let work = trained(k).map(|work| (1e-12 * work).into());
        let cells_of_row = cells.map(Into::into).into_iter().chain(work);
        table.push([(k as i64).into()].into_iter().chain(cells_of_row));
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
    Ok(())
}
