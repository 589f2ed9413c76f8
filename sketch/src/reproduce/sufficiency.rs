//! Q2: coverage tells the error. Among oracles of different quality, the error is a power of the mass
//! that they leave to the sketch.

use std::collections::BTreeMap;

use rand_distr::{Distribution, StandardNormal};
use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Figure, Scale, SeedTree, Series, Table,
};
use septet_core::stats;
use serde::{Deserialize, Serialize};

use crate::metrics;
use crate::simulate;
use crate::stream::{FlowScore, FlowWindow, HeteroFlows};
use crate::theory::{CoverageCurve, aafe};

const FLOWS: usize = 131_072;
const WORLDS: u64 = 5;
const SHARES: [f64; 2] = [0.02, 0.12];
const WIDTHS: [usize; 3] = [1000, 10_000, 30_000];
const DEPTHS: [usize; 3] = [1, 2, 4];

/// The slopes that a depth is to show, and the least share of the variance that the fit explains.
fn bounds(depth: usize) -> (Expected, f64) {
    if depth == 1 {
        (Expected::near(2.0, 0.02), 0.99)
    } else {
        (Expected::Between(1.0, 1.95), 0.96)
    }
}

/// Oracles of different quality, by name.
pub(super) fn oracles(window: &FlowWindow, seed: &SeedTree) -> Vec<(&'static str, Vec<f64>)> {
    let ideal: Vec<f64> = window
        .counts()
        .iter()
        .map(|&count| (count as f64).ln())
        .collect();
    let noisy = |name: &str, scores: &[f64], deviation: f64| -> Vec<f64> {
        let mut rng = seed.child(name).rng();
        let noise = StandardNormal.sample_iter(&mut rng);
        let pairs = scores.iter().zip(noise);
        pairs
            .map(|(score, noise): (_, f64)| score + deviation * noise)
            .collect()
    };
    let mean = window.scores(FlowScore::Mean);
    vec![
        ("random", noisy("random", &vec![0.0; ideal.len()], 1.0)),
        ("mean of logs", window.scores(FlowScore::MeanLog)),
        ("size-biased", window.scores(FlowScore::SizeBiased)),
        ("mean, noise 2", noisy("mean 2", &mean, 2.0)),
        ("mean, noise 1", noisy("mean 1", &mean, 1.0)),
        ("mean", mean),
        ("counts, noise 4", noisy("ideal 4", &ideal, 4.0)),
        ("counts, noise 2", noisy("ideal 2", &ideal, 2.0)),
        ("counts, noise 1", noisy("ideal 1", &ideal, 1.0)),
        ("counts", ideal),
    ]
}

#[derive(Clone, Copy, Debug, Serialize)]
struct World {
    world: u64,
    share: f64,
}

/// What a setting is called, and the exponent and the share of variance of each world.
type Setting = (String, Vec<f64>, Vec<f64>);

/// A point of the regression.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Point {
    oracle: String,
    depth: usize,
    width: usize,
    left: f64,
    error: f64,
}

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.wants("Q2") {
        return Ok(());
    }
    let root = cx.seed().child("sufficiency");
    let worlds: Vec<World> = (0..WORLDS)
        .flat_map(|world| SHARES.map(|share| World { world, share }))
        .collect();
    let points: Vec<Vec<Point>> = cx.cells("error by coverage", &worlds, |job, _| {
        let seed = root.index(job.world);
        let window = HeteroFlows::new(&seed).window(0, FLOWS);
        let mut points = Vec::new();
        for (oracle, scores) in oracles(&window, &seed) {
            let curve = CoverageCurve::ranked(window.counts(), &scores);
            let slots = (job.share * FLOWS as f64) as usize;
            let residual = curve.residual(slots);
            for depth in DEPTHS {
                for width in WIDTHS {
                    points.push(Point {
                        oracle: oracle.to_owned(),
                        depth,
                        width,
                        left: 1.0 - curve.coverage(slots),
                        error: aafe(&residual, curve.total(), depth, width)?,
                    });
                }
            }
        }
        Ok(points)
    })?;
    slopes(cx, &worlds, &points);
    figure(cx, &worlds, &points);
    closed_forms(cx, root)?;
    spot_checks(cx, root)
}

/// The exponent and the share of the variance that it explains.
fn fit(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let slope = stats::log_log_slope(points, 0.95)?;
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let mean =
        |value: fn(&(f64, f64)) -> f64| logs.iter().map(value).sum::<f64>() / logs.len() as f64;
    let (x, y) = (mean(|log| log.0), mean(|log| log.1));
    let sum = |term: &dyn Fn(&(f64, f64)) -> f64| logs.iter().map(term).sum::<f64>();
    let covariance = sum(&|log| (log.0 - x) * (log.1 - y));
    let spread = sum(&|log| (log.0 - x).powi(2)) * sum(&|log| (log.1 - y).powi(2));
    Some((slope.exponent, covariance * covariance / spread))
}

fn slopes(cx: &mut Context, worlds: &[World], points: &[Vec<Point>]) {
    let mut table = Table::new(
        "Error as a power of the mass left to the sketch, over ten oracles on generated flows",
        [
            Column::number("Explicit keys, %", 0),
            Column::integer("Rows"),
            Column::integer("Width"),
            Column::number("Exponent", 3),
            Column::number("R², least", 4),
        ],
    )
    .note("Means over five worlds. The errors are predicted, not simulated: those of one row are heavy-tailed.");
    // By depth: the settings, each with its exponents and shares of variance over worlds.
    let mut by_depth: BTreeMap<usize, Vec<Setting>> = BTreeMap::new();
    for share in SHARES {
        for depth in DEPTHS {
            for width in WIDTHS {
                let fits: Vec<(f64, f64)> = worlds
                    .iter()
                    .zip(points)
                    .filter(|(world, _)| world.share == share)
                    .filter_map(|(_, points)| {
                        let of_setting = points
                            .iter()
                            .filter(|point| point.depth == depth && point.width == width);
                        let pairs: Vec<(f64, f64)> =
                            of_setting.map(|point| (point.left, point.error)).collect();
                        fit(&pairs)
                    })
                    .collect();
                let (exponents, explained): (Vec<f64>, Vec<f64>) = fits.into_iter().unzip();
                let least = explained.iter().copied().fold(f64::INFINITY, f64::min);
                table.push([
                    (100.0 * share).into(),
                    depth.into(),
                    width.into(),
                    stats::mean(&exponents).into(),
                    least.into(),
                ]);
                let place = format!("{} % explicit, width {width}", 100.0 * share);
                let settings = by_depth.entry(depth).or_default();
                settings.push((place, exponents, explained));
            }
        }
    }
    cx.table(table);
    for (depth, settings) in by_depth {
        let (expected, explained_at_least) = bounds(depth);
        // The setting that comes nearest to breaking the bound stands for all.
        let margin = |exponents: &[f64]| match expected {
            Expected::Between(low, high) => exponents
                .iter()
                .map(|exponent| (exponent - low).min(high - exponent))
                .fold(f64::INFINITY, f64::min),
            _ => f64::INFINITY,
        };
        let tightest = settings
            .iter()
            .min_by(|a, b| margin(&a.1).total_cmp(&margin(&b.1)));
        let Some((place, exponents, _)) = tightest else {
            continue;
        };
        let rows = format!("{depth} row{}", if depth == 1 { "" } else { "s" });
        let measured = interval(cx, exponents);
        cx.claim(
            &format!("Q2.slope-d{depth}"),
            &format!("With {rows} the error is a power of the mass left to the sketch: exponent; tightest of six settings ({place})"),
        )
        .paper_ref("abstract: coverage is approximately sufficient")
        .scale(Scale::Scaled)
        .expect(expected)
        .source("2 by the formula of one row; between 1 and 1.95 for more")
        .measured(measured);
        let least = |explained: &[f64]| explained.iter().copied().fold(f64::INFINITY, f64::min);
        let Some((place, _, explained)) = settings
            .iter()
            .min_by(|a, b| least(&a.2).total_cmp(&least(&b.2)))
        else {
            continue;
        };
        let measured = interval(cx, explained);
        cx.claim(
            &format!("Q2.fit-d{depth}"),
            &format!("With {rows} coverage explains the error: R² of the fit; worst of six settings ({place})"),
        )
        .paper_ref("abstract: coverage is approximately sufficient")
        .scale(Scale::Scaled)
        .expect(Expected::AtLeast(explained_at_least))
        .source("an independent prototype: 0.971 and more")
        .measured(measured);
    }
}

fn interval(cx: &Context, values: &[f64]) -> Estimate {
    Estimate::of_samples(
        values,
        "",
        &mut cx.seed().child("sufficiency interval").rng(),
    )
}

fn figure(cx: &mut Context, worlds: &[World], points: &[Vec<Point>]) {
    let mut figure = Figure::new(
        "sufficiency",
        "Error by the mass left to the sketch: ten oracles, 12 % explicit keys, width 10 000",
        "share of the stream left to the sketch",
        "average absolute frequency error",
    )
    .log_x()
    .log_y();
    let first = worlds
        .iter()
        .zip(points)
        .find(|(world, _)| world.world == 0 && world.share == SHARES[1]);
    for depth in DEPTHS {
        let mut series: Vec<(f64, f64)> = first
            .iter()
            .flat_map(|(_, points)| points.iter())
            .filter(|point| point.depth == depth && point.width == 10_000)
            .map(|point| (point.left, point.error))
            .collect();
        series.sort_by(|a, b| a.0.total_cmp(&b.0));
        let rows = format!("{depth} row{}", if depth == 1 { "" } else { "s" });
        figure = figure.series(Series::new(rows).points(series));
    }
    cx.figure(figure);
}

/// Coverage of the best scores of each kind at 12 % of the keys, from an independent prototype on
/// worlds of its own, with the room that worlds need.
const CLOSED_FORMS: [(&str, &str, f64, f64); 2] = [
    ("mean", "the expected size", 0.612, 0.06),
    ("mean of logs", "the expected log size", 0.311, 0.06),
];

fn closed_forms(cx: &mut Context, root: SeedTree) -> Result<(), ExperimentError> {
    let worlds: Vec<u64> = (0..WORLDS).collect();
    let found: Vec<Vec<f64>> = cx.cells("closed forms", &worlds, |&world, _| {
        let seed = root.index(world);
        let window = HeteroFlows::new(&seed).window(0, FLOWS);
        let oracles = oracles(&window, &seed);
        let named = |name: &str| {
            oracles
                .iter()
                .find(|oracle| oracle.0 == name)
                .map(|(_, scores)| metrics::coverage_at(window.counts(), scores, &[0.12])[0])
                .ok_or_else(|| ExperimentError::new(format!("no oracle {name}")))
        };
        CLOSED_FORMS.iter().map(|(name, ..)| named(name)).collect()
    })?;
    for (index, (name, what, expected, room)) in CLOSED_FORMS.into_iter().enumerate() {
        let values: Vec<f64> = found.iter().map(|found| found[index]).collect();
        let measured = interval(cx, &values);
        cx.claim(
            &format!("Q2.coverage-{}", name.replace(' ', "-")),
            &format!("The best oracle that ranks generated flows by {what} covers this at 12 % of the keys"),
        )
        .scale(Scale::Scaled)
        .expect(Expected::near(expected, room))
        .source("an independent prototype of the generator")
        .tolerance_because("worlds differ in which networks are busy")
        .measured(measured);
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, Serialize)]
struct SpotCheck {
    oracle: &'static str,
    share: f64,
    depth: usize,
    width: usize,
}

/// Cells of the grid to be simulated as well.
const SPOT_CHECKS: [SpotCheck; 10] = [
    spot("random", 0.02, 2, 1000),
    spot("random", 0.12, 4, 30_000),
    spot("mean of logs", 0.02, 4, 10_000),
    spot("mean of logs", 0.12, 2, 10_000),
    spot("size-biased", 0.12, 4, 1000),
    spot("mean", 0.02, 4, 30_000),
    spot("mean", 0.12, 4, 10_000),
    spot("counts, noise 1", 0.02, 4, 1000),
    spot("counts", 0.02, 2, 10_000),
    spot("counts", 0.12, 2, 1000),
];

const fn spot(oracle: &'static str, share: f64, depth: usize, width: usize) -> SpotCheck {
    SpotCheck {
        oracle,
        share,
        depth,
        width,
    }
}

const SPOT_TRIALS: u64 = 60;

fn spot_checks(cx: &mut Context, root: SeedTree) -> Result<(), ExperimentError> {
    let ratios: Vec<Vec<f64>> = cx.cells("simulated spots", &SPOT_CHECKS, |spot, seed| {
        let world = root.index(0);
        let window = HeteroFlows::new(&world).window(0, FLOWS);
        let oracles = oracles(&window, &world);
        let (_, scores) = oracles
            .iter()
            .find(|oracle| oracle.0 == spot.oracle)
            .ok_or_else(|| ExperimentError::new(format!("no oracle {}", spot.oracle)))?;
        let slots = (spot.share * FLOWS as f64) as usize;
        let curve = CoverageCurve::ranked(window.counts(), scores);
        let predicted = aafe(
            &curve.residual(slots),
            curve.total(),
            spot.depth,
            spot.width,
        )?;
        let order = metrics::ranking(scores);
        let left: Vec<u64> = order[slots..]
            .iter()
            .map(|&key| window.counts()[key as usize])
            .collect();
        (0..SPOT_TRIALS)
            .map(|trial| {
                let mut rng = seed.index(trial).rng();
                let errors = simulate::count_min(&left, spot.depth, spot.width, &mut rng)?;
                Ok(errors.weighted / curve.total() as f64 / predicted)
            })
            .collect()
    })?;
    let off = |ratios: &[f64]| (stats::mean(ratios) - 1.0).abs();
    let worst = SPOT_CHECKS
        .iter()
        .zip(&ratios)
        .max_by(|a, b| off(a.1).total_cmp(&off(b.1)));
    if let Some((spot, ratios)) = worst {
        let measured = interval(cx, ratios);
        cx.claim(
            "Q2.spots",
            &format!(
                "Ten cells of the grid, simulated: simulated over predicted error; worst ({}, {} %, {} rows, width {})",
                spot.oracle, 100.0 * spot.share, spot.depth, spot.width
            ),
        )
        .scale(Scale::Scaled)
        .expect(Expected::near(1.0, 0.05))
        .source("the compound-Poisson theory of this crate")
        .measured(measured);
    }
    Ok(())
}
