//! Q5, continued: locating a worker that returns wrong outputs.

use rand::Rng as _;
use rand_distr::StandardNormal;
use septet_coded_serving::code::byzantine::locate;
use septet_coded_serving::code::nodes::Nodes;
use septet_coded_serving::code::{Interpolation, Smoother};
use septet_coded_serving::network::{Batch, Mlp};
use septet_core::experiment::{
    ClaimBuilder, Column, Context, Estimate, Expected, ExperimentError, Scale, Table,
};
use serde::{Deserialize, Serialize};

use crate::interpolation::{WEIGHTS, run_group};
use crate::rational::locate_rational;
use crate::world::{Data, World};

/// The results of the searches for wrong outputs.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Found {
    /// Trials in which the least-squares search located the right worker.
    located: u64,
    /// Trials in which the search of `ApproxIFER` did.
    located_rationally: u64,
}

/// Noise that a worker adds to its output.
#[derive(Clone, Copy, Debug, Serialize)]
struct Lie {
    /// The standard deviation of the noise.
    deviation: u32,
    trials: u64,
}

impl Lie {
    const fn new(deviation: u32) -> Self {
        Self {
            deviation,
            trials: 500,
        }
    }
}

/// The number of queries, and of the workers needed to locate one wrong output.
const QUERIES: usize = 12;
const ERRORS: usize = 1;
const TASKS: usize = 2 * QUERIES + 2 * ERRORS - 1;

/// The standard deviations of the noise; that of the model's outputs is 9.7.
const SMALL: Lie = Lie::new(10);
const MIDDLE: Lie = Lie::new(30);
const LARGE: Lie = Lie::new(100);

fn claim(cx: &mut Context, lie: Lie) -> ClaimBuilder<'_> {
    let Lie { deviation, .. } = lie;
    cx.claim(
        &format!("Q5.byzantine-{deviation}"),
        &format!(
            "One of 25 workers adds noise of deviation {deviation}, 12 queries, MNIST: it is found"
        ),
    )
    .scale(Scale::Beyond)
    .expect(Expected::AtLeast(0.95))
    .source("a target of our own; the outputs have a deviation of 9.7")
}

pub(crate) fn skip(cx: &mut Context, why: &str, how_to_get: &str) {
    for lie in [SMALL, MIDDLE] {
        claim(cx, lie).skipped(why, how_to_get);
    }
}

pub(crate) fn run(cx: &mut Context, data: &Data, model: &Mlp) -> Result<(), ExperimentError> {
    let lies = [SMALL, MIDDLE, LARGE];
    let grid = cx.grid("wrong outputs", lies);
    let grid = grid.reads([WEIGHTS].into_iter().chain(World::Mnist.set()));
    let found = grid.run(|lie, cell| {
        // All outputs arrive: the search is for wrong outputs, not for lost ones.
        let code = Interpolation::new(QUERIES, TASKS, 0, Smoother::Berrut)?;
        let curves = code.encoding(QUERIES)?;
        let nodes = Nodes::Released.of_tasks(TASKS);
        let mut rng = cell.seed().child("lies").rng();
        let mut found = Found {
            located: 0,
            located_rationally: 0,
        };
        // A trial is a group with one wrong worker. 500 groups of 12 are fewer than the test images, so no
        // image is in two trials of a cell.
        let groups = data.test.groups(QUERIES, &cell.seed().child("groups"));
        for group in groups.iter().take(lie.trials as usize) {
            let honest = run_group(&code, &data.test, group, &|x: &Batch| model.forward(x))?;
            let mut outputs: Vec<Vec<f32>> = honest
                .iter()
                .map(|output| output.values().to_vec())
                .collect();
            // One worker, drawn anew, adds noise to every coordinate of its output.
            let liar = rng.random_range(0..TASKS);
            for value in &mut outputs[liar] {
                let deviate: f32 = rng.sample(StandardNormal);
                *value += lie.deviation as f32 * deviate;
            }
            // Both searches see the same outputs, which pairs their comparison.
            let values: Vec<&[f32]> = outputs.iter().map(Vec::as_slice).collect();
            found.located += u64::from(locate(&curves, &values, ERRORS) == [liar]);
            let rational = locate_rational(&nodes, &values, QUERIES, ERRORS);
            found.located_rationally += u64::from(rational == [liar]);
        }
        Ok(found)
    })?;
    let mut table = Table::new(
        "MNIST, 12 queries on 25 workers, one of which adds noise: how often it is found, %",
        [
            Column::integer("deviation"),
            Column::number("least squares", 1),
            Column::number("rational fit, as in ApproxIFER", 1),
        ],
    )
    .note("The outputs have a deviation of 9.7.");
    for lie in lies {
        let found = found.get(&lie)?;
        let share = |located: u64| 100.0 * located as f64 / lie.trials as f64;
        table.push([
            i64::from(lie.deviation).into(),
            share(found.located).into(),
            share(found.located_rationally).into(),
        ]);
    }
    cx.table(table);
    // Targets are for the smaller lies; the largest is in the table for comparison.
    for lie in [SMALL, MIDDLE] {
        let located = found.get(&lie)?.located;
        let share = Estimate::proportion(located, lie.trials, "trials");
        claim(cx, lie).measured(share);
    }
    Ok(())
}
