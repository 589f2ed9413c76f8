//! Does a learned sketch beat conservative update alone, at equal bytes?
//!
//! `cargo run --release -p septet-sketch --example equal_bytes [flows]`
//!
//! A window of `HeteroFlows` is counted packet by packet, in random order, by a conservative-update
//! sketch of the whole budget, and by learned sketches whose table, sketch and model together take
//! the same bytes. Depth, the share of the table and the threshold are chosen on one window, for
//! both sides; the figures are from the next two. The error is the average absolute frequency
//! error (AAFE): the mean over packets of what the count of their flow is wrong by.

#![expect(clippy::print_stdout, reason = "it is a program")]

use septet_core::seed::SeedTree;
use septet_sketch::learned::{Learned, Threshold};
use septet_sketch::oracle::{FlowFeatures, HashedLinear, Oracle, QuantisedLinear};
use septet_sketch::stream::{FlowScore, FlowWindow, HeteroFlows};
use septet_sketch::{CountMin, FlowKey, FrequencySketch, SketchError};

/// Flows are counted under their numbers, so that scores are computed once for all settings.
struct Scored<'a> {
    scores: &'a [f32],
    model_bytes: usize,
}

impl Oracle<u32> for Scored<'_> {
    fn score(&self, keys: &[&u32], scores: &mut [f32]) {
        for (key, score) in keys.iter().zip(scores) {
            *score = self.scores[**key as usize];
        }
    }

    fn model_bytes(&self) -> usize {
        self.model_bytes
    }

    fn fingerprint(&self) -> [u8; 16] {
        [0; 16]
    }
}

/// A window with its packets and the scores of its flows.
struct Window {
    counts: Vec<u64>,
    packets: Vec<u32>,
}

impl Window {
    fn new(window: &FlowWindow) -> Self {
        Self {
            counts: window.counts().to_vec(),
            packets: window.packets(&SeedTree::new(5)),
        }
    }

    fn aafe(&self, estimate: impl Fn(u32) -> u64) -> f64 {
        let flows = (0u32..).zip(&self.counts);
        let sum: f64 = flows
            .map(|(flow, &count)| count as f64 * estimate(flow).abs_diff(count) as f64)
            .sum();
        sum / self.packets.len() as f64
    }
}

#[derive(Clone, Copy, Debug)]
struct Setting {
    depth: usize,
    share: f64,
    over: f64,
}

fn plain(window: &Window, bytes: usize, depth: usize) -> Result<f64, SketchError> {
    let mut sketch = CountMin::<u32>::builder()
        .depth(depth)
        .bytes(bytes)
        .build()?;
    sketch.update_batch(&window.packets);
    Ok(window.aafe(|flow| sketch.estimate(&flow)))
}

/// The error and the coverage.
fn learned(
    window: &Window,
    scores: &[f32],
    validation: &[f32],
    model_bytes: usize,
    bytes: usize,
    setting: Setting,
) -> Result<(f64, f64), SketchError> {
    let oracle = Scored {
        scores,
        model_bytes,
    };
    let mut sketch = Learned::<u32, CountMin<u32>, _>::builder(oracle)
        .bytes(bytes)
        .explicit_share(setting.share)
        .verdict_bits(None)
        .threshold(Threshold::Quantile { over: setting.over })
        .validation_scores(validation)
        .build(|bytes| {
            CountMin::builder()
                .depth(setting.depth)
                .bytes(bytes)
                .build()
        })?;
    sketch.push_batch(&window.packets);
    let error = window.aafe(|flow| sketch.estimate(&flow).value);
    Ok((error, sketch.coverage()))
}

/// The setting of the least error on the validation window.
fn best(
    window: &Window,
    scores: &[f32],
    model_bytes: usize,
    bytes: usize,
) -> Result<Setting, SketchError> {
    let mut best = None;
    for depth in 2..=3 {
        for share in [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8] {
            for over in [1.1, 2.0, 3.0, 1000.0] {
                let setting = Setting { depth, share, over };
                let Ok((error, _)) = learned(window, scores, scores, model_bytes, bytes, setting)
                else {
                    continue;
                };
                if best.is_none_or(|(least, _)| error < least) {
                    best = Some((error, setting));
                }
            }
        }
    }
    best.map(|(_, setting)| setting).ok_or_else(|| {
        learned(
            window,
            scores,
            scores,
            model_bytes,
            bytes,
            Setting {
                depth: 1,
                share: 0.1,
                over: 1.1,
            },
        )
        .err()
        .unwrap_or_else(|| unreachable!("no setting fits"))
    })
}

/// A name, the bytes of the model, and the scores of the flows of each window.
type Scores = (String, usize, Vec<Vec<f32>>);

fn scored(name: String, oracle: &dyn Oracle<FlowKey>, windows: &[FlowWindow]) -> Scores {
    let scores = windows.iter().map(|window| {
        let mut scores = vec![0.0; window.keys().len()];
        oracle.score(&window.keys().iter().collect::<Vec<_>>(), &mut scores);
        scores
    });
    (name, oracle.model_bytes(), scores.collect())
}

fn main() -> Result<(), SketchError> {
    let flows = std::env::args()
        .nth(1)
        .and_then(|flows| flows.parse().ok())
        .unwrap_or(131_072);
    let world = HeteroFlows::new(&SeedTree::new(7));
    let train = [world.window(0, flows), world.window(1, flows)];
    let windows: Vec<FlowWindow> = (2..5).map(|number| world.window(number, flows)).collect();
    let packed: Vec<Window> = windows.iter().map(Window::new).collect();
    println!(
        "{flows} flows, {} packets in the validation window",
        packed[0].packets.len()
    );

    let mut oracles: Vec<Scores> = Vec::new();
    for (name, score) in [
        ("coverage-optimal", FlowScore::Mean),
        ("log-MSE-optimal", FlowScore::MeanLog),
    ] {
        let scores = windows
            .iter()
            .map(|window| window.scores(score).iter().map(|&s| s as f32).collect())
            .collect();
        oracles.push((format!("{name}, model free"), 0, scores));
    }
    oracles.push((
        "none: first come first served".into(),
        0,
        windows.iter().map(|_| vec![0.0; flows]).collect(),
    ));
    let keys: Vec<_> = train
        .iter()
        .flat_map(|w| w.keys().iter().copied())
        .collect();
    let counts: Vec<_> = train
        .iter()
        .flat_map(|w| w.counts().iter().copied())
        .collect();
    for rows in [64, 128, 256, 512, 1024] {
        let features = FlowFeatures::new(&[16])?;
        let oracle = HashedLinear::fit(features, rows, &keys, &counts, 12)?;
        let quantised = QuantisedLinear::new(&oracle);
        oracles.push(scored(
            format!("linear, {rows} rows, f32"),
            &oracle,
            &windows,
        ));
        oracles.push(scored(
            format!("linear, {rows} rows, i8"),
            &quantised,
            &windows,
        ));
    }

    for bytes_a_flow in [1, 2, 4, 6] {
        let bytes = bytes_a_flow * flows;
        let kib = bytes / 1024;
        let mut depth = 1;
        let mut least = f64::INFINITY;
        for candidate in 1..=4 {
            let error = plain(&packed[0], bytes, candidate)?;
            if error < least {
                (depth, least) = (candidate, error);
            }
        }
        let alone = (plain(&packed[1], bytes, depth)? + plain(&packed[2], bytes, depth)?) / 2.0;
        println!("{kib} KiB: conservative update alone, depth {depth}: AAFE {alone:.3}");
        for (name, model_bytes, scores) in &oracles {
            let Ok(setting) = best(&packed[0], &scores[0], *model_bytes, bytes) else {
                continue;
            };
            let mut sums = (0.0, 0.0);
            for test in [1, 2] {
                let (error, coverage) = learned(
                    &packed[test],
                    &scores[test],
                    &scores[0],
                    *model_bytes,
                    bytes,
                    setting,
                )?;
                sums = (sums.0 + error / 2.0, sums.1 + coverage / 2.0);
            }
            println!(
                "  {name} ({model_bytes} B): AAFE {:.3} = {:.2} of it, coverage {:.3}, {setting:?}",
                sums.0,
                sums.0 / alone,
                sums.1
            );
        }
    }
    Ok(())
}
