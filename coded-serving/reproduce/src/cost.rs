//! F7: the cost of redundancy, and the alternatives at the same cost.

use septet_coded_serving::code::policy::{EqualResources, Hedging};
use septet_coded_serving::code::{Code as _, Cost, Inference, Replication};
use septet_core::experiment::{
    ClaimBuilder, Column, Context, Expected, ExperimentError, Profile, Scale, Table,
};
use septet_core::stats::mean;

use crate::job::{BATCH, Curve, Job, Loss, Means, Recovered};
use crate::plan::{Outcome, TEN as K, encoder, every_training, job, parity};
use crate::world::World;

/// The small encoder.
const FRUGAL: Means = Means::Encoder {
    features: 64,
    hidden: 256,
    loss: Loss::Task,
    batch: BATCH,
    steps: 2500,
};

/// A parity model as expensive as the whole backup with the large encoder.
const WIDE: Means = Means::Parity {
    hidden: 1560,
    batch: BATCH,
    steps: 3000,
};

/// Students: at a third of one inference for all ten queries, at 2.5, and at about the cost of the
/// large encoder.
const STUDENTS: [Means; 3] = [
    Means::Student {
        hidden: 32,
        steps: 3000,
    },
    Means::Student {
        hidden: 256,
        steps: 3000,
    },
    Means::Student {
        hidden: 475,
        steps: 3000,
    },
];

/// The codes that are trained, or derived from a trained base model.
fn trained(world: World) -> Vec<(&'static str, Means)> {
    let [small, middle, large] = STUDENTS;
    let mut all = vec![
        ("approximate backup, 32 hidden units", small),
        ("approximate backup, 256 hidden units", middle),
        ("approximate backup, 475 hidden units", large),
        ("Parity Models", parity(world, K)),
    ];
    if world == World::Mnist {
        all.push(("Parity Models, 1560 hidden units", WIDE));
    }
    all.push(("Coded-InvNet, learned encoder", encoder(world, K)));
    if world == World::Mnist {
        all.push(("Coded-InvNet, small encoder", FRUGAL));
    }
    all.push(("Coded-InvNet, exact inverse", Means::ExactInverse));
    all.push(("ApproxIFER", Means::Curve(Curve::Berrut)));
    all.push(("NeRCC", Means::Curve(Curve::Spline)));
    all
}

pub(crate) fn jobs(profile: Profile, world: World) -> Vec<Job> {
    if profile == Profile::Quick {
        return Vec::new();
    }
    let means = trained(world).into_iter().map(|(_, means)| means);
    means.map(|means| job(world, K, means)).collect()
}

fn claim(cx: &mut Context, world: World) -> ClaimBuilder<'_> {
    cx.claim(
        &format!("F7.{}", world.id()),
        &format!(
            "One of ten workers fails, {}, encoder of 1.1 inferences for the ten: its answer is recovered",
            world.name()
        ),
    )
    .paper_ref("abstract: 85.9 % with one of ten failing")
    .scale(Scale::Scaled)
    .expect(Expected::AtLeast(85.9))
    .published(85.9)
}

pub(crate) fn skip(cx: &mut Context, world: World) {
    if world == World::Mnist {
        world.skip(claim(cx, world));
    }
}

pub(crate) fn judge(cx: &mut Context, outcome: &Outcome) -> Result<(), ExperimentError> {
    if outcome.profile == Profile::Quick {
        return Ok(());
    }
    let world = outcome.world;
    if world == World::Mnist {
        let recovered = outcome.of(K, FRUGAL, Recovered::lower)?;
        claim(cx, world).measured(every_training(&recovered, "%"));
    }
    let rows = rows(outcome)?;
    table(cx, world, &rows);
    Ok(())
}

/// A code in the table, in per cent and inferences.
struct Row {
    name: &'static str,
    /// Which answers `label` and `agreement` are about.
    judged: &'static str,
    label: f64,
    worst: f64,
    agreement: f64,
    /// The share of all answers that are right, when one of ten answers is unavailable, and when one of a
    /// hundred is.
    overall: [f64; 2],
    cost: Cost,
}

/// The shares of answers that are unavailable.
const UNAVAILABLE: [f64; 2] = [1.0 / K as f64, 0.01];

const LOST: &str = "the lost one";

fn rows(outcome: &Outcome) -> Result<Vec<Row>, ExperimentError> {
    let clean = mean(&outcome.clean());
    let worst = least(&outcome.clean());
    // Costs are ratios, so an inference of one operation and one value is the unit.
    let one = Inference {
        operations: 1,
        values: 1,
    };
    let hedging = Hedging::default();
    // A copy recovers the base model's own answer: its accuracy, and full agreement.
    let copies_of = |cost, within: [f64; 2]| Row {
        name: "",
        judged: LOST,
        label: clean,
        worst,
        agreement: 100.0,
        overall: [0, 1].map(|i| clean * (1.0 - UNAVAILABLE[i] + within[i])),
        cost,
    };
    // Three baselines: every answer has a copy, none has, or a budgeted share has.
    let mut rows = vec![
        Row {
            name: "replication",
            ..copies_of(Replication::new(K, 1)?.cost(one), UNAVAILABLE)
        },
        Row {
            name: "equal resources",
            judged: "none is recovered",
            label: 0.0,
            worst: 0.0,
            agreement: 0.0,
            ..copies_of(EqualResources::new(K, 1)?.cost(), [0.0; 2])
        },
        Row {
            name: "hedging, at most 5 % of the queries",
            judged: "the lost one, if sent again",
            ..copies_of(
                hedging.cost(K),
                UNAVAILABLE.map(|lost| lost.min(hedging.budget())),
            )
        },
    ];
    // Then the trained codes, averaged over the trainings.
    for (name, means) in trained(outcome.world) {
        let of = |value: &dyn Fn(&Recovered) -> f64| outcome.of(K, means, value);
        let label = of(&|r| 100.0 * r.label)?;
        // Of groups with a lost answer, the others are as good as ever, or mixtures themselves.
        let undisturbed = mean(&of(&|r| {
            r.undisturbed.map_or(f64::NAN, |share| 100.0 * share)
        })?);
        let recovered = mean(&label);
        let is_curve = matches!(means, Means::Curve(_));
        rows.push(Row {
            name,
            judged: if is_curve { "all" } else { LOST },
            label: recovered,
            worst: least(&label),
            agreement: mean(&of(&|r| 100.0 * r.agreement)?),
            overall: UNAVAILABLE.map(|lost| {
                if is_curve {
                    // None of a group is lost twice, so the share of groups with a loss is k times as large.
                    let groups = lost * K as f64;
                    (1.0 - groups) * undisturbed + groups * recovered
                } else {
                    (1.0 - lost) * clean + lost * recovered
                }
            }),
            cost: Cost {
                operations: mean(&of(&|r| r.operations)?),
                ingress: mean(&of(&|r| r.ingress)?),
            },
        });
    }
    Ok(rows)
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn table(cx: &mut Context, world: World, rows: &[Row]) {
    // One layout for every code, so that a reader can weigh accuracy against cost.
    let mut table = Table::new(
        format!("{}: ten queries, one answer lost, and the cost of redundancy", world.name()),
        [
            Column::text("code"),
            Column::text("answers that are judged"),
            Column::number("label, %", 2),
            Column::number("worst training", 2),
            Column::number("agreement, %", 2),
            Column::number("overall, 10 % unavailable", 2),
            Column::number("overall, 1 % unavailable", 2),
            Column::number("multiply-adds", 2),
            Column::number("ingress", 1),
        ],
    )
    .note("Multiply-adds of encoder and redundant answers over those of one inference, and bytes to redundant workers over those of one query, both for a group of ten; encoders run at the front end. `Overall` is the share of right labels among all answers, if so many were unavailable and none of a group twice: (1 - f) of the base model's and f of the recovered ones'. An answer that nobody gives is wrong. For ApproxIFER and NeRCC, whose answers are all approximate, so many groups have a lost task; when all tasks arrive they do better or worse than that. A student answers any lost query, not one of ten only, but needs all ten queries sent.");
    // The two columns of `overall` follow the order of `UNAVAILABLE`.
    for row in rows {
        let [tenth, hundredth] = row.overall;
        table.push([
            row.name.into(),
            row.judged.into(),
            row.label.into(),
            row.worst.into(),
            row.agreement.into(),
            tenth.into(),
            hundredth.into(),
            row.cost.operations.into(),
            row.cost.ingress.into(),
        ]);
    }
    cx.table(table);
}
