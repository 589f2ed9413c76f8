//! The league: everything that estimates frequencies, at equal bytes, those of models included.

use std::fmt;

use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Figure, Profile, Scale, SeedTree, Series,
    Table, Value,
};
use septet_core::stats;
use serde::{Deserialize, Serialize};

use super::block_trace;
use super::losses;
use super::method::{Method, scores_of};
use crate::count_min::Update;
use crate::frequency::Estimate as _;
use crate::heavy_hitters::{KeyHash, MisraGries, SpaceSaving, ThresholdedCountSketch};
use crate::learned::Learned;
use crate::metrics;
use crate::oracle::{
    BlockFeatures, Features, FlowFeatures, LookupTable, Oracle, Perfect, QuantisedLinear,
};
use crate::stream::FlowWindow;
use crate::train::LinearNetwork;
use crate::{CountMin, CountSketch, FlowKey, FrequencySketch, Key, SketchError};

/// Shares of the budget, after the model, that the table of exact counts may take.
const TABLE_SHARES: [f64; 6] = [0.02, 0.05, 0.1, 0.25, 0.5, 0.75];

/// Keys, counts, and the stream itself.
struct Window<K> {
    keys: Vec<K>,
    counts: Vec<u64>,
    stream: Vec<K>,
}

/// An oracle of the league.
struct Named<K> {
    name: &'static str,
    oracle: Box<dyn Oracle<K>>,
    /// Whether its bytes count. Those of the perfect oracle do not: it is a bound.
    charged: bool,
}

/// A stream with what was learnt from its past.
pub(super) struct Arena<K> {
    name: &'static str,
    /// The name in ids.
    id: &'static str,
    /// Settings are chosen on this window, thresholds set by it.
    validation: Window<K>,
    /// Windows after it, with the oracles asked about each: the perfect one differs.
    tests: Vec<Window<K>>,
    oracles: Vec<Named<K>>,
    budgets: Vec<usize>,
}

/// What counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Counter {
    CountMin,
    Conservative,
    CountSketch,
    Thresholded,
    SpaceSaving,
    MisraGries,
}

impl Counter {
    const ALL: [Self; 6] = [
        Self::CountMin,
        Self::Conservative,
        Self::CountSketch,
        Self::Thresholded,
        Self::SpaceSaving,
        Self::MisraGries,
    ];

    /// Those that are put behind a table.
    const LEARNED: [Self; 4] = [
        Self::CountMin,
        Self::Conservative,
        Self::CountSketch,
        Self::MisraGries,
    ];

    fn depths(self) -> &'static [usize] {
        match self {
            Self::CountMin | Self::Conservative => &[1, 2, 3, 4],
            Self::CountSketch => &[1, 3, 5],
            _ => &[1],
        }
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CountMin => "count-min",
            Self::Conservative => "count-min, conservative",
            Self::CountSketch => "count-sketch",
            Self::Thresholded => "count-sketch, thresholded",
            Self::SpaceSaving => "SpaceSaving",
            Self::MisraGries => "Misra-Gries",
        })
    }
}

/// Who takes part: a counter, perhaps behind the table of an oracle (by its index).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Contestant {
    counter: Counter,
    oracle: Option<usize>,
    bytes: usize,
}

/// How a budget is used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Setting {
    depth: usize,
    /// Of the budget after the model, for the table; 0 without one.
    table_share: f64,
}

/// What a contestant did, over the test windows.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Played {
    /// `None` when the budget does not even pay for the model.
    setting: Option<Setting>,
    errors: Vec<f64>,
    coverage: f64,
}

/// An oracle that is lent out.
struct Lent<'a, K>(&'a dyn Oracle<K>);

impl<K> Oracle<K> for Lent<'_, K> {
    fn score(&self, keys: &[&K], scores: &mut [f32]) {
        self.0.score(keys, scores);
    }

    fn model_bytes(&self) -> usize {
        self.0.model_bytes()
    }

    fn fingerprint(&self) -> [u8; 16] {
        self.0.fingerprint()
    }
}

impl<K: Key + Sync> Arena<K> {
    /// The average absolute frequency error of a setting on a window, and the coverage.
    fn play(
        &self,
        contestant: &Contestant,
        setting: Setting,
        window: &Window<K>,
    ) -> Result<(f64, f64), SketchError> {
        let Contestant { counter, bytes, .. } = *contestant;
        let depth = setting.depth;
        match counter {
            Counter::CountMin | Counter::Conservative => {
                let rule = if counter == Counter::CountMin {
                    Update::Plain
                } else {
                    Update::Conservative
                };
                self.count(contestant, setting, window, bytes, |bytes| {
                    CountMin::<u32>::builder()
                        .depth(depth)
                        .bytes(bytes)
                        .update_rule(rule)
                        .build()
                })
            }
            Counter::CountSketch => self.count(contestant, setting, window, bytes, |bytes| {
                CountSketch::<i32>::builder()
                    .depth(depth)
                    .bytes(bytes)
                    .build()
            }),
            Counter::Thresholded => self.count(contestant, setting, window, bytes, |bytes| {
                ThresholdedCountSketch::<i32>::new(bytes, 0)
            }),
            Counter::SpaceSaving => self.count(contestant, setting, window, bytes, |bytes| {
                SpaceSaving::<KeyHash>::with_bytes(bytes, 0)
            }),
            Counter::MisraGries => self.count(contestant, setting, window, bytes, |bytes| {
                MisraGries::<KeyHash>::with_bytes(bytes, 0)
            }),
        }
    }

    fn count<S: FrequencySketch>(
        &self,
        contestant: &Contestant,
        setting: Setting,
        window: &Window<K>,
        bytes: usize,
        make: impl FnOnce(usize) -> Result<S, SketchError>,
    ) -> Result<(f64, f64), SketchError> {
        let mut estimates = vec![S::Estimate::default(); window.keys.len()];
        let coverage = match contestant.oracle {
            None => {
                let mut sketch = make(bytes)?;
                sketch.update_batch(&window.stream);
                sketch.estimate_batch(&window.keys, &mut estimates);
                0.0
            }
            Some(index) => {
                let named = &self.oracles[index];
                let lent = Lent(&*named.oracle);
                let scores: Vec<f32> = scores_of(&lent, &self.validation.keys)
                    .into_iter()
                    .map(|score| score as f32)
                    .collect();
                let mut learned = Learned::<K, S, _>::builder(lent)
                    .bytes(bytes)
                    .charge_model(named.charged)
                    .explicit_share(setting.table_share)
                    .validation_scores(scores)
                    .build(make)?;
                learned.push_batch(&window.stream);
                for (key, estimate) in window.keys.iter().zip(&mut estimates) {
                    *estimate = learned.estimate(key).value;
                }
                learned.coverage()
            }
        };
        let estimates: Vec<f64> = estimates
            .into_iter()
            .map(|estimate| estimate.to_f64())
            .collect();
        let error = metrics::average_absolute_frequency_error(&window.counts, &estimates);
        Ok((error, coverage))
    }

    /// Chooses the setting on the validation window and plays it on the tests.
    fn compete(&self, contestant: &Contestant) -> Result<Played, ExperimentError> {
        let shares: &[f64] = if contestant.oracle.is_some() {
            &TABLE_SHARES
        } else {
            &[0.0]
        };
        let mut best: Option<(f64, Setting)> = None;
        for &depth in contestant.counter.depths() {
            for &table_share in shares {
                let setting = Setting { depth, table_share };
                // A budget that does not pay for the model or for a row is no error here.
                if let Ok((error, _)) = self.play(contestant, setting, &self.validation)
                    && best.is_none_or(|(least, _)| error < least)
                {
                    best = Some((error, setting));
                }
            }
        }
        let Some((_, setting)) = best else {
            return Ok(Played {
                setting: None,
                errors: Vec::new(),
                coverage: 0.0,
            });
        };
        let mut errors = Vec::new();
        let mut coverage = 0.0;
        for test in &self.tests {
            let (error, covered) = self.play(contestant, setting, test)?;
            errors.push(error);
            coverage += covered / self.tests.len() as f64;
        }
        Ok(Played {
            setting: Some(setting),
            errors,
            coverage,
        })
    }

    fn contestants(&self) -> Vec<Contestant> {
        let mut contestants = Vec::new();
        for &bytes in &self.budgets {
            for counter in Counter::ALL {
                contestants.push(Contestant {
                    counter,
                    oracle: None,
                    bytes,
                });
            }
            for oracle in 0..self.oracles.len() {
                // The bound is shown for the two update rules of count-min only.
                let counters = if self.oracles[oracle].charged {
                    &Counter::LEARNED[..]
                } else {
                    &Counter::LEARNED[..2]
                };
                for &counter in counters {
                    contestants.push(Contestant {
                        counter,
                        oracle: Some(oracle),
                        bytes,
                    });
                }
            }
        }
        contestants
    }

    fn name_of(&self, contestant: &Contestant) -> String {
        match contestant.oracle {
            None => contestant.counter.to_string(),
            Some(oracle) => format!("{} + {}", contestant.counter, self.oracles[oracle].name),
        }
    }
}

/// Plays the league of a stream: a table, a figure; for each budget the errors of conservative update
/// alone, and of the best charged oracle with it.
fn league<K: Key + Sync>(
    cx: &mut Context,
    arena: &Arena<K>,
) -> Result<Vec<(usize, Vec<f64>, Vec<f64>)>, ExperimentError> {
    let contestants = arena.contestants();
    let group = format!("league, {}", arena.name);
    let played: Vec<Played> = cx.cells(&group, &contestants, |contestant, _| {
        arena.compete(contestant)
    })?;
    let mut columns = vec![Column::text("Sketch"), Column::integer("Model bytes")];
    for bytes in &arena.budgets {
        columns.push(Column::number(format!("{} KiB", bytes / 1024), 3));
        columns.push(Column::text("Rows, table, coverage"));
    }
    let mut table = Table::new(
        format!("League at equal bytes, {}: average absolute frequency error", arena.name),
        columns,
    )
    .note("Every byte counts: counters, table, verdicts, and the model but for perfect oracles, which are bounds. Depth and share of the table were chosen on an earlier window; means over the test windows.");
    let mut figure = Figure::new(
        format!("league-{}", arena.id),
        format!("League at equal bytes, {}", arena.name),
        "KiB",
        "average absolute frequency error",
    )
    .log_x()
    .log_y();
    let per_budget = contestants.len() / arena.budgets.len();
    for index in 0..per_budget {
        let name = arena.name_of(&contestants[index]);
        let model = contestants[index]
            .oracle
            .map_or(0, |oracle| arena.oracles[oracle].oracle.model_bytes());
        let mut row: Vec<Value> = vec![name.as_str().into(), model.into()];
        let mut points = Vec::new();
        for (budget, &bytes) in arena.budgets.iter().enumerate() {
            let played = &played[budget * per_budget + index];
            if let Some(setting) = played.setting {
                let error = stats::mean(&played.errors);
                row.push(error.into());
                row.push(shown(setting, played.coverage).into());
                if error > 0.0 {
                    points.push((bytes as f64 / 1024.0, error));
                }
            } else {
                row.extend([Value::Nothing, "too small".into()]);
            }
        }
        table.push(row);
        figure = figure.series(Series::new(name).points(points));
    }
    cx.table(table);
    cx.figure(figure);
    Ok(arena
        .budgets
        .iter()
        .enumerate()
        .filter_map(|(budget, &bytes)| {
            let range = budget * per_budget..(budget + 1) * per_budget;
            let these = || {
                contestants[range.clone()]
                    .iter()
                    .zip(&played[range.clone()])
            };
            let conservative = |(contestant, played): &(&Contestant, &Played)| {
                contestant.counter == Counter::Conservative && !played.errors.is_empty()
            };
            let alone = these()
                .filter(conservative)
                .find(|(contestant, _)| contestant.oracle.is_none())?;
            let learned = these()
                .filter(conservative)
                .filter(|(contestant, _)| {
                    contestant
                        .oracle
                        .is_some_and(|oracle| arena.oracles[oracle].charged)
                })
                .min_by(|a, b| stats::mean(&a.1.errors).total_cmp(&stats::mean(&b.1.errors)))?;
            Some((bytes, alone.1.errors.clone(), learned.1.errors.clone()))
        })
        .collect())
}

fn shown(setting: Setting, coverage: f64) -> String {
    if setting.table_share > 0.0 {
        format!(
            "{}, {} %, {coverage:.2}",
            setting.depth,
            100.0 * setting.table_share
        )
    } else {
        setting.depth.to_string()
    }
}

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.wants("L") {
        return Ok(());
    }
    let arena = flows(cx)?;
    let results = league(cx, &arena)?;
    let mut comparison = Table::new(
        "Does an oracle pay beside conservative update? Error with it over error without, at equal bytes",
        [
            Column::text("Stream"),
            Column::integer("Budget, bytes"),
            Column::number("Ratio", 3),
        ],
    )
    .note("Below 1 the learned sketch wins, model and table charged. Above 1, use conservative update alone.");
    compare(cx, &arena, &results, &mut comparison, true);
    if let Some(arena) = blocks(cx)? {
        let results = league(cx, &arena)?;
        compare(cx, &arena, &results, &mut comparison, false);
    }
    cx.table(comparison);
    Ok(())
}

fn compare<K>(
    cx: &mut Context,
    arena: &Arena<K>,
    results: &[(usize, Vec<f64>, Vec<f64>)],
    table: &mut Table,
    is_claimed: bool,
) {
    let mut ratios: Vec<(usize, Vec<f64>)> = results
        .iter()
        .map(|(bytes, alone, learned)| {
            let ratios = learned.iter().zip(alone).map(|(a, b)| a / b).collect();
            (*bytes, ratios)
        })
        .collect();
    for (bytes, ratios) in &ratios {
        table.push([
            arena.name.into(),
            (*bytes).into(),
            stats::mean(ratios).into(),
        ]);
    }
    if !is_claimed {
        return;
    }
    ratios.sort_by(|a, b| stats::mean(&a.1).total_cmp(&stats::mean(&b.1)));
    if let Some((bytes, second)) = ratios.get(1) {
        let mut rng = cx.seed().child("league interval").rng();
        let measured = Estimate::of_samples(second, "", &mut rng);
        cx.claim(
            "L.conservative",
            &format!("An oracle pays even beside conservative update, its bytes charged, on generated flows: error ratio at the second best of {} budgets ({bytes} bytes)", ratios.len()),
        )
        .scale(Scale::Beyond)
        .expect(Expected::AtMost(1.0))
        .source("what a learned sketch must show to be of use")
        .measured(measured);
    }
}

/// A linear oracle in bytes, trained for coverage.
fn linear<K, F>(
    features: F,
    rows: usize,
    keys: &[K],
    counts: &[u64],
    seed: &SeedTree,
) -> Result<QuantisedLinear<F>, ExperimentError>
where
    F: Features<K> + Clone,
{
    let network = LinearNetwork::new(features, rows, seed)?;
    Method::BatchRank8
        .trainer(seed)
        .rate(0.02)
        .batch(1024)
        .steps(300)
        .fit(&network, keys, counts, |_| ())?;
    Ok(QuantisedLinear::new(&network.oracle()?))
}

fn flows(cx: &Context) -> Result<Arena<FlowKey>, ExperimentError> {
    let (size, budgets): (usize, &[usize]) = match cx.profile() {
        Profile::Quick => (32_768, &[16, 32, 64, 128]),
        Profile::Full | Profile::Gpu => (131_072, &[32, 64, 128, 256, 512]),
    };
    let seed = cx.seed().child("league");
    let world = losses::world();
    let (keys, counts) = losses::training_flows(&world);
    let features = FlowFeatures::new(&[16])?;
    let oracle = linear(features, 256, &keys, &counts, &seed)?;
    let window = |number| packets(world.window(number, size), &seed.index(number));
    let tests: Vec<Window<FlowKey>> = (8..11).map(window).collect();
    let everything = tests
        .iter()
        .chain([&window(7)])
        .flat_map(|test| test.keys.iter().copied().zip(test.counts.iter().copied()))
        .collect::<Vec<_>>();
    Ok(Arena {
        name: "generated flows",
        id: "flows",
        validation: window(7),
        tests,
        oracles: vec![
            Named {
                name: "linear oracle",
                oracle: Box::new(oracle),
                charged: true,
            },
            Named {
                name: "perfect oracle",
                oracle: Box::new(Perfect::new(everything)),
                charged: false,
            },
        ],
        budgets: budgets.iter().map(|kib| kib * 1024).collect(),
    })
}

fn packets(window: FlowWindow, seed: &SeedTree) -> Window<FlowKey> {
    let stream = window.packets(seed);
    Window {
        stream: stream
            .iter()
            .map(|&flow| window.keys()[flow as usize])
            .collect(),
        counts: window.counts().to_vec(),
        keys: window.keys().to_vec(),
    }
}

/// Block requests in the order of the trace: five windows, of which three are trained on.
fn blocks(cx: &mut Context) -> Result<Option<Arena<u64>>, ExperimentError> {
    let Some(windows) = block_trace::windows(cx, 5)? else {
        cx.warn("the league on block requests needs the data set cache-arc");
        return Ok(None);
    };
    let seed = cx.seed().child("league of blocks");
    let mut windows: Vec<Window<u64>> = windows
        .into_iter()
        .map(|window| Window {
            keys: window.keys,
            counts: window.counts,
            stream: window.stream,
        })
        .collect();
    let test = windows.pop();
    let validation = windows.pop();
    let (Some(test), Some(validation)) = (test, validation) else {
        return Ok(None);
    };
    let keys: Vec<u64> = windows
        .iter()
        .flat_map(|window| window.keys.clone())
        .collect();
    let counts: Vec<u64> = windows
        .iter()
        .flat_map(|window| window.counts.clone())
        .collect();
    let linear = linear(BlockFeatures::default(), 256, &keys, &counts, &seed)?;
    let pairs = || keys.iter().copied().zip(counts.iter().copied());
    Ok(Some(Arena {
        name: "block requests (OLTP)",
        id: "blocks",
        validation,
        tests: vec![test],
        oracles: vec![
            Named {
                name: "linear oracle",
                oracle: Box::new(linear),
                charged: true,
            },
            Named {
                name: "lookup table of 500 keys",
                oracle: Box::new(LookupTable::new(pairs(), 500)),
                charged: true,
            },
        ],
        budgets: [8, 16, 32, 64].map(|kib| kib * 1024).to_vec(),
    }))
}
