//! F3: one pass over a true stream, against the model that the paper's simulations use for it.

use rand::Rng;
use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Scale, SeedTree, Table,
};
use septet_core::stats;
use serde::{Deserialize, Serialize};

use super::losses;
use super::method::{Method, scores_of};
use crate::count_min::Update;
use crate::learned::Learned;
use crate::metrics;
use crate::oracle::{FlowFeatures, HashedLinear};
use crate::stream::HeteroFlows;
use crate::theory::{Histogram, aafe};
use crate::train::LinearNetwork;
use crate::{CountMin, FlowKey};

/// Flows of a window: about eleven million packets.
const FLOWS: usize = 1_100_000;
const DEPTHS: [usize; 3] = [1, 2, 4];
const BYTES: usize = 1 << 20;
const SEEDS: u64 = 3;

#[derive(Clone, Copy, Debug, Serialize)]
struct Pass {
    depth: usize,
    seed: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Passed {
    error: f64,
    predicted: f64,
    coverage: f64,
    modelled_coverage: f64,
    packets: u64,
    seconds: f64,
}

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.wants("F3") {
        return Ok(());
    }
    let world = losses::world();
    let (keys, counts) = losses::training_flows(&world);
    let seed = cx.seed().child("streaming");
    let network = LinearNetwork::new(FlowFeatures::default(), 1024, &seed)?;
    Method::BatchRank8
        .trainer(&seed)
        .rate(0.02)
        .steps(400)
        .fit(&network, &keys, &counts, |_| ())?;
    let oracle: HashedLinear<FlowFeatures> = network.oracle()?;
    let passes: Vec<Pass> = (0..SEEDS)
        .flat_map(|seed| DEPTHS.map(|depth| Pass { depth, seed }))
        .collect();
    // One after another: they measure time.
    let passed: Vec<Passed> = cx.exclusive_cells("one pass", &passes, |pass, _| {
        stream(
            &world,
            &oracle,
            pass.depth,
            pass.seed,
            &seed.index(pass.seed),
        )
    })?;
    let mut table = Table::new(
        "One pass over eleven million packets with a linear oracle, table and sketch of 1 MiB",
        [
            Column::integer("Rows"),
            Column::number("Error", 2),
            Column::number("Predicted", 2),
            Column::number("Coverage", 3),
            Column::number("Modelled", 3),
            Column::number("Million packets/s", 1),
        ],
    )
    .note("Predicted: theory for what remains when keys above the threshold are admitted in the random order of their first packets. The speed is that of one thread, oracle included.");
    for depth in DEPTHS {
        let of = |value: fn(&Passed) -> f64| -> Vec<f64> {
            let pairs = passes.iter().zip(&passed);
            let these = pairs.filter(|(pass, _)| pass.depth == depth);
            these.map(|(_, passed)| value(passed)).collect()
        };
        let mean = |value| stats::mean(&of(value));
        table.push([
            depth.into(),
            mean(|p| p.error).into(),
            mean(|p| p.predicted).into(),
            mean(|p| p.coverage).into(),
            mean(|p| p.modelled_coverage).into(),
            mean(|p| p.packets as f64 / p.seconds / 1e6).into(),
        ]);
        let ratios = of(|p| p.error / p.predicted);
        let mut rng = seed.child("interval").rng();
        let measured = Estimate::of_samples(&ratios, "", &mut rng);
        cx.claim(
            &format!("F3.error-d{depth}"),
            &format!("One true pass errs as the sampling model of the simulations predicts, {depth} rows: ratio"),
        )
        .scale(Scale::Scaled)
        .expect(Expected::near(1.0, 0.03))
        .source("the authors' simulator draws admitted keys by frequency without replacement")
        .measured(measured);
    }
    cx.table(table);
    Ok(())
}

fn stream(
    world: &HeteroFlows,
    oracle: &HashedLinear<FlowFeatures>,
    depth: usize,
    number: u64,
    seed: &SeedTree,
) -> Result<Passed, ExperimentError> {
    let validation = world.window(100, FLOWS);
    let window = world.window(101 + number, FLOWS);
    let packets = window.packets(seed);
    let stream: Vec<FlowKey> = packets
        .iter()
        .map(|&flow| window.keys()[flow as usize])
        .collect();
    drop(packets);
    let single = |scores: Vec<f64>| -> Vec<f32> { scores.into_iter().map(|s| s as f32).collect() };
    let mut learned = Learned::<FlowKey, CountMin<u32>, _>::builder(oracle.clone())
        .bytes(BYTES)
        .charge_model(false)
        .explicit_share(0.5)
        .validation_scores(single(scores_of(oracle, validation.keys())))
        .build(|bytes| {
            CountMin::builder()
                .depth(depth)
                .bytes(bytes)
                .update_rule(Update::Plain)
                .seed(number)
                .build()
        })?;
    let begin = std::time::Instant::now();
    learned.push_batch(&stream);
    let seconds = begin.elapsed().as_secs_f64();
    let estimates: Vec<f64> = window
        .keys()
        .iter()
        .map(|key| learned.estimate(key).value as f64)
        .collect();
    // The model: the first of the keys above the threshold to come, in a random order of packets.
    let scores = single(scores_of(oracle, window.keys()));
    let mut rng = seed.child("model").rng();
    let mut arrivals: Vec<(f64, usize)> = (0..FLOWS)
        .filter(|&flow| scores[flow] > learned.threshold_score())
        .map(|flow| {
            let waiting = -(1.0 - rng.random::<f64>()).ln() / window.counts()[flow] as f64;
            (waiting, flow)
        })
        .collect();
    arrivals.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut is_explicit = vec![false; FLOWS];
    for (_, flow) in arrivals.iter().take(learned.table().len()) {
        is_explicit[*flow] = true;
    }
    let left = window.counts().iter().zip(&is_explicit);
    let left = left
        .filter(|(_, explicit)| !**explicit)
        .map(|(count, _)| *count);
    let width = learned.sketch().width();
    Ok(Passed {
        error: metrics::average_absolute_frequency_error(window.counts(), &estimates),
        predicted: aafe(&Histogram::of_counts(left), window.total(), depth, width)?,
        coverage: learned.coverage(),
        modelled_coverage: metrics::coverage(window.counts(), &is_explicit),
        packets: window.total(),
        seconds,
    })
}
