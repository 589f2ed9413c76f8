//! F5: the errors of all methods at equal memory, including that of models.
//!
//! The paper compares oracles with each other and with plain count-min, and excludes the models from the
//! memory. Here everything is charged, and the baselines are those that a user would choose instead:
//! conservative update, which needs no oracle, and a table that admits the first keys of the stream.

use std::collections::{BTreeMap, HashMap, btree_map};
use std::fmt;
use std::io;
use std::thread;

use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Figure, Grid, Profile, Scale, SeedTree,
    Series, Table, Value,
};
use septet_core::stats;
use septet_sketch::count_min::UpdateRule;
use septet_sketch::frequency::Estimate as _;
use septet_sketch::heavy_hitters::{MisraGries, SpaceSaving};
use septet_sketch::learned::{ExplicitTable, Learned, Slot8, Threshold};
use septet_sketch::metrics;
use septet_sketch::oracle::{
    BlockFeatures, Features, FlowFeatures, HashedLinear, Oracle, QuantizedLinear, TextFeatures,
};
use septet_sketch::stream::{FlowWindow, HeteroFlows, NGramDays, Records, StreamFormat, open_text};
use septet_sketch::{AnyKey, CountMin, CountSketch, FrequencySketch, Key, KeyHash, SketchError};
use serde::{Deserialize, Serialize};

use crate::block_trace;
use crate::geometric_mean;
use crate::thresholded_count_sketch::ThresholdedCountSketch;

/// Fractions of the budget after the model that are tried for the table.
const SHARES: [f64; 8] = [0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8];

/// Keys above the threshold for each slot. The paper's 1.1 comes first.
const OVER: [f64; 4] = [1.1, 2.0, 3.0, 5.0];

/// Sweeps of a fit.
const SWEEPS: usize = 12;

/// The oracle of the claims.
const CLAIMED: OracleKind = OracleKind::Linear {
    rows: 256,
    bytes_a_weight: 1,
};

/// The sketch, alone or behind a table.
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

    /// Those of the profile `quick`.
    const QUICK: [Self; 4] = [
        Self::CountMin,
        Self::Conservative,
        Self::CountSketch,
        Self::SpaceSaving,
    ];

    fn depths(self) -> &'static [usize] {
        match self {
            Self::CountMin | Self::Conservative => &[2, 1, 3, 4],
            Self::CountSketch => &[3, 1, 5],
            Self::Thresholded | Self::SpaceSaving | Self::MisraGries => &[1],
        }
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CountMin => "count-min",
            Self::Conservative => "conservative update",
            Self::CountSketch => "count-sketch",
            Self::Thresholded => "thresholded count-sketch",
            Self::SpaceSaving => "SpaceSaving",
            Self::MisraGries => "Misra-Gries",
        })
    }
}

/// What decides which keys get a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum OracleKind {
    /// No oracle: first come, first served.
    FirstCome,
    /// Slots are reserved for the most frequent keys of earlier windows; the slots are the model.
    Lookup,
    /// A hashed linear model.
    Linear { rows: usize, bytes_a_weight: usize },
}

impl fmt::Display for OracleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstCome => f.pad("first come, no oracle"),
            Self::Lookup => f.pad("lookup table"),
            Self::Linear {
                rows,
                bytes_a_weight,
            } => write!(f, "linear, {rows} rows of {} bits", 8 * bytes_a_weight),
        }
    }
}

/// A method at a budget.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Entry {
    counter: Counter,
    /// Serialized under the name in existing caches of results.
    #[serde(rename = "advisor")]
    oracle_kind: Option<OracleKind>,
    bytes: usize,
}

/// An entry with the properties of its workload on which the result depends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Match {
    entry: Entry,
    trials: usize,
    /// Keys of the window on which settings are chosen.
    keys: usize,
    rounds: usize,
}

/// The parameters of a method.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Setting {
    depth: usize,
    /// The fraction of the budget after the model for the table.
    share: f64,
    /// Keys above the threshold for each slot.
    over: f64,
}

/// The results of an entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct RunResult {
    /// `None` if the budget is too small for the model.
    setting: Option<Setting>,
    /// By trial.
    errors: Vec<f64>,
    coverage: Vec<f64>,
}

/// A window with numbered keys: only oracles need the keys, and their scores are precomputed.
struct Window {
    counts: Vec<u64>,
    stream: Vec<u32>,
}

/// The scores of an oracle for the keys of two windows.
struct WindowScores {
    oracle_kind: OracleKind,
    model_bytes: usize,
    validation: Vec<f32>,
    test: Vec<f32>,
}

/// A test window, with the oracles that were fitted to earlier windows.
struct Trial {
    test: Window,
    window_scores: Vec<WindowScores>,
}

/// A stream with its trials.
struct Workload {
    /// The name in titles, and in ids.
    title: String,
    id: &'static str,
    /// The data set of the stream.
    reads: Option<&'static str>,
    /// The name of the replicates, in the plural.
    of: &'static str,
    /// Settings are chosen on this window. It is before the test window of the first trial; other
    /// trials have thresholds of their own, by the scores of the window before theirs.
    validation: Window,
    trials: Vec<Trial>,
    budgets: Vec<usize>,
    oracle_kinds: Vec<OracleKind>,
    /// The sketches that are run alone.
    alone: &'static [Counter],
    /// The sketches that are run behind a table, other than conservative update.
    others: Vec<(Counter, OracleKind)>,
    /// Rounds of coordinate descent over the settings.
    rounds: usize,
}

/// The scores of numbered keys.
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

/// The oracle of an entry, and its scores for the keys of the evaluated window.
type OracleScores<'a> = Option<(&'a WindowScores, &'a [f32])>;

impl Entry {
    /// The average absolute frequency error and the coverage of a setting.
    fn evaluate(
        &self,
        window: &Window,
        known: OracleScores<'_>,
        setting: Setting,
    ) -> Result<(f64, f64), SketchError> {
        let depth = setting.depth;
        let count_min = |rule| {
            move |bytes| {
                let builder = CountMin::<u32>::builder().depth(depth).update_rule(rule);
                builder.bytes(bytes).build()
            }
        };
        match self.counter {
            Counter::CountMin => self.count(window, known, setting, count_min(UpdateRule::Plain)),
            Counter::Conservative => {
                self.count(window, known, setting, count_min(UpdateRule::Conservative))
            }
            Counter::CountSketch => self.count(window, known, setting, |bytes| {
                CountSketch::<i32>::builder()
                    .depth(depth)
                    .bytes(bytes)
                    .build()
            }),
            Counter::Thresholded => self.count(window, known, setting, |bytes| {
                ThresholdedCountSketch::new(bytes, 0)
            }),
            Counter::SpaceSaving => self.count(window, known, setting, |bytes| {
                SpaceSaving::<KeyHash>::with_bytes(bytes, 0)
            }),
            Counter::MisraGries => self.count(window, known, setting, |bytes| {
                MisraGries::<KeyHash>::with_bytes(bytes, 0)
            }),
        }
    }

    fn count<S: FrequencySketch>(
        &self,
        window: &Window,
        known: OracleScores<'_>,
        setting: Setting,
        make: impl FnOnce(usize) -> Result<S, SketchError>,
    ) -> Result<(f64, f64), SketchError> {
        let keys = 0..window.counts.len() as u32;
        let (estimates, coverage, bytes): (Vec<f64>, _, _) =
            if let Some((window_scores, scores)) = known {
                let oracle = Scored {
                    scores,
                    model_bytes: window_scores.model_bytes,
                };
                let threshold = match window_scores.oracle_kind {
                    OracleKind::FirstCome => Threshold::Fixed(f32::NEG_INFINITY),
                    // Scores are ranks, negated.
                    OracleKind::Lookup => {
                        let bytes = (self.bytes as f64 * setting.share) as usize;
                        let table = ExplicitTable::<Slot8>::with_bytes(bytes);
                        Threshold::Fixed(-(table.slots() as f32))
                    }
                    OracleKind::Linear { .. } => Threshold::Quantile {
                        keys_per_slot: setting.over,
                    },
                };
                // A rejection cache only saves oracle calls; without it, it costs no memory.
                let mut learned = Learned::<u32, S, _>::builder(oracle)
                    .bytes(self.bytes)
                    .explicit_fraction(setting.share)
                    .rejection_cache_bits(None)
                    .threshold(threshold)
                    .validation_scores(window_scores.validation.as_slice())
                    .build(make)?;
                learned.update_batch(&window.stream);
                let estimates = keys.map(|key| learned.estimate(&key).value.to_f64());
                (
                    estimates.collect(),
                    learned.coverage(),
                    learned.size_bytes(),
                )
            } else {
                // Without an oracle there is no table, and the sketch gets the whole budget.
                let mut sketch = make(self.bytes)?;
                sketch.update_batch(&window.stream);
                let estimates = keys.map(|key| sketch.estimate(&key).to_f64());
                (estimates.collect(), 0.0, sketch.size_bytes())
            };
        // Structures have minimum sizes: those that exceed a small budget are excluded.
        if bytes > self.bytes {
            return Err(SketchError::Parameter {
                argument: "bytes",
                expected: format!("at least the {bytes} that it takes"),
                found: self.bytes.to_string(),
            });
        }
        let error = metrics::average_absolute_frequency_error(&window.counts, &estimates);
        Ok((error, coverage))
    }
}

impl Trial {
    fn window_scores(&self, entry: &Entry) -> Option<&WindowScores> {
        let of_entry =
            |window_scores: &&WindowScores| Some(window_scores.oracle_kind) == entry.oracle_kind;
        self.window_scores.iter().find(of_entry)
    }
}

impl Workload {
    /// The setting with the smallest error on the validation window found by coordinate descent. `None`
    /// if the budget is too small for every setting.
    fn choose(&self, entry: &Entry) -> Option<Setting> {
        let window_scores = self.trials.first()?.window_scores(entry);
        let known =
            window_scores.map(|window_scores| (window_scores, window_scores.validation.as_slice()));
        let depths = entry.counter.depths();
        let mut best: Option<(f64, Setting)> = None;
        let mut tried = Vec::new();
        // Later rounds return to settings that have been evaluated, and skip them.
        let mut attempt = |setting: Setting| {
            let is_new = !tried.contains(&setting);
            tried.push(setting);
            // Settings that do not fit into the budget are skipped.
            if is_new
                && let Ok((error, _)) = entry.evaluate(&self.validation, known, setting)
                && best.is_none_or(|(min, _)| error < min)
            {
                best = Some((error, setting));
            }
            best.map_or(setting, |(_, setting)| setting)
        };
        // The search starts in the middle of the ranges.
        let mut found = Setting {
            depth: depths[0],
            share: 0.3,
            over: OVER[1],
        };
        // Only models have a quantile threshold, so only there the keys per slot matter.
        let is_model = matches!(entry.oracle_kind, Some(OracleKind::Linear { .. }));
        for _ in 0..self.rounds {
            if entry.oracle_kind.is_some() {
                for share in SHARES {
                    found = attempt(Setting { share, ..found });
                }
            }
            if is_model {
                for over in OVER {
                    found = attempt(Setting { over, ..found });
                }
            }
            for &depth in depths {
                found = attempt(Setting { depth, ..found });
            }
        }
        best.map(|(_, setting)| setting)
    }

    fn match_of(&self, entry: Entry) -> Match {
        Match {
            entry,
            trials: self.trials.len(),
            keys: self.validation.counts.len(),
            rounds: self.rounds,
        }
    }

    fn run(&self, entry: &Entry) -> Result<RunResult, ExperimentError> {
        let mut result = RunResult {
            setting: self.choose(entry),
            errors: Vec::new(),
            coverage: Vec::new(),
        };
        if let Some(setting) = result.setting {
            for trial in &self.trials {
                let known = trial
                    .window_scores(entry)
                    .map(|window_scores| (window_scores, window_scores.test.as_slice()));
                let (error, coverage) = entry.evaluate(&trial.test, known, setting)?;
                result.errors.push(error);
                result.coverage.push(coverage);
            }
        }
        Ok(result)
    }

    /// All methods, for any budget.
    fn methods(&self) -> Vec<(Counter, Option<OracleKind>)> {
        let alone = self.alone.iter().map(|&counter| (counter, None));
        let advised = self
            .oracle_kinds
            .iter()
            .map(|&oracle_kind| (Counter::Conservative, Some(oracle_kind)));
        let others = self
            .others
            .iter()
            .map(|&(counter, oracle_kind)| (counter, Some(oracle_kind)));
        alone.chain(advised).chain(others).collect()
    }
}

fn name(counter: Counter, oracle_kind: Option<OracleKind>) -> String {
    match oracle_kind {
        None => counter.to_string(),
        Some(oracle_kind) => format!("{counter} behind {oracle_kind}"),
    }
}

/// The results of all methods.
struct Results<'a> {
    workload: &'a Workload,
    result: Grid<Match, RunResult>,
}

impl Results<'_> {
    /// `None` if the budget was too small for the method.
    fn of(
        &self,
        counter: Counter,
        oracle_kind: Option<OracleKind>,
        bytes: usize,
    ) -> Option<&RunResult> {
        let entry = Entry {
            counter,
            oracle_kind,
            bytes,
        };
        let result = self.result.get(&self.workload.match_of(entry)).ok()?;
        Some(result).filter(|result| result.setting.is_some())
    }
}

fn run_all<'a>(cx: &mut Context, workload: &'a Workload) -> Result<Results<'a>, ExperimentError> {
    let methods = workload.methods();
    let matches: Vec<Match> = workload
        .budgets
        .iter()
        .flat_map(|&bytes| {
            methods.iter().map(move |&(counter, oracle_kind)| {
                workload.match_of(Entry {
                    counter,
                    oracle_kind,
                    bytes,
                })
            })
        })
        .collect();
    let result = cx
        .grid(&format!("league of {}", workload.id), matches)
        .reads(workload.reads)
        .version(2)
        .run(|job, _| workload.run(&job.entry))?;
    let results = Results { workload, result };
    show_all(cx, workload, &results);
    show_rivals(cx, workload, &results);
    Ok(results)
}

fn kibibytes(bytes: usize) -> String {
    format!("{} KiB", bytes / 1024)
}

fn show_all(cx: &mut Context, workload: &Workload, results: &Results<'_>) {
    let mut columns = vec![Column::text("Sketch"), Column::integer("Model bytes")];
    columns.extend(
        workload
            .budgets
            .iter()
            .map(|&bytes| Column::number(kibibytes(bytes), 3)),
    );
    let mut table = Table::new(
        format!("Average absolute frequency error at equal bytes, {}", workload.title),
        columns,
    )
    .note(format!(
        "Means over {} test windows. Counters, slots, keys and models are all charged. Depth, table and \
         threshold are chosen on a window before. No figure: the budget does not pay for the model.",
        workload.trials.len()
    ));
    // The same errors as lines, since the order of rivals changes with the budget.
    let mut figure = Figure::new(
        format!("league-{}", workload.id),
        format!("Error at equal bytes, {}", workload.title),
        "KiB",
        "average absolute frequency error",
    )
    .log_x()
    .log_y();
    for (counter, oracle_kind) in workload.methods() {
        let name = name(counter, oracle_kind);
        // A model has the same size in all trials.
        let model = workload.trials[0]
            .window_scores
            .iter()
            .find(|window_scores| Some(window_scores.oracle_kind) == oracle_kind)
            .map_or(0, |window_scores| window_scores.model_bytes);
        let mut row: Vec<Value> = vec![name.as_str().into(), model.into()];
        let mut points = Vec::new();
        for &bytes in &workload.budgets {
            let error = results
                .of(counter, oracle_kind, bytes)
                .map(|result| stats::mean(&result.errors));
            row.push(error.into());
            // An error of zero cannot be drawn on a logarithmic axis.
            if let Some(error) = error.filter(|&error| error > 0.0) {
                points.push((bytes as f64 / 1024.0, error));
            }
        }
        table.push(row);
        figure = figure.series(Series::new(name).points(points));
    }
    cx.table(table);
    cx.figure(figure);
}

/// The error of the oracle of the claims over that of a rival without one: geometric mean over trials,
/// with the interval of the mean logarithm.
fn ratio(results: &Results<'_>, rival: Option<OracleKind>, bytes: usize) -> Option<Estimate> {
    let ours = results.of(Counter::Conservative, Some(CLAIMED), bytes)?;
    let theirs = results.of(Counter::Conservative, rival, bytes)?;
    let pairs = ours.errors.iter().zip(&theirs.errors);
    let logarithms: Vec<f64> = pairs.map(|(a, b)| (a / b).ln()).collect();
    Some(geometric_mean(&logarithms, results.workload.of))
}

/// States that the learned sketch errs less than conservative update alone with this budget.
fn claim(cx: &mut Context, results: &Results<'_>, id: &str, bytes: usize, stream: &str) {
    let measured = ratio(results, None, bytes)
        .unwrap_or_else(|| Estimate::once(f64::INFINITY, results.workload.of, ""));
    cx.claim(id, &statement(bytes, stream))
        .scale(Scale::Beyond)
        .expect(Expected::AtMost(1.0))
        .source("an oracle that pays for its bytes")
        .measured(measured);
}

fn statement(bytes: usize, stream: &str) -> String {
    format!(
        "At {} a learned sketch, model included, errs less than conservative update alone on {stream}: \
         ratio",
        kibibytes(bytes)
    )
}

fn show_rivals(cx: &mut Context, workload: &Workload, results: &Results<'_>) {
    // Both rivals use the oracle's bytes for counters or slots instead.
    let mut table = Table::new(
        format!("Does the oracle pay for its bytes? {}", workload.title),
        [
            Column::text("Budget"),
            Column::text("Rows, table, keys a slot"),
            Column::number("Coverage", 3),
            Column::number("Over conservative update", 3),
            Column::text("95 %"),
            Column::text("Better"),
            Column::number("Over first come", 3),
            Column::text("95 %"),
            Column::text("Better"),
        ],
    )
    .note(format!(
        "Error of conservative update behind a table advised by the oracle ({CLAIMED}) over that of two \
         rivals without an oracle: geometric means over test windows, with paired intervals."
    ));
    for &bytes in &workload.budgets {
        // The smallest budgets are too small for the model.
        let Some(result) = results.of(Counter::Conservative, Some(CLAIMED), bytes) else {
            let mut row: Vec<Value> = vec![kibibytes(bytes).into(), "does not fit".into()];
            row.resize_with(9, || Value::Nothing);
            table.push(row);
            continue;
        };
        let setting = result.setting.map_or_else(String::new, |setting| {
            let Setting { depth, share, over } = setting;
            format!("{depth}, {:.0} %, {over}", 100.0 * share)
        });
        let mut row: Vec<Value> = vec![
            kibibytes(bytes).into(),
            setting.into(),
            stats::mean(&result.coverage).into(),
        ];
        // Paired by trial, so that differences between windows cancel.
        for (rival, rival_name) in [
            (None, "conservative update"),
            (Some(OracleKind::FirstCome), "first come"),
        ] {
            match ratio(results, rival, bytes).and_then(|found| Some((found.value, found.ends()?)))
            {
                Some((value, (low, high))) => {
                    // The interval decides, not the mean.
                    let better = if high < 1.0 {
                        "oracle"
                    } else if low > 1.0 {
                        rival_name
                    } else {
                        "neither"
                    };
                    row.push(value.into());
                    row.push(format!("{low:.3} to {high:.3}").into());
                    row.push(better.into());
                }
                None => row.extend([Value::Nothing, Value::Nothing, Value::Nothing]),
            }
        }
        table.push(row);
    }
    cx.table(table);
}

/// The scores of the oracles after fitting to keys with their counts.
fn advise<K: Key, F: Features<K> + Clone>(
    oracle_kinds: &[OracleKind],
    features: &F,
    (keys, counts): (&[K], &[u64]),
    validation: &[K],
    test: &[K],
) -> Result<Vec<WindowScores>, SketchError> {
    // Models that differ only in the bits of a weight share a fit.
    let mut fitted: BTreeMap<usize, HashedLinear<F>> = BTreeMap::new();
    let mut window_scores = Vec::new();
    for &oracle_kind in oracle_kinds {
        let (model_bytes, [validation, test]) = match oracle_kind {
            // Equal scores above the threshold: every key is admitted while slots are free.
            OracleKind::FirstCome => (0, [validation, test].map(|keys| vec![0.0; keys.len()])),
            // Negated ranks as scores: a threshold is a number of slots, which are charged as a table.
            OracleKind::Lookup => {
                let ranks = ranks(keys, counts);
                let score = |key: &K| {
                    let rank = ranks.get(&key.hash64(0));
                    rank.map_or(f32::NEG_INFINITY, |&rank| -(rank as f32))
                };
                let score_all = |keys: &[K]| keys.iter().map(score).collect();
                (0, [validation, test].map(score_all))
            }
            OracleKind::Linear {
                rows,
                bytes_a_weight,
            } => {
                let model = match fitted.entry(rows) {
                    btree_map::Entry::Occupied(fitted) => fitted.into_mut(),
                    btree_map::Entry::Vacant(place) => place.insert(HashedLinear::fit(
                        features.clone(),
                        rows,
                        keys,
                        counts,
                        SWEEPS,
                    )?),
                };
                let quantized = QuantizedLinear::new(model);
                let oracle: &dyn Oracle<K> = if bytes_a_weight == 1 {
                    &quantized
                } else {
                    model
                };
                // Keys are scored once here, not again at each setting that is tried.
                let score_all = |keys: &[K]| {
                    let mut scores = vec![0.0; keys.len()];
                    oracle.score(&keys.iter().collect::<Vec<_>>(), &mut scores);
                    scores
                };
                (oracle.model_bytes(), [validation, test].map(score_all))
            }
        };
        window_scores.push(WindowScores {
            oracle_kind,
            model_bytes,
            validation,
            test,
        });
    }
    Ok(window_scores)
}

/// The rank of each key, by its hash, in descending order of its total count; ties by hash.
fn ranks<K: Key>(keys: &[K], counts: &[u64]) -> HashMap<u64, usize> {
    let mut sums: HashMap<u64, u64> = HashMap::new();
    for (key, count) in keys.iter().zip(counts) {
        *sums.entry(key.hash64(0)).or_default() += count;
    }
    let mut order: Vec<(u64, u64)> = sums.into_iter().collect();
    order.sort_unstable_by_key(|&(hash, count)| (std::cmp::Reverse(count), hash));
    let hashes = order.into_iter().map(|(hash, _)| hash);
    hashes
        .enumerate()
        .map(|(rank, hash)| (hash, rank))
        .collect()
}

fn linear(rows: usize, bytes_a_weight: usize) -> OracleKind {
    OracleKind::Linear {
        rows,
        bytes_a_weight,
    }
}

fn oracle_kinds(profile: Profile) -> Vec<OracleKind> {
    let mut oracle_kinds = vec![OracleKind::FirstCome, CLAIMED];
    if profile == Profile::Full {
        oracle_kinds.extend([
            OracleKind::Lookup,
            linear(256, 4),
            linear(64, 1),
            linear(1024, 1),
        ]);
    }
    oracle_kinds
}

fn alone(profile: Profile) -> &'static [Counter] {
    match profile {
        Profile::Quick => &Counter::QUICK,
        Profile::Full => &Counter::ALL,
    }
}

/// What is put behind a table besides conservative update.
fn others(profile: Profile) -> Vec<(Counter, OracleKind)> {
    let counters: &[Counter] = match profile {
        Profile::Quick => &[],
        Profile::Full => &[Counter::CountMin, Counter::CountSketch, Counter::MisraGries],
    };
    let pairs = counters.iter();
    pairs
        .flat_map(|&counter| {
            [OracleKind::FirstCome, CLAIMED].map(|oracle_kind| (counter, oracle_kind))
        })
        .collect()
}

pub(crate) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if cx.selects("F5.flows") {
        flows(cx)?;
    }
    if cx.selects("F5.blocks") {
        blocks(cx)?;
    }
    if cx.selects("F5.n-grams") && cx.profile() != Profile::Quick {
        n_grams(cx)?;
    }
    Ok(())
}

/// Bytes per flow at which the oracle is claimed to reduce the error.
const CLAIMED_BYTES_A_FLOW: [usize; 3] = [2, 4, 6];

fn flows(cx: &mut Context) -> Result<(), ExperimentError> {
    let quick = cx.profile() == Profile::Quick;
    let (flows, worlds) = if quick { (49_152, 4) } else { (131_072, 6) };
    // From 8 flows per byte, where a model takes much of the budget, to several bytes per flow.
    let mut budgets = vec![flows / 8];
    if !quick {
        budgets.extend([flows / 2, flows]);
    }
    budgets.extend(CLAIMED_BYTES_A_FLOW.map(|bytes| bytes * flows));
    let oracle_kinds = oracle_kinds(cx.profile());
    let root = cx.seed().child("league of flows");
    // Worlds are the replicates: windows of one world follow the same law.
    let trial = |world: u64| -> Result<(Option<Window>, Trial), SketchError> {
        let seed = root.index(world);
        let flows_of = HeteroFlows::new(&seed);
        let [first, second, validation, test] =
            [0, 1, 2, 3].map(|number| flows_of.window(number, flows));
        // Two windows to learn from, one to set thresholds, one to test.
        let keys = [first.keys(), second.keys()].concat();
        let counts = [first.counts(), second.counts()].concat();
        let window = |window: &FlowWindow, seed: SeedTree| Window {
            counts: window.counts().to_vec(),
            stream: window.packets(&seed),
        };
        let trial = Trial {
            window_scores: advise(
                &oracle_kinds,
                &FlowFeatures::new(&[16])?,
                (&keys, &counts),
                validation.keys(),
                test.keys(),
            )?,
            test: window(&test, seed.child("test")),
        };
        // Settings are chosen once, in the first world, and hold for all.
        let validation = (world == 0).then(|| window(&validation, seed.child("validation")));
        Ok((validation, trial))
    };
    // Worlds are independent and slow to make: one thread each.
    let made: Vec<Result<_, SketchError>> = thread::scope(|scope| {
        let trial = &trial;
        let threads: Vec<_> = (0..worlds)
            .map(|world| scope.spawn(move || trial(world)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("worlds do not panic"))
            .collect()
    });
    let mut trials = Vec::new();
    let mut chosen_on = None;
    for made in made {
        let (validation, trial) = made?;
        chosen_on = chosen_on.or(validation);
        trials.push(trial);
    }
    let workload = Workload {
        title: format!("{flows} generated flows, packets shuffled, {worlds} worlds"),
        id: "flows",
        reads: None,
        of: "worlds",
        validation: chosen_on.ok_or_else(|| ExperimentError::new("no world"))?,
        trials,
        budgets,
        oracle_kinds,
        alone: alone(cx.profile()),
        others: others(cx.profile()),
        rounds: if quick { 1 } else { 2 },
    };
    let results = run_all(cx, &workload)?;
    let stream = "generated flows";
    claim(cx, &results, "F5.flows-8-flows-a-byte", flows / 8, stream);
    for bytes_a_flow in CLAIMED_BYTES_A_FLOW {
        let id = format!("F5.flows-{bytes_a_flow}-bytes-a-flow");
        claim(cx, &results, &id, bytes_a_flow * flows, stream);
    }
    Ok(())
}

/// A window of a stream whose keys return.
struct Keyed<K> {
    keys: Vec<K>,
    counts: Vec<u64>,
    stream: Vec<u32>,
}

/// Trials along a stream: each window from `first` on is tested, with what was learned from up to
/// `memory` windows before the last one, on which thresholds are set.
fn along<K: Key + Clone, F: Features<K> + Clone>(
    windows: Vec<Keyed<K>>,
    first: usize,
    memory: usize,
    features: &F,
    oracle_kinds: &[OracleKind],
) -> Result<(Window, Vec<Trial>), ExperimentError> {
    // A test needs a window before it for thresholds, and one before that to learn from.
    if first < 2 || windows.len() <= first {
        let found = windows.len();
        return Err(ExperimentError::new(format!("{found} windows are too few")));
    }
    let mut window_scores = Vec::new();
    for test in first..windows.len() {
        // The window just before the test sets thresholds: learning from it would bias them.
        let past = &windows[(test - 1).saturating_sub(memory)..test - 1];
        let keys: Vec<K> = past.iter().flat_map(|window| window.keys.clone()).collect();
        let counts: Vec<u64> = past
            .iter()
            .flat_map(|window| window.counts.clone())
            .collect();
        window_scores.push(advise(
            oracle_kinds,
            features,
            (&keys, &counts),
            &windows[test - 1].keys,
            &windows[test].keys,
        )?);
    }
    // WindowScores is given, so the keys themselves are no longer needed.
    let mut windows = windows.into_iter().skip(first - 1).map(|window| Window {
        counts: window.counts,
        stream: window.stream,
    });
    // The window before the first test, on which settings are chosen.
    let validation = windows.next();
    let trials = windows
        .zip(window_scores)
        .map(|(test, window_scores)| Trial {
            test,
            window_scores,
        });
    let trials = trials.collect();
    let validation = validation.ok_or_else(|| ExperimentError::new("no window"))?;
    Ok((validation, trials))
}

/// KiB of the claims on block requests.
const CLAIMED_ON_BLOCKS: [usize; 3] = [16, 64, 192];
const BLOCKS: &str = "block requests (OLTP)";

/// Block requests in their true order.
fn blocks(cx: &mut Context) -> Result<(), ExperimentError> {
    let Some(data) = cx.data(block_trace::DATA) else {
        for kib in CLAIMED_ON_BLOCKS {
            cx.skip(
                &format!("F5.blocks-{kib}-kib"),
                &statement(kib << 10, BLOCKS),
                "the trace is not here",
                block_trace::HOW_TO_GET,
            );
        }
        return Ok(());
    };
    // Quick keeps to the budgets of the claims.
    let quick = cx.profile() == Profile::Quick;
    let kibibytes: &[usize] = if quick {
        &CLAIMED_ON_BLOCKS
    } else {
        &[16, 32, 64, 128, 192]
    };
    // Block numbers in the order of the requests, which decides who comes first.
    let mut requests = Vec::new();
    for record in Records::open(&data.path("OLTP.lis.zst")?, &StreamFormat::Blocks)? {
        if let AnyKey::Integer(block) = record?.key {
            requests.push(block);
        }
    }
    const WINDOWS: usize = 10;
    let length = requests.len() / WINDOWS;
    let windows = requests.chunks_exact(length.max(1)).take(WINDOWS);
    let windows = windows.map(numbered).collect();
    let oracle_kinds = oracle_kinds(cx.profile());
    let features = BlockFeatures::default();
    // The first test has three windows to learn from; eight are the whole past of the last one.
    let (validation, trials) = along(windows, 4, 8, &features, &oracle_kinds)?;
    let workload = Workload {
        title: format!("block requests (OLTP), windows of {length} in their order"),
        id: "blocks",
        reads: Some(block_trace::DATA),
        of: "windows",
        validation,
        trials,
        budgets: kibibytes.iter().map(|kib| kib << 10).collect(),
        oracle_kinds,
        alone: alone(cx.profile()),
        others: others(cx.profile()),
        rounds: if quick { 1 } else { 2 },
    };
    let results = run_all(cx, &workload)?;
    // One claim for each budget, with test windows as the replicates: there is one trace.
    for kib in CLAIMED_ON_BLOCKS {
        claim(
            cx,
            &results,
            &format!("F5.blocks-{kib}-kib"),
            kib << 10,
            BLOCKS,
        );
    }
    Ok(())
}

/// The keys of a stream in the order of their first occurrence.
fn numbered(stream: &[u64]) -> Keyed<u64> {
    let mut numbers: HashMap<u64, u32> = HashMap::new();
    let mut window = Keyed {
        keys: Vec::new(),
        counts: Vec::new(),
        stream: Vec::with_capacity(stream.len()),
    };
    for &key in stream {
        let number = *numbers.entry(key).or_insert_with(|| {
            window.keys.push(key);
            window.counts.push(0);
            window.keys.len() as u32 - 1
        });
        window.counts[number as usize] += 1;
        window.stream.push(number);
    }
    window
}

/// KiB of the claims on word pairs.
const CLAIMED_ON_N_GRAMS: [usize; 2] = [1024, 2048];
const N_GRAMS: &str = "word pairs of books";

/// Word pairs of books in their order.
fn n_grams(cx: &mut Context) -> Result<(), ExperimentError> {
    const TOKENS: u64 = 1_000_000;
    let Some(data) = cx.data("sketch-books") else {
        for kib in CLAIMED_ON_N_GRAMS {
            cx.skip(
                &format!("F5.n-grams-{kib}-kib"),
                &statement(kib << 10, N_GRAMS),
                "the text is not here",
                "see `cargo xtask data list` for sketch-books",
            );
        }
        return Ok(());
    };
    // Days of equal length, each with the pairs in the order of the text.
    let text = open_text(&data.path("books.txt.zst")?)?;
    let days: Result<Vec<Keyed<String>>, io::Error> = NGramDays::new(text, 2, TOKENS)?
        .map(|day| {
            day.map(|day| Keyed {
                keys: day.keys,
                counts: day.counts,
                stream: day.stream,
            })
        })
        .collect();
    let oracle_kinds = oracle_kinds(cx.profile());
    // Day 6 is the first test; each trial learns from three days, which keeps fits short.
    let (validation, trials) = along(days?, 6, 3, &TextFeatures::default(), &oracle_kinds)?;
    let workload = Workload {
        title: format!("word pairs of books, days of {TOKENS} in their order"),
        id: "n-grams",
        reads: Some("sketch-books"),
        of: "days",
        validation,
        trials,
        budgets: [256, 512, 1024, 2048].map(|kib| kib << 10).to_vec(),
        oracle_kinds,
        alone: alone(cx.profile()),
        others: others(cx.profile()),
        rounds: 1,
    };
    // Days are the replicates: there is one text in one order.
    let results = run_all(cx, &workload)?;
    for kib in CLAIMED_ON_N_GRAMS {
        claim(
            cx,
            &results,
            &format!("F5.n-grams-{kib}-kib"),
            kib << 10,
            N_GRAMS,
        );
    }
    Ok(())
}
