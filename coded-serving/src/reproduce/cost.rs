//! F7 and F8: what the redundancy costs, and what else could be had for that.

use septet_core::experiment::{Column, Context, Expected, Profile, Scale, Table};

use super::job::{Job, Loss, Means, Recovered};
use super::plan::{Outcome, base, encoder, every_seed, parity, seeds};
use super::world::World;

const K: usize = 10;

/// The encoder that costs little.
const FRUGAL: Means = Means::Encoder {
    features: 64,
    hidden: 256,
    loss: Loss::Task,
    steps: 2500,
};

/// A parity model as expensive as the whole backup with the large encoder.
const WIDE: Means = Means::Parity {
    hidden: 1560,
    steps: 1500,
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

fn all(world: World, profile: Profile) -> Vec<(&'static str, Means)> {
    let [small, middle, large] = STUDENTS;
    let mut all = vec![
        ("Coded-InvNet, learned encoder", encoder(world, K, profile)),
        ("Parity Models", parity(world, K, profile)),
        ("approximate backup, 32 hidden units", small),
        ("approximate backup, 256 hidden units", middle),
        ("approximate backup, 475 hidden units", large),
    ];
    if world == World::Mnist {
        all.push(("Coded-InvNet, frugal encoder", FRUGAL));
        all.push(("Parity Models, 1560 hidden units", WIDE));
    }
    all.push(("Coded-InvNet, exact inverse", Means::ExactInverse));
    all
}

pub(super) fn jobs(profile: Profile, world: World) -> Vec<Job> {
    if profile == Profile::Quick {
        return Vec::new();
    }
    let mut jobs = Vec::new();
    for seed in seeds(world, profile) {
        for (_, means) in all(world, profile) {
            if means != Means::ExactInverse || seed == 0 {
                let base = base(world, seed);
                jobs.push(Job { base, k: K, means });
            }
        }
    }
    jobs
}

pub(super) fn judge(cx: &mut Context, outcome: &Outcome, world: World) {
    if outcome.profile == Profile::Quick {
        return;
    }
    let of = |means, value: fn(&Recovered) -> f64| outcome.by_seed(world, K, means, value);
    if world == World::Mnist {
        let large = encoder(world, K, outcome.profile);
        cx.claim(
            "F7.cost",
            "The backup task with the learned encoder, k = 10: multiply-adds over one inference",
        )
        .paper_ref("the authors' networks: 11.2 by their released settings")
        .scale(Scale::Beyond)
        .expect(Expected::AtMost(5.0))
        .source("five inferences for ten queries: less than half of replication")
        .measured(every_seed(&of(large, |r| r.operations), "inferences"));
        cx.claim(
            "F7.frugal-cost",
            "The backup task with the frugal encoder, k = 10: multiply-adds over one inference",
        )
        .scale(Scale::Beyond)
        .expect(Expected::AtMost(2.5))
        .source("set before the first run")
        .measured(every_seed(&of(FRUGAL, |r| r.operations), "inferences"));
        cx.claim(
            "F7.frugal-recovered",
            "One of ten answers lost, frugal encoder, MNIST: recovered, by label and by agreement, every seed",
        )
        .paper_ref("abstract: 85.9 % at 10 % more workers")
        .scale(Scale::Original)
        .expect(Expected::AtLeast(85.9))
        .measured(every_seed(&of(FRUGAL, Recovered::lower), "%"));
    }
    let mut table = Table::new(
        format!("{}: one of ten answers lost, and what its recovery costs", world.name()),
        [
            Column::text("code"),
            Column::number("label, %", 2),
            Column::number("worst seed", 2),
            Column::number("agreement, %", 2),
            Column::number("multiply-adds", 2),
            Column::number("ingress", 1),
        ],
    )
    .note("Multiply-adds of encoder and redundant answers over those of one inference, and bytes to redundant workers over those of one query, both for a group of ten; encoders run at the front end. A student answers any lost query, not one of ten only, but needs all ten queries sent.");
    for (name, means) in all(world, outcome.profile) {
        let label = of(means, |r| 100.0 * r.label);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let worst = label.iter().copied().fold(f64::INFINITY, f64::min);
        table.push([
            name.into(),
            mean(&label).into(),
            worst.into(),
            mean(&of(means, |r| 100.0 * r.agreement)).into(),
            mean(&of(means, |r| r.operations)).into(),
            mean(&of(means, |r| r.ingress)).into(),
        ]);
    }
    cx.table(table);
}
