//! F5: who estimates frequencies best at equal bytes, those of models included?
//!
//! The paper compares oracles with each other and with plain count-min, and leaves the bytes of the
//! models out. Here everything is charged, and the rivals are those that a user would take instead:
//! conservative update, which needs no oracle, and a table that admits whichever keys come first.

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

/// Shares of the bytes after the model that the table may take.
const SHARES: [f64; 8] = [0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8];

/// Keys above the threshold for each slot. The paper's 1.1 comes first.
const OVER: [f64; 4] = [1.1, 2.0, 3.0, 5.0];

/// Sweeps of a fit.
const SWEEPS: usize = 12;

/// The oracle of the claims.
const CLAIMED: Advisor = Advisor::Linear {
    rows: 256,
    bytes_a_weight: 1,
};

/// What counts, or counts behind the table.
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

/// Who says which keys get a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Advisor {
    /// Nobody: whichever come first.
    FirstCome,
    /// Slots are reserved for the most frequent keys of earlier windows; the slots are the model.
    Lookup,
    /// A hashed linear model.
    Linear { rows: usize, bytes_a_weight: usize },
}

impl fmt::Display for Advisor {
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

/// A contestant at a budget.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Entry {
    counter: Counter,
    advisor: Option<Advisor>,
    bytes: usize,
}

/// An entry in an arena: with what decides the result besides it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Match {
    entry: Entry,
    trials: usize,
    /// Keys of the window on which settings are chosen.
    keys: usize,
    rounds: usize,
}

/// How a budget is used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Setting {
    depth: usize,
    /// Of the bytes after the model, for the table.
    share: f64,
    /// Keys above the threshold for each slot.
    over: f64,
}

/// What an entry did.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Played {
    /// `None` when the budget does not pay for the model.
    setting: Option<Setting>,
    /// By trial.
    errors: Vec<f64>,
    coverage: Vec<f64>,
}

/// Keys by number: what a key is matters to oracles only, and their scores are known.
struct Window {
    counts: Vec<u64>,
    stream: Vec<u32>,
}

/// What an advisor says about the keys of two windows.
struct Advice {
    advisor: Advisor,
    model_bytes: usize,
    validation: Vec<f32>,
    test: Vec<f32>,
}

/// A window to test on, with what was learned from windows before it.
struct Trial {
    test: Window,
    advice: Vec<Advice>,
}

/// A stream.
struct Arena {
    /// The name in titles, and in ids.
    title: String,
    id: &'static str,
    /// The data set that it is from.
    reads: Option<&'static str>,
    /// What the trials are, in the plural.
    of: &'static str,
    /// Settings are chosen on this window. It is before the test window of the first trial; other
    /// trials have thresholds of their own, by the scores of the window before theirs.
    validation: Window,
    trials: Vec<Trial>,
    budgets: Vec<usize>,
    advisors: Vec<Advisor>,
    /// What takes part alone.
    alone: &'static [Counter],
    /// What is put behind a table besides conservative update.
    others: Vec<(Counter, Advisor)>,
    /// How often a setting is improved in turn.
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

/// What an entry knows in a window: the advice, and the scores of the window's own keys.
type Known<'a> = Option<(&'a Advice, &'a [f32])>;

impl Entry {
    /// The average absolute frequency error and the coverage of a setting.
    fn play(
        &self,
        window: &Window,
        known: Known<'_>,
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
        known: Known<'_>,
        setting: Setting,
        make: impl FnOnce(usize) -> Result<S, SketchError>,
    ) -> Result<(f64, f64), SketchError> {
        let keys = 0..window.counts.len() as u32;
        let (estimates, coverage, bytes): (Vec<f64>, _, _) = if let Some((advice, scores)) = known {
            let oracle = Scored {
                scores,
                model_bytes: advice.model_bytes,
            };
            let threshold = match advice.advisor {
                Advisor::FirstCome => Threshold::Fixed(f32::NEG_INFINITY),
                // Scores are ranks, negated.
                Advisor::Lookup => {
                    let bytes = (self.bytes as f64 * setting.share) as usize;
                    let table = ExplicitTable::<Slot8>::with_bytes(bytes);
                    Threshold::Fixed(-(table.slots() as f32))
                }
                Advisor::Linear { .. } => Threshold::Quantile {
                    keys_per_slot: setting.over,
                },
            };
            // Verdicts only spare questions to the oracle; they are left out, and cost no bytes.
            let mut learned = Learned::<u32, S, _>::builder(oracle)
                .bytes(self.bytes)
                .explicit_fraction(setting.share)
                .rejection_cache_bits(None)
                .threshold(threshold)
                .validation_scores(advice.validation.as_slice())
                .build(make)?;
            learned.update_batch(&window.stream);
            let estimates = keys.map(|key| learned.estimate(&key).value.to_f64());
            (
                estimates.collect(),
                learned.coverage(),
                learned.size_bytes(),
            )
        } else {
            // Without an advisor there is no table, and the sketch has the whole budget.
            let mut sketch = make(self.bytes)?;
            sketch.update_batch(&window.stream);
            let estimates = keys.map(|key| sketch.estimate(&key).to_f64());
            (estimates.collect(), 0.0, sketch.size_bytes())
        };
        // Small budgets have minimum sizes: what does not keep to its bytes may not take part.
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
    fn advice(&self, entry: &Entry) -> Option<&Advice> {
        let of_entry = |advice: &&Advice| Some(advice.advisor) == entry.advisor;
        self.advice.iter().find(of_entry)
    }
}

impl Arena {
    /// A setting of little error on the validation window, found by improving one part of it
    /// after the other. `None` when the budget pays for none.
    fn choose(&self, entry: &Entry) -> Option<Setting> {
        let advice = self.trials.first()?.advice(entry);
        let known = advice.map(|advice| (advice, advice.validation.as_slice()));
        let depths = entry.counter.depths();
        let mut best: Option<(f64, Setting)> = None;
        let mut tried = Vec::new();
        // Later rounds come back to settings that are known, and skip them.
        let mut attempt = |setting: Setting| {
            let is_new = !tried.contains(&setting);
            tried.push(setting);
            // What does not fit into the budget does not take part.
            if is_new
                && let Ok((error, _)) = entry.play(&self.validation, known, setting)
                && best.is_none_or(|(least, _)| error < least)
            {
                best = Some((error, setting));
            }
            best.map_or(setting, |(_, setting)| setting)
        };
        // The search starts amid the ranges of share and excess.
        let mut found = Setting {
            depth: depths[0],
            share: 0.3,
            over: OVER[1],
        };
        // Only a model's threshold is a quantile of scores, so only there the excess matters.
        let is_model = matches!(entry.advisor, Some(Advisor::Linear { .. }));
        for _ in 0..self.rounds {
            if entry.advisor.is_some() {
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

    fn compete(&self, entry: &Entry) -> Result<Played, ExperimentError> {
        let mut played = Played {
            setting: self.choose(entry),
            errors: Vec::new(),
            coverage: Vec::new(),
        };
        if let Some(setting) = played.setting {
            for trial in &self.trials {
                let known = trial
                    .advice(entry)
                    .map(|advice| (advice, advice.test.as_slice()));
                let (error, coverage) = entry.play(&trial.test, known, setting)?;
                played.errors.push(error);
                played.coverage.push(coverage);
            }
        }
        Ok(played)
    }

    /// Everyone who takes part, whatever the budget.
    fn contestants(&self) -> Vec<(Counter, Option<Advisor>)> {
        let alone = self.alone.iter().map(|&counter| (counter, None));
        let advised = self
            .advisors
            .iter()
            .map(|&advisor| (Counter::Conservative, Some(advisor)));
        let others = self
            .others
            .iter()
            .map(|&(counter, advisor)| (counter, Some(advisor)));
        alone.chain(advised).chain(others).collect()
    }
}

fn name(counter: Counter, advisor: Option<Advisor>) -> String {
    match advisor {
        None => counter.to_string(),
        Some(advisor) => format!("{counter} behind {advisor}"),
    }
}

/// What the contestants did.
struct Standings<'a> {
    arena: &'a Arena,
    played: Grid<Match, Played>,
}

impl Standings<'_> {
    /// `None` when the contestant could not take part.
    fn of(&self, counter: Counter, advisor: Option<Advisor>, bytes: usize) -> Option<&Played> {
        let entry = Entry {
            counter,
            advisor,
            bytes,
        };
        let played = self.played.get(&self.arena.match_of(entry)).ok()?;
        Some(played).filter(|played| played.setting.is_some())
    }
}

fn compete<'a>(cx: &mut Context, arena: &'a Arena) -> Result<Standings<'a>, ExperimentError> {
    let contestants = arena.contestants();
    let matches: Vec<Match> = arena
        .budgets
        .iter()
        .flat_map(|&bytes| {
            contestants.iter().map(move |&(counter, advisor)| {
                arena.match_of(Entry {
                    counter,
                    advisor,
                    bytes,
                })
            })
        })
        .collect();
    let played = cx
        .grid(&format!("league of {}", arena.id), matches)
        .reads(arena.reads)
        .version(2)
        .run(|job, _| arena.compete(&job.entry))?;
    let standings = Standings { arena, played };
    show_all(cx, arena, &standings);
    show_rivals(cx, arena, &standings);
    Ok(standings)
}

fn kibibytes(bytes: usize) -> String {
    format!("{} KiB", bytes / 1024)
}

fn show_all(cx: &mut Context, arena: &Arena, standings: &Standings<'_>) {
    let mut columns = vec![Column::text("Sketch"), Column::integer("Model bytes")];
    columns.extend(
        arena
            .budgets
            .iter()
            .map(|&bytes| Column::number(kibibytes(bytes), 3)),
    );
    let mut table = Table::new(
        format!("Average absolute frequency error at equal bytes, {}", arena.title),
        columns,
    )
    .note(format!(
        "Means over {} test windows. Counters, slots, keys and models are all charged. Depth, table and \
         threshold are chosen on a window before. No figure: the budget does not pay for the model.",
        arena.trials.len()
    ));
    // The same errors as lines, since the order of rivals changes with the budget.
    let mut figure = Figure::new(
        format!("league-{}", arena.id),
        format!("Error at equal bytes, {}", arena.title),
        "KiB",
        "average absolute frequency error",
    )
    .log_x()
    .log_y();
    for (counter, advisor) in arena.contestants() {
        let name = name(counter, advisor);
        // A model has the same size in all trials.
        let model = arena.trials[0]
            .advice
            .iter()
            .find(|advice| Some(advice.advisor) == advisor)
            .map_or(0, |advice| advice.model_bytes);
        let mut row: Vec<Value> = vec![name.as_str().into(), model.into()];
        let mut points = Vec::new();
        for &bytes in &arena.budgets {
            let error = standings
                .of(counter, advisor, bytes)
                .map(|played| stats::mean(&played.errors));
            row.push(error.into());
            // No error at all has no place on a logarithmic axis.
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
fn ratio(standings: &Standings<'_>, rival: Option<Advisor>, bytes: usize) -> Option<Estimate> {
    let ours = standings.of(Counter::Conservative, Some(CLAIMED), bytes)?;
    let theirs = standings.of(Counter::Conservative, rival, bytes)?;
    let pairs = ours.errors.iter().zip(&theirs.errors);
    let logarithms: Vec<f64> = pairs.map(|(a, b)| (a / b).ln()).collect();
    Some(geometric_mean(&logarithms, standings.arena.of))
}

/// States that the learned sketch errs less than conservative update alone with this budget.
fn claim(cx: &mut Context, standings: &Standings<'_>, id: &str, bytes: usize, stream: &str) {
    let measured = ratio(standings, None, bytes)
        .unwrap_or_else(|| Estimate::once(f64::INFINITY, standings.arena.of, ""));
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

fn show_rivals(cx: &mut Context, arena: &Arena, standings: &Standings<'_>) {
    // Both rivals use the oracle's bytes for counters or slots instead.
    let mut table = Table::new(
        format!("Does the oracle pay for its bytes? {}", arena.title),
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
    for &bytes in &arena.budgets {
        // The smallest budgets do not hold the model.
        let Some(played) = standings.of(Counter::Conservative, Some(CLAIMED), bytes) else {
            let mut row: Vec<Value> = vec![kibibytes(bytes).into(), "does not fit".into()];
            row.resize_with(9, || Value::Nothing);
            table.push(row);
            continue;
        };
        let setting = played.setting.map_or_else(String::new, |setting| {
            let Setting { depth, share, over } = setting;
            format!("{depth}, {:.0} %, {over}", 100.0 * share)
        });
        let mut row: Vec<Value> = vec![
            kibibytes(bytes).into(),
            setting.into(),
            stats::mean(&played.coverage).into(),
        ];
        // Paired by trial, so that differences between windows cancel.
        for (rival, rival_name) in [
            (None, "conservative update"),
            (Some(Advisor::FirstCome), "first come"),
        ] {
            match ratio(standings, rival, bytes)
                .and_then(|found| Some((found.value, found.ends()?)))
            {
                Some((value, (low, high))) => {
                    // Better is what the interval shows, not the mean.
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

/// What the advisors say after learning from keys with their counts.
fn advise<K: Key, F: Features<K> + Clone>(
    advisors: &[Advisor],
    features: &F,
    (keys, counts): (&[K], &[u64]),
    validation: &[K],
    test: &[K],
) -> Result<Vec<Advice>, SketchError> {
    // Advisors that differ in the bits of a weight share a fit.
    let mut fitted: BTreeMap<usize, HashedLinear<F>> = BTreeMap::new();
    let mut advice = Vec::new();
    for &advisor in advisors {
        let (model_bytes, [validation, test]) = match advisor {
            // Equal scores, and a threshold below them: every key is admitted while there is room.
            Advisor::FirstCome => (0, [validation, test].map(|keys| vec![0.0; keys.len()])),
            // Negated ranks as scores: a threshold is a number of slots, which are charged as a table.
            Advisor::Lookup => {
                let ranks = ranks(keys, counts);
                let score = |key: &K| {
                    let rank = ranks.get(&key.hash64(0));
                    rank.map_or(f32::NEG_INFINITY, |&rank| -(rank as f32))
                };
                let score_all = |keys: &[K]| keys.iter().map(score).collect();
                (0, [validation, test].map(score_all))
            }
            Advisor::Linear {
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
        advice.push(Advice {
            advisor,
            model_bytes,
            validation,
            test,
        });
    }
    Ok(advice)
}

/// The place of each key, by its hash, in the order of the sums of its counts; ties by the hash.
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

fn linear(rows: usize, bytes_a_weight: usize) -> Advisor {
    Advisor::Linear {
        rows,
        bytes_a_weight,
    }
}

fn advisors(profile: Profile) -> Vec<Advisor> {
    let mut advisors = vec![Advisor::FirstCome, CLAIMED];
    if profile == Profile::Full {
        advisors.extend([
            Advisor::Lookup,
            linear(256, 4),
            linear(64, 1),
            linear(1024, 1),
        ]);
    }
    advisors
}

fn alone(profile: Profile) -> &'static [Counter] {
    match profile {
        Profile::Quick => &Counter::QUICK,
        Profile::Full => &Counter::ALL,
    }
}

/// What is put behind a table besides conservative update.
fn others(profile: Profile) -> Vec<(Counter, Advisor)> {
    let counters: &[Counter] = match profile {
        Profile::Quick => &[],
        Profile::Full => &[Counter::CountMin, Counter::CountSketch, Counter::MisraGries],
    };
    let pairs = counters.iter();
    pairs
        .flat_map(|&counter| [Advisor::FirstCome, CLAIMED].map(|advisor| (counter, advisor)))
        .collect()
}

pub(crate) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if cx.wants("F5.flows") {
        flows(cx)?;
    }
    if cx.wants("F5.blocks") {
        blocks(cx)?;
    }
    if cx.wants("F5.n-grams") && cx.profile() != Profile::Quick {
        n_grams(cx)?;
    }
    Ok(())
}

/// Bytes a flow at which the oracle is claimed to pay.
const CLAIMED_BYTES_A_FLOW: [usize; 3] = [2, 4, 6];

fn flows(cx: &mut Context) -> Result<(), ExperimentError> {
    let quick = cx.profile() == Profile::Quick;
    let (flows, worlds) = if quick { (49_152, 4) } else { (131_072, 6) };
    // From 8 flows a byte, where a model takes much of the budget, to several bytes a flow.
    let mut budgets = vec![flows / 8];
    if !quick {
        budgets.extend([flows / 2, flows]);
    }
    budgets.extend(CLAIMED_BYTES_A_FLOW.map(|bytes| bytes * flows));
    let advisors = advisors(cx.profile());
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
            advice: advise(
                &advisors,
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
    let arena = Arena {
        title: format!("{flows} generated flows, packets shuffled, {worlds} worlds"),
        id: "flows",
        reads: None,
        of: "worlds",
        validation: chosen_on.ok_or_else(|| ExperimentError::new("no world"))?,
        trials,
        budgets,
        advisors,
        alone: alone(cx.profile()),
        others: others(cx.profile()),
        rounds: if quick { 1 } else { 2 },
    };
    let standings = compete(cx, &arena)?;
    let stream = "generated flows";
    claim(cx, &standings, "F5.flows-8-flows-a-byte", flows / 8, stream);
    for bytes_a_flow in CLAIMED_BYTES_A_FLOW {
        let id = format!("F5.flows-{bytes_a_flow}-bytes-a-flow");
        claim(cx, &standings, &id, bytes_a_flow * flows, stream);
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
    advisors: &[Advisor],
) -> Result<(Window, Vec<Trial>), ExperimentError> {
    // A test needs a window before it for thresholds, and one before that to learn from.
    if first < 2 || windows.len() <= first {
        let found = windows.len();
        return Err(ExperimentError::new(format!("{found} windows are too few")));
    }
    let mut advice = Vec::new();
    for test in first..windows.len() {
        // The window just before the test sets thresholds: learning from it would bias them.
        let past = &windows[(test - 1).saturating_sub(memory)..test - 1];
        let keys: Vec<K> = past.iter().flat_map(|window| window.keys.clone()).collect();
        let counts: Vec<u64> = past
            .iter()
            .flat_map(|window| window.counts.clone())
            .collect();
        advice.push(advise(
            advisors,
            features,
            (&keys, &counts),
            &windows[test - 1].keys,
            &windows[test].keys,
        )?);
    }
    // Advice is given, so the keys themselves are no longer needed.
    let mut windows = windows.into_iter().skip(first - 1).map(|window| Window {
        counts: window.counts,
        stream: window.stream,
    });
    // The window before the first test, on which settings are chosen.
    let validation = windows.next();
    let trials = windows
        .zip(advice)
        .map(|(test, advice)| Trial { test, advice });
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
    let advisors = advisors(cx.profile());
    let features = BlockFeatures::default();
    // The first test has three windows to learn from; eight are the whole past of the last one.
    let (validation, trials) = along(windows, 4, 8, &features, &advisors)?;
    let arena = Arena {
        title: format!("block requests (OLTP), windows of {length} in their order"),
        id: "blocks",
        reads: Some(block_trace::DATA),
        of: "windows",
        validation,
        trials,
        budgets: kibibytes.iter().map(|kib| kib << 10).collect(),
        advisors,
        alone: alone(cx.profile()),
        others: others(cx.profile()),
        rounds: if quick { 1 } else { 2 },
    };
    let standings = compete(cx, &arena)?;
    // One claim for each budget, with test windows as the replicates: there is one trace.
    for kib in CLAIMED_ON_BLOCKS {
        claim(
            cx,
            &standings,
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
    let advisors = advisors(cx.profile());
    // Day 6 is the first test; each trial learns from three days, which keeps fits short.
    let (validation, trials) = along(days?, 6, 3, &TextFeatures::default(), &advisors)?;
    let arena = Arena {
        title: format!("word pairs of books, days of {TOKENS} in their order"),
        id: "n-grams",
        reads: Some("sketch-books"),
        of: "days",
        validation,
        trials,
        budgets: [256, 512, 1024, 2048].map(|kib| kib << 10).to_vec(),
        advisors,
        alone: alone(cx.profile()),
        others: others(cx.profile()),
        rounds: 1,
    };
    // Days are the replicates: there is one text in one order.
    let standings = compete(cx, &arena)?;
    for kib in CLAIMED_ON_N_GRAMS {
        claim(
            cx,
            &standings,
            &format!("F5.n-grams-{kib}-kib"),
            kib << 10,
            N_GRAMS,
        );
    }
    Ok(())
}
