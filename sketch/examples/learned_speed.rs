//! How fast is a learned sketch, with its oracle, compared with the sketch alone?
//!
//! `cargo run --release -p septet-sketch --example learned_speed [packets] [KiB]`
//!
//! Ten million packets of one window of `HeteroFlows` in random order, which is the worst order for
//! the rejection cache: a flow recurs long after it was rejected. The plain sketch and the
//! learned ones take the same bytes and turns, five times; the ratio is that of the medians.

#![expect(clippy::print_stdout, reason = "it is a program")]

use std::time::Instant;

use septet_core::seed::SeedTree;
use septet_sketch::count_min::Layout;
use septet_sketch::learned::{Learned, LearnedStats, Threshold};
use septet_sketch::oracle::{FlowFeatures, HashedLinear, Oracle, QuantizedLinear};
use septet_sketch::stream::HeteroFlows;
use septet_sketch::{CountMin, FlowKey, FrequencySketch, SketchError};

/// Updates a second, in millions.
fn rate(packets: usize, run: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    run();
    packets as f64 / begin.elapsed().as_secs_f64() / 1e6
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

struct Run {
    rates: Vec<f64>,
    coverage: f64,
    stats: LearnedStats,
}

/// What all runs of a comparison have in common.
#[derive(Clone, Copy)]
struct Setting<'a> {
    layout: Layout,
    bytes: usize,
    over: f64,
    flows: usize,
    packets: &'a [FlowKey],
}

impl Setting<'_> {
    fn learned<O: Oracle<FlowKey> + Clone>(
        self,
        oracle: &O,
        validation: &[f32],
        run: &mut Run,
    ) -> Result<(), SketchError> {
        let mut sketch = Learned::<FlowKey, CountMin<u32>, O>::builder(oracle.clone())
            .bytes(self.bytes)
            .explicit_fraction(0.4)
            .threshold(Threshold::Quantile {
                keys_per_slot: self.over,
            })
            .validation_scores(validation)
            .expected_keys(self.flows as u64)
            .build(|bytes| CountMin::builder().layout(self.layout).bytes(bytes).build())?;
        let packets = self.packets;
        run.rates
            .push(rate(packets.len(), || sketch.update_batch(packets)));
        run.coverage = sketch.coverage();
        run.stats = sketch.stats();
        Ok(())
    }
}

fn main() -> Result<(), SketchError> {
    let mut arguments = std::env::args().skip(1).map(|number| number.parse().ok());
    let count = arguments.next().flatten().unwrap_or(10_000_000);
    let bytes = 1024 * arguments.next().flatten().unwrap_or(2048);
    let flows = count / 9;
    let world = HeteroFlows::new(&SeedTree::new(7));
    let (train, window) = (world.window(0, flows.min(200_000)), world.window(1, flows));
    let keys = window.keys();
    let order = window.packets(&SeedTree::new(5));
    let packets: Vec<FlowKey> = order
        .into_iter()
        .take(count)
        .map(|flow| keys[flow as usize])
        .collect();

    let features = FlowFeatures::new(&[16])?;
    let linear = HashedLinear::fit(features, 1024, train.keys(), train.counts(), 12)?;
    let quantized = QuantizedLinear::new(&linear);
    let validation: Vec<&FlowKey> = train.keys().iter().collect();
    let mut scores = vec![0.0; validation.len()];
    let scored = rate(validation.len(), || linear.score(&validation, &mut scores));
    let mut rounded = vec![0.0; validation.len()];
    let scored_quantized = rate(validation.len(), || {
        quantized.score(&validation, &mut rounded);
    });
    println!(
        "{} packets of {flows} flows; HashedLinear alone: {scored:.1} million keys/s, rounded to 8 \
         bits: {scored_quantized:.1}",
        packets.len()
    );

    for layout in [Layout::RowMajor, Layout::Blocked] {
        for over in [1.1, 2.0] {
            let new = || Run {
                rates: Vec::new(),
                coverage: 0.0,
                stats: LearnedStats::default(),
            };
            let setting = Setting {
                layout,
                bytes,
                over,
                flows,
                packets: &packets,
            };
            let (mut alone, mut with_linear, mut with_quantized) = (Vec::new(), new(), new());
            for _ in 0..5 {
                let mut sketch = CountMin::<u32>::builder()
                    .layout(layout)
                    .bytes(bytes)
                    .build()?;
                alone.push(rate(packets.len(), || sketch.update_batch(&packets)));
                setting.learned(&linear, &scores, &mut with_linear)?;
                setting.learned(&quantized, &rounded, &mut with_quantized)?;
            }
            let alone = median(&mut alone);
            println!(
                "{layout:?}, {over} keys a slot: conservative update alone {alone:.1} million/s"
            );
            for (name, run) in [
                ("linear", &mut with_linear),
                ("8 bits", &mut with_quantized),
            ] {
                let rate = median(&mut run.rates);
                println!(
                    "  learned, {name}: {rate:.1} million/s, {:.0} %; coverage {:.3}, {:.3} \
                     oracle queries per packet",
                    100.0 * rate / alone,
                    run.coverage,
                    run.stats.oracle_queries as f64 / run.stats.total as f64
                );
            }
        }
    }
    Ok(())
}
