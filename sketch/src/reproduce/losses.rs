//! Q3 and G: what an oracle is trained for decides what it covers.

use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Figure, Profile, Scale, SeedTree, Series,
    Table,
};
use septet_core::stats;
use septet_core::tensor::{Decay, Schedule};
use serde::{Deserialize, Serialize};

use super::method::{Method, scores_of};
use crate::metrics;
use crate::oracle::FlowFeatures;
use crate::stream::{FlowScore, FlowWindow, HeteroFlows};
use crate::theory::{CoverageCurve, aafe};
use crate::train::{EmbedMlpNetwork, EmbedMlpSize};

/// Flows of a window, windows to train on, and the window to test on.
const FLOWS: usize = 131_072;
const TRAINING: u64 = 5;
const TEST: u64 = 8;

/// Steps of a training and examples of a step.
const STEPS: u64 = 400;
const BATCH: usize = 1024;

/// The full learning rate, from which it falls along half a cosine. The paper's 1e-3 is for a hundred
/// epochs; here a training sees two thirds of the examples once.
pub(super) const RATE: f64 = 1e-2;

const SEEDS: u64 = 3;

/// The share of explicit keys of the claims.
const SHARE: f64 = 0.12;
const WIDTHS: [usize; 2] = [1000, 10_000];

/// Shares of explicit keys at which coverage is compared.
const SHARES: [f64; 8] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.10, 0.12, 0.20];

/// The world of the claims about losses: of the first 64, the one in which the best oracles of the two
/// kinds (by expected logarithm and by expected size) cover most nearly what they do in the median, 0.395
/// and 0.608 at 12 % of the keys. Worlds differ: from 0.30 to 0.53, and from 0.54 to 0.68. The seed of the
/// program decides the trainings.
pub(super) fn world() -> HeteroFlows {
    HeteroFlows::new(&SeedTree::new(41))
}

/// The flows that oracles are trained on, with their counts.
pub(super) fn training_flows(world: &HeteroFlows) -> (Vec<crate::FlowKey>, Vec<u64>) {
    let mut keys = Vec::new();
    let mut counts = Vec::new();
    for number in 0..TRAINING {
        let window = world.window(number, FLOWS);
        keys.extend_from_slice(window.keys());
        counts.extend_from_slice(window.counts());
    }
    (keys, counts)
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Training {
    method: Method,
    seed: u64,
    steps: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Trained {
    /// At each of [`SHARES`].
    coverage: Vec<f64>,
    /// For each of [`WIDTHS`], by depth from 1 to 4, at [`SHARE`].
    errors: Vec<[f64; 4]>,
    /// The share of keys that are screened, by percentile of the true count, at 10 %.
    screened: Vec<f64>,
    /// Rank correlation with the expected count and with the expected logarithm.
    spearman: [f64; 2],
    model_bytes: usize,
}

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.wants("Q3") && !cx.wants("G") {
        return Ok(());
    }
    let world = world();
    let (keys, counts) = training_flows(&world);
    let test = world.window(TEST, FLOWS);
    let everything = cx.profile() != Profile::Quick;
    let trainings: Vec<Training> = Method::ALL
        .into_iter()
        .flat_map(|method| (0..SEEDS).map(move |seed| (method, seed)))
        // The claims need three seeds of three methods, and one of two more.
        .filter(|(method, seed)| match method {
            Method::LogMse | Method::WeightedLogMse | Method::BatchRank8 => true,
            Method::BatchRank64 | Method::Poisson => everything || *seed == 0,
            _ => everything,
        })
        .map(|(method, seed)| Training {
            method,
            seed,
            steps: STEPS,
        })
        .collect();
    let root = cx.seed().child("trainings");
    let trained: Vec<Trained> = cx.cells("trained on flows", &trainings, |job, _| {
        let seed = root.index(job.seed);
        let network =
            EmbedMlpNetwork::new(FlowFeatures::default(), EmbedMlpSize::default(), &seed)?;
        job.method
            .trainer(&seed)
            .batch(BATCH)
            .steps(job.steps)
            .rate(RATE)
            .schedule(falling(job.steps))
            .fit(&network, &keys, &counts, |_| ())?;
        let oracle = network.oracle()?;
        judge(
            &test,
            &scores_of(&oracle, test.keys()),
            crate::oracle::Oracle::<crate::FlowKey>::model_bytes(&oracle),
        )
    })?;
    let results = Results { trainings, trained };
    let logarithm = test.scores(FlowScore::MeanLogCount);
    let ceiling = test.scores(FlowScore::Mean);
    let ideal: Vec<f64> = test.counts().iter().map(|&count| count as f64).collect();
    table(
        cx,
        &test,
        &results,
        &[
            ("expected logarithm", &logarithm),
            ("expected size (bound)", &ceiling),
            ("true counts", &ideal),
        ],
    );
    figures(cx, &test, &results, &ceiling);
    if cx.wants("Q3") {
        claims(cx, &results);
    }
    if cx.wants("G") {
        properties(cx, &results);
    }
    Ok(())
}

/// A rate that falls along half a cosine.
pub(super) fn falling(steps: u64) -> Schedule {
    Schedule {
        warm_up: 0,
        decay: Decay::Cosine { steps, floor: 0.05 },
    }
}

fn judge(
    window: &FlowWindow,
    scores: &[f64],
    model_bytes: usize,
) -> Result<Trained, ExperimentError> {
    let curve = CoverageCurve::ranked(window.counts(), scores);
    let residual = curve.residual((SHARE * FLOWS as f64) as usize);
    let mut errors = Vec::new();
    for width in WIDTHS {
        let mut by_depth = [0.0; 4];
        for (index, error) in by_depth.iter_mut().enumerate() {
            *error = aafe(&residual, curve.total(), index + 1, width)?;
        }
        errors.push(by_depth);
    }
    let correlation = |score| {
        let correlation = metrics::spearman(scores, &window.scores(score));
        correlation.ok_or_else(|| ExperimentError::new("an oracle gives all keys one score"))
    };
    Ok(Trained {
        coverage: metrics::coverage_at(window.counts(), scores, &SHARES),
        errors,
        screened: screened(window.counts(), scores),
        spearman: [
            correlation(FlowScore::Mean)?,
            correlation(FlowScore::MeanLogCount)?,
        ],
        model_bytes,
    })
}

/// For each percentile of the true count, the share of its keys that are among the best tenth by
/// score.
fn screened(counts: &[u64], scores: &[f64]) -> Vec<f64> {
    let order = metrics::ranking(scores);
    let mut is_screened = vec![false; counts.len()];
    for &key in &order[..counts.len() / 10] {
        is_screened[key as usize] = true;
    }
    let by_count: Vec<f64> = counts.iter().map(|&count| -(count as f64)).collect();
    let ascending = metrics::ranking(&by_count);
    ascending
        .chunks(counts.len().div_ceil(100))
        .map(|keys| {
            let screened = keys
                .iter()
                .filter(|&&key| is_screened[key as usize])
                .count();
            screened as f64 / keys.len() as f64
        })
        .collect()
}

struct Results {
    trainings: Vec<Training>,
    trained: Vec<Trained>,
}

impl Results {
    /// What the seeds of a method gave, in the order of the seeds.
    fn of(&self, method: Method) -> Vec<&Trained> {
        let pairs = self.trainings.iter().zip(&self.trained);
        let these = pairs.filter(|(training, _)| training.method == method);
        these.map(|(_, trained)| trained).collect()
    }

    /// The methods that were trained.
    fn methods(&self) -> impl Iterator<Item = Method> + '_ {
        let trained = |method: &Method| !self.of(*method).is_empty();
        Method::ALL.into_iter().filter(trained)
    }

    /// A quantity of each seed of a method.
    fn values(&self, method: Method, value: impl Fn(&Trained) -> f64) -> Vec<f64> {
        self.of(method).into_iter().map(value).collect()
    }

    /// A quantity of log-MSE over that of a method, seed by seed.
    fn ratios(&self, method: Method, value: impl Fn(&Trained) -> f64) -> Vec<f64> {
        let theirs = self.values(Method::LogMse, &value);
        let ours = self.values(method, &value);
        theirs.iter().zip(&ours).map(|(a, b)| a / b).collect()
    }
}

fn place_of(share: f64) -> usize {
    SHARES
        .iter()
        .position(|other| *other == share)
        .unwrap_or(SHARES.len() - 1)
}

fn covered(trained: &Trained) -> f64 {
    trained.coverage[place_of(SHARE)]
}

fn table(cx: &mut Context, test: &FlowWindow, results: &Results, bounds: &[(&str, &[f64])]) {
    let mut columns = vec![Column::text("Trained for"), Column::integer("Seeds")];
    columns.extend(SHARES.map(|share| Column::number(format!("{} %", 100.0 * share), 3)));
    columns.push(Column::integer("Model bytes"));
    let mut table = Table::new("Coverage by the share of explicit keys, generated flows", columns)
        .note(format!(
            "Means over seeds. {TRAINING} windows of {FLOWS} flows, {STEPS} steps of {BATCH}; tested on window {TEST}, of which no flow was seen."
        ));
    for method in results.methods() {
        let trained = results.of(method);
        let mut row = vec![method.name().into(), trained.len().into()];
        for place in 0..SHARES.len() {
            let values = results.values(method, |trained| trained.coverage[place]);
            row.push(stats::mean(&values).into());
        }
        row.push(trained[0].model_bytes.into());
        table.push(row);
    }
    for (name, scores) in bounds {
        let coverage = metrics::coverage_at(test.counts(), scores, &SHARES);
        let mut row = vec![(*name).into(), septet_core::experiment::Value::Nothing];
        row.extend(coverage.into_iter().map(Into::into));
        table.push(row);
    }
    cx.table(table);
    let mut columns = vec![
        Column::text("Trained for"),
        Column::number("Left to the sketch", 3),
    ];
    for width in WIDTHS {
        columns.extend((1..=4).map(|depth| Column::number(format!("w {width}, d {depth}"), 2)));
    }
    let mut table = Table::new(
        "Error of log-MSE over the error of another loss at 12 % explicit keys",
        columns,
    )
    .note("Means over seeds; predicted errors. The first column is the ratio of the masses left.");
    for method in results.methods().filter(|method| *method != Method::LogMse) {
        let left = results.ratios(method, |trained| 1.0 - covered(trained));
        let mut row = vec![method.name().into(), stats::mean(&left).into()];
        for width in 0..WIDTHS.len() {
            for depth in 0..4 {
                let ratios = results.ratios(method, |trained| trained.errors[width][depth]);
                row.push(stats::mean(&ratios).into());
            }
        }
        table.push(row);
    }
    cx.table(table);
}

fn figures(cx: &mut Context, test: &FlowWindow, results: &Results, ceiling: &[f64]) {
    let mut figure = Figure::new(
        "coverage",
        "Coverage of oracles trained for different losses, generated flows",
        "explicit keys, % of all",
        "coverage",
    )
    .log_x();
    for method in results.methods() {
        let points = SHARES.into_iter().enumerate().map(|(place, share)| {
            let values = results.values(method, |trained| trained.coverage[place]);
            (100.0 * share, stats::mean(&values))
        });
        figure = figure.series(Series::new(method.name()).points(points));
    }
    let bound = metrics::coverage_at(test.counts(), ceiling, &SHARES);
    let bound = SHARES
        .iter()
        .zip(bound)
        .map(|(share, y)| (100.0 * share, y));
    cx.figure(figure.series(Series::theory("expected size (bound)").points(bound)));

    let mut figure = Figure::new(
        "screened",
        "Share of keys that are screened by the best tenth of the scores, by percentile of their true count",
        "percentile of the true count",
        "share screened",
    );
    for method in results.methods() {
        let trained = results.of(method);
        let percentiles = trained[0].screened.len();
        let points = (0..percentiles).map(|percentile| {
            let values = results.values(method, |trained| trained.screened[percentile]);
            (percentile as f64, stats::mean(&values))
        });
        figure = figure.series(Series::new(method.name()).points(points));
    }
    cx.figure(figure);

    let mut figure = Figure::new(
        "error-ratio",
        "Mass left by log-MSE over mass left by another loss, by the share of explicit keys",
        "explicit keys, % of all",
        "ratio, theirs / ours",
    )
    .log_x()
    .reference("equal", 1.0);
    for method in results.methods().filter(|method| *method != Method::LogMse) {
        let points = SHARES.into_iter().enumerate().map(|(place, share)| {
            let ratios = results.ratios(method, |trained| 1.0 - trained.coverage[place]);
            (100.0 * share, stats::mean(&ratios))
        });
        figure = figure.series(Series::new(method.name()).points(points));
    }
    cx.figure(figure);
}

fn interval(cx: &Context, values: &[f64]) -> Estimate {
    Estimate::of_samples(values, "", &mut cx.seed().child("losses interval").rng())
}

const PROTOTYPE: &str =
    "an independent prototype on the same generator, with room for shorter training";

fn claims(cx: &mut Context, results: &Results) {
    let claim = |cx: &mut Context, id: &str, statement: &str, expected, values: &[f64]| {
        let measured = interval(cx, values);
        cx.claim(id, statement)
            .paper_ref("abstract: training for coverage improves on earlier losses")
            .scale(Scale::Scaled)
            .expect(expected)
            .source(PROTOTYPE)
            .measured(measured);
    };
    let ours = results.values(Method::BatchRank8, covered);
    claim(
        cx,
        "Q3.coverage-batchrank8",
        "Trained with BatchRank in groups of 8, 12 % of the keys cover this share of the stream",
        Expected::AtLeast(0.55),
        &ours,
    );
    let theirs = results.values(Method::LogMse, covered);
    claim(
        cx,
        "Q3.coverage-log-mse",
        "Trained for the squared error of logarithms, they cover less",
        Expected::AtMost(0.45),
        &theirs,
    );
    let left = results.ratios(Method::BatchRank8, |trained| 1.0 - covered(trained));
    claim(
        cx,
        "Q3.left",
        "Mass left by log-MSE over mass left by BatchRank, at 12 %",
        Expected::AtLeast(1.30),
        &left,
    );
    for (index, width) in WIDTHS.into_iter().enumerate() {
        for depth in 1..=4 {
            let ratios = results.ratios(Method::BatchRank8, |trained| {
                trained.errors[index][depth - 1]
            });
            let least = if depth == 1 { 1.7 } else { 1.25 };
            claim(
                cx,
                &format!("Q3.error-w{width}-d{depth}"),
                &format!(
                    "Error of log-MSE over error of BatchRank at 12 %, width {width}, depth {depth}"
                ),
                Expected::AtLeast(least),
                &ratios,
            );
        }
    }
    let weighted = results.values(Method::WeightedLogMse, covered);
    let apart: Vec<f64> = ours
        .iter()
        .zip(&weighted)
        .map(|(a, b)| (a - b).abs())
        .collect();
    claim(
        cx,
        "Q3.weighted",
        "Log-MSE with examples sampled by count covers nearly as much as BatchRank at 12 %: difference",
        Expected::AtMost(0.05),
        &apart,
    );
}

/// G: which of two closed forms a score follows.
fn properties(cx: &mut Context, results: &Results) {
    for (method, follows_mean) in [
        (Method::BatchRank64, true),
        (Method::Poisson, true),
        (Method::LogMse, false),
    ] {
        let differences = results.values(method, |trained| {
            let [mean, log] = trained.spearman;
            if follows_mean { mean - log } else { log - mean }
        });
        let what = if follows_mean {
            "expected count than with the expected logarithm"
        } else {
            "expected logarithm than with the expected count"
        };
        let measured = match differences.as_slice() {
            // A rank correlation over 131 072 flows is known to 0.003; one training settles it.
            [one] => Estimate::with_interval(*one, (one - 0.006, one + 0.006), FLOWS, ""),
            several => interval(cx, several),
        };
        cx.claim(
            &format!("G.{}", method.id()),
            &format!(
                "Scores trained with {} correlate more with the {what}: difference of Spearman's coefficients",
                method.name()
            ),
        )
        .scale(Scale::Beyond)
        .expect(Expected::AtLeast(0.0))
        .source("which expectation minimises each loss")
        .measured(measured);
    }
}
