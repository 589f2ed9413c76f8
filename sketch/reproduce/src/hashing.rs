//! Q4: the hash functions of the sketches do as well as fully random ones.

use rand::Rng;
use septet_core::experiment::{Column, Context, Estimate, Expected, ExperimentError, Scale, Table};
use septet_core::stats;
use septet_sketch::count_min::UpdateRule;
use septet_sketch::key::Key;
use septet_sketch::metrics;
use septet_sketch::stream::{FlowScore, HeteroFlows, Zipf};
use septet_sketch::theory::{Histogram, aafe};
use septet_sketch::{CountMin, FrequencySketch};
use serde::Serialize;

/// Hash functions for each setting.
const SEEDS: u64 = 16;

const FLOWS: usize = 131_072;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Stream {
    /// Keys 0, 1, 2, .. of the synthetic table, the 10 000 most frequent left out.
    Zipf,
    /// Generated flows without the best 12 % by expected size.
    Flows,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Setting {
    stream: Stream,
    depth: usize,
    width: usize,
}

/// What a setting counts: hashes under a seed, counts, and the length of the whole stream.
struct Residual {
    hashes: Box<dyn Fn(u64) -> Vec<u64> + Sync>,
    counts: Vec<u64>,
    total: u64,
}

pub(crate) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.selects("Q4") {
        return Ok(());
    }
    // All depths share one number of counters.
    let zipf = |depth| Setting {
        stream: Stream::Zipf,
        depth,
        width: 20_000 / depth,
    };
    let flows = |depth, width| Setting {
        stream: Stream::Flows,
        depth,
        width,
    };
    let mut settings: Vec<Setting> = (1..=4).map(zipf).collect();
    for width in [1000, 10_000] {
        settings.extend([2, 4].map(|depth| flows(depth, width)));
    }
    // What is left to the sketch does not depend on the seed: only the hashes are drawn anew.
    let residuals = [zipf_residual()?, flows_residual(cx)];
    let ratios = cx
        .grid("real hashes", settings.clone())
        .seeds(SEEDS)
        .version(2)
        .run(|setting, cell| {
            // Over the prediction, errors of all settings have one scale.
            let residual = &residuals[setting.stream as usize];
            let histogram = Histogram::from_counts(residual.counts.iter().copied());
            let predicted = aafe(&histogram, residual.total, setting.depth, setting.width)?;
            let seed = cell.seed().rng().random();
            Ok(error_of(residual, setting, seed)? / predicted)
        })?;
    let means: Vec<(Setting, f64)> = settings
        .iter()
        .map(|setting| Ok((*setting, stats::mean(ratios.by_seed(setting)?))))
        .collect::<Result<_, ExperimentError>>()?;
    let mut table = Table::new(
        "Error with the hash functions of this crate over the error predicted for fully random ones",
        [
            Column::text("Stream"),
            Column::integer("Rows"),
            Column::integer("Width"),
            Column::number("Ratio", 4),
        ],
    )
    .note(format!("Means over {SEEDS} draws of the hash functions."));
    for (setting, ratio) in &means {
        let stream = match setting.stream {
            Stream::Zipf => "Zipf, perfect screening",
            Stream::Flows => "flows, 12 % by expected size",
        };
        table.push([
            stream.into(),
            setting.depth.into(),
            setting.width.into(),
            (*ratio).into(),
        ]);
    }
    cx.table(table);
    // One claim for each stream, by its worst settings: a mean over settings can hide a bad one.
    for (stream, id, name) in [
        (Stream::Zipf, "Q4.zipf", "the synthetic table"),
        (Stream::Flows, "Q4.flows", "generated flows"),
    ] {
        let of_stream = means.iter().filter(|(setting, _)| setting.stream == stream);
        let ratios: Vec<f64> = of_stream.map(|(_, ratio)| *ratio).collect();
        cx.claim(
            id,
            &format!(
                "Multiply-shift hashes err as fully random ones do, on {name}: ratio to the predicted \
                 error in each setting, mean of {SEEDS} draws"
            ),
        )
        .scale(Scale::Beyond)
        .expect(Expected::near(1.0, 0.03))
        .source("the theory for fully random hashes")
        .measured(Estimate::range(&ratios, "settings", ""));
    }
    Ok(())
}

fn zipf_residual() -> Result<Residual, ExperimentError> {
    let counts = Zipf::new(1_000_000, 1.0)?.counts(1_000_000);
    Ok(Residual {
        total: counts.iter().sum(),
        counts: counts[10_000..].to_vec(),
        hashes: Box::new(|seed| {
            (10_000_u64..1_000_000)
                .map(|key| key.hash64(seed))
                .collect()
        }),
    })
}

fn flows_residual(cx: &Context) -> Residual {
    let world = HeteroFlows::new(&cx.seed().child("world of hashes"));
    let window = world.window(0, FLOWS);
    let order = metrics::ranking(&window.scores(FlowScore::Mean));
    let left = order[(0.12 * FLOWS as f64) as usize..].to_vec();
    let counts = left
        .iter()
        .map(|&key| window.counts()[key as usize])
        .collect();
    Residual {
        total: window.total(),
        counts,
        hashes: Box::new(move |seed| {
            left.iter()
                .map(|&key| window.keys()[key as usize].hash64(seed))
                .collect()
        }),
    }
}

/// The average absolute frequency error of a real sketch of the residual keys.
fn error_of(residual: &Residual, setting: &Setting, seed: u64) -> Result<f64, ExperimentError> {
    let mut sketch = CountMin::<u64>::builder()
        .depth(setting.depth)
        .width(setting.width)
        .update_rule(UpdateRule::Plain)
        .seed(seed)
        .build()?;
    let hashes = (residual.hashes)(seed);
    sketch.update_hashes_by(&hashes, &residual.counts);
    let mut estimates = vec![0; hashes.len()];
    sketch.estimate_hashes(&hashes, &mut estimates);
    let sum: f64 = residual
        .counts
        .iter()
        .zip(&estimates)
        .map(|(&count, &estimate)| count as f64 * (estimate - count) as f64)
        .sum();
    Ok(sum / residual.total as f64)
}
