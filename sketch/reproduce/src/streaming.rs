//! F3: first come, first served, packet by packet, against the model of it.
//!
//! The paper's simulator never sees a stream. It takes the keys above the threshold and draws those
//! that get a slot one after the other, in proportion to their counts: the order in which keys first
//! occur when all orders of the stream are equally likely. Here the packets are really counted, one
//! after the other, by the sketch that users have, with its hashes and its buckets.

use rand::Rng;
use rand_distr::Exp1;
use septet_core::experiment::{Column, Context, Expected, ExperimentError, Scale, SeedTree, Table};
use septet_core::stats;
use septet_sketch::count_min::UpdateRule;
use septet_sketch::learned::{ExplicitTable, Learned, Slot8, Threshold};
use septet_sketch::metrics;
use septet_sketch::oracle::{FlowFeatures, HashedLinear, Oracle, QuantizedLinear};
use septet_sketch::stream::{FlowWindow, HeteroFlows};
use septet_sketch::theory::{Histogram, aafe};
use septet_sketch::{CountMin, FlowKey, SketchError};
use serde::{Deserialize, Serialize};

use crate::mean;
use crate::method::scores_of;

/// Explicit keys, and counters of a row, per flow.
const SLOTS_A_FLOW: f64 = 0.12;
const WIDTH_A_FLOW: f64 = 0.1;

/// Flows of a stream, some 11 million packets.
const FLOWS: usize = 1_100_000;

const DEPTHS: [usize; 2] = [2, 4];

/// Worlds, each with a stream.
const WORLDS: u64 = 6;

/// Draws of the model, of which the mean is taken.
const DRAWS: u64 = 4;

#[derive(Clone, Copy, Debug, Serialize)]
struct Job {
    depth: usize,
    flows: usize,
}

/// What was counted, and what the model says.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Streamed {
    packets: u64,
    error: f64,
    modeled_error: f64,
    /// The model's with as many slots as were taken.
    error_of_taken: f64,
    coverage: f64,
    modeled_coverage: f64,
    /// The share of the slots that were taken.
    filled: f64,
    /// Questions to the oracle for each flow.
    questions: f64,
}

pub(crate) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    // A tolerance of 3 % needs long streams: the errors of short ones differ more between worlds.
    if !cx.selects("F3") {
        return Ok(());
    }
    // Worlds are the replicates, and the same for both depths.
    let root = cx.seed().child("streaming");
    let jobs = DEPTHS.map(|depth| Job {
        depth,
        flows: FLOWS,
    });
    let streamed = cx
        .grid("streamed", jobs)
        .seeds(WORLDS)
        .version(2)
        .run(|job, cell| stream(job, &root.index(cell.seed_index()), cell.seed()))?;
    let mut table = Table::new(
        "Counted packet by packet, and the model of it: generated flows, 12 % explicit keys",
        [
            Column::integer("Rows"),
            Column::integer("Packets, mean"),
            Column::number("Error", 3),
            Column::number("Error, model", 3),
            Column::number("Error, model of slots taken", 3),
            Column::number("Coverage", 4),
            Column::number("Coverage, model", 4),
            Column::number("Slots taken", 4),
            Column::number("Questions a flow", 3),
        ],
    )
    .note("Means over worlds. Plain update. The model draws keys in proportion to their counts until all slots are taken, and the error is predicted from what is left.");
    for job in jobs {
        let depth = job.depth;
        let streamed = streamed.by_seed(&job)?;
        let of_depth =
            |value: fn(&Streamed) -> f64| -> Vec<f64> { streamed.iter().map(value).collect() };
        let mean = |value| stats::mean(&of_depth(value));
        table.push([
            depth.into(),
            (mean(|s| s.packets as f64) as u64).into(),
            mean(|s| s.error).into(),
            mean(|s| s.modeled_error).into(),
            mean(|s| s.error_of_taken).into(),
            mean(|s| s.coverage).into(),
            mean(|s| s.modeled_coverage).into(),
            mean(|s| s.filled).into(),
            mean(|s| s.questions).into(),
        ]);
        // Ratios are taken world by world, so that differences between worlds cancel.
        let errors = of_depth(|s| s.error / s.modeled_error);
        claim(
            cx,
            &format!("F3.error-d{depth}"),
            &format!("Counted packet by packet with {depth} rows: error over that of the model"),
            &errors,
        );
        // Coverage does not depend on the rows: one claim is enough.
        if depth == DEPTHS[0] {
            let coverage = of_depth(|s| s.coverage / s.modeled_coverage);
            claim(
                cx,
                "F3.coverage",
                "Counted packet by packet: coverage over that of the model",
                &coverage,
            );
        }
    }
    cx.table(table);
    Ok(())
}

fn claim(cx: &mut Context, id: &str, statement: &str, ratios: &[f64]) {
    let measured = mean(cx, ratios, "worlds");
    cx.claim(id, statement)
        .scale(Scale::Scaled)
        .expect(Expected::near(1.0, 0.03))
        .source("the paper's simulator: slots drawn in proportion to counts, without replacement")
        .tolerance_because(
            "buckets of 16 slots fill unevenly, and a bucket that is full turns keys away",
        )
        .measured(measured);
}

fn stream(job: &Job, seed: &SeedTree, own: &SeedTree) -> Result<Streamed, ExperimentError> {
    let world = HeteroFlows::new(seed);
    // A small model needs only a part of the flows to learn from.
    let training = world.window(0, job.flows.min(262_144));
    let features = FlowFeatures::new(&[16])?;
    let fitted = HashedLinear::fit(features, 256, training.keys(), training.counts(), 12)?;
    let oracle = QuantizedLinear::new(&fitted);
    // The threshold comes from a window of its own, so that it knows nothing of the test.
    let validation: Vec<f32> = scores_of(&oracle, world.window(1, job.flows).keys())
        .into_iter()
        .map(|score| score as f32)
        .collect();
    let test = world.window(2, job.flows);
    let total = test.total();

    let slots = (SLOTS_A_FLOW * job.flows as f64) as usize;
    let table = ExplicitTable::<Slot8>::with_slots(slots);
    let width = (WIDTH_A_FLOW * job.flows as f64) as usize;
    // Room enough for rows of this width; they are what they are, whatever is left over.
    let model = Oracle::<FlowKey>::model_bytes(&oracle);
    let bytes = table.size_bytes() + 4 * width * job.depth + model;
    let hash_seed = own.child("hashes").rng().random();
    let mut learned = Learned::<FlowKey, CountMin<u32>, _>::builder(oracle)
        .bytes(bytes.next_power_of_two())
        .slots(slots)
        .threshold(Threshold::Quantile {
            keys_per_slot: 1.10,
        })
        .validation_scores(validation)
        .build(|_| {
            CountMin::builder()
                .depth(job.depth)
                .width(width)
                .seed(hash_seed)
                .update_rule(UpdateRule::Plain)
                .build()
        })?;
    // The packets, in batches as a user would push them.
    let packets = test.packets(own);
    let mut keys = Vec::with_capacity(4096);
    for packets in packets.chunks(4096) {
        keys.clear();
        keys.extend(packets.iter().map(|&flow| test.keys()[flow as usize]));
        learned.update_batch(&keys);
    }
    let estimates: Vec<f64> = test
        .keys()
        .iter()
        .map(|key| learned.estimate(key).value as f64)
        .collect();

    // The model gets the threshold and the width that the sketch really has.
    let scores = scores_of(learned.oracle(), test.keys());
    let threshold = f64::from(learned.threshold_score());
    let width = learned.sketch().width();
    let modeled = |slots: usize| -> Result<(f64, f64), SketchError> {
        let (mut error, mut coverage) = (0.0, 0.0);
        for draw in 0..DRAWS {
            let mut rng = own.child("model").index(draw).rng();
            let left = left_by_the_model(&test, &scores, threshold, slots, &mut rng);
            let residual: u64 = left.iter().sum();
            let histogram = Histogram::from_counts(left);
            error += aafe(&histogram, total, job.depth, width)? / DRAWS as f64;
            coverage += (1.0 - residual as f64 / total as f64) / DRAWS as f64;
        }
        Ok((error, coverage))
    };
    // With all slots, then with those taken: the difference is what full buckets turn away.
    let (modeled_error, modeled_coverage) = modeled(learned.table().slots())?;
    let (error_of_taken, _) = modeled(learned.table().len())?;
    Ok(Streamed {
        packets: total,
        error: metrics::average_absolute_frequency_error(test.counts(), &estimates),
        modeled_error,
        error_of_taken,
        coverage: learned.coverage(),
        modeled_coverage,
        filled: learned.table().len() as f64 / learned.table().slots() as f64,
        questions: learned.stats().oracle_queries as f64 / job.flows as f64,
    })
}

/// The counts that are left when the keys above the threshold are drawn one after the other, in
/// proportion to their counts, until `slots` are drawn. Drawing so is the same as taking the keys in
/// the order of independent exponential times with their counts as rates.
fn left_by_the_model(
    window: &FlowWindow,
    scores: &[f64],
    threshold: f64,
    slots: usize,
    rng: &mut impl Rng,
) -> Vec<u64> {
    let mut left = Vec::new();
    let mut above: Vec<(f64, u64)> = Vec::new();
    for (&count, &score) in window.counts().iter().zip(scores) {
        if score > threshold {
            let time: f64 = rng.sample(Exp1);
            above.push((time / count as f64, count));
        } else {
            left.push(count);
        }
    }
    above.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    left.extend(above.iter().skip(slots).map(|&(_, count)| count));
    left
}
