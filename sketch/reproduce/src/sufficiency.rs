//! Q2: coverage tells the error. Among oracles of different quality, the error is a power of the mass
//! that they leave to the sketch; and oracles that cover the same, but fail in different ways, are
//! compared.

use std::collections::HashSet;

use rand::Rng;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, StandardNormal};
use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Figure, Grid, Scale, SeedTree, Series,
    Table,
};
use septet_core::stats;
use septet_sketch::stream::{FlowScore, FlowWindow, HeteroFlows};
use septet_sketch::theory::{CoverageCurve, Histogram, aafe, aafe_count_sketch};
use serde::{Deserialize, Serialize};

use crate::block_trace;
use crate::{mean, rows};

const FLOWS: usize = 65_536;
const WORLDS: u64 = 5;
const SHARES: [f64; 2] = [0.02, 0.12];
const WIDTHS: [usize; 3] = [500, 5000, 15_000];
const DEPTHS: [usize; 2] = [2, 4];

/// The least share of the variance that the fit explains.
const EXPLAINED: f64 = 0.96;

/// The largest ratio of errors at equal coverage at which coverage counts as sufficient.
const EQUAL: f64 = 1.25;
const EQUAL_BECAUSE: &str = "the least gain in error that Q3 claims for training; errors that differ \
                             more at equal coverage would drown it";

/// Oracles of different quality, by name.
fn oracles(window: &FlowWindow, seed: &SeedTree) -> Vec<(&'static str, Vec<f64>)> {
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

/// A setting of explicit keys and counters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Setting {
    share: f64,
    depth: usize,
    width: usize,
    flows: usize,
}

fn settings() -> Vec<Setting> {
    let of_share = |share| {
        DEPTHS.into_iter().flat_map(move |depth| {
            WIDTHS.map(|width| Setting {
                share,
                depth,
                width,
                flows: FLOWS,
            })
        })
    };
    SHARES.into_iter().flat_map(of_share).collect()
}

/// What an oracle leaves, and the error.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Point {
    left: f64,
    error: f64,
}

/// In each setting, by oracle.
type Points = Vec<Point>;

pub(crate) fn run(cx: &mut Context, figures: &mut Vec<Figure>) -> Result<(), ExperimentError> {
    if !cx.selects("Q2") {
        return Ok(());
    }
    let root = cx.seed().child("sufficiency");
    if cx.selects("Q2.fit") {
        let settings = settings();
        let points = cx
            .grid("error by coverage", settings.clone())
            .seeds(WORLDS)
            .run(|setting, cell| points_of(setting, &root.index(cell.seed_index())))?;
        fits(cx, &settings, &points)?;
        figures.push(figure(&points)?);
    }
    if cx.selects("Q2.equal") {
        equal_on_flows(cx, root)?;
    }
    if cx.selects("Q2.blocks") {
        equal_on_blocks(cx)?;
    }
    Ok(())
}

fn points_of(setting: &Setting, world: &SeedTree) -> Result<Points, ExperimentError> {
    let window = HeteroFlows::new(world).window(0, setting.flows);
    let points = oracles(&window, world).into_iter().map(|(_, scores)| {
        let curve = CoverageCurve::ranked(window.counts(), &scores);
        let slots = (setting.share * setting.flows as f64) as usize;
        let residual = curve.residual(slots);
        Ok(Point {
            left: 1.0 - curve.coverage(slots),
            error: aafe(&residual, curve.total(), setting.depth, setting.width)?,
        })
    });
    points.collect()
}

/// The exponent and the share of the variance that it explains.
fn fit(points: &[Point]) -> Option<(f64, f64)> {
    let pairs: Vec<(f64, f64)> = points.iter().map(|p| (p.left, p.error)).collect();
    let slope = stats::log_log_slope(&pairs, 0.95)?;
    let logs: Vec<(f64, f64)> = pairs.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let mean =
        |value: fn(&(f64, f64)) -> f64| logs.iter().map(value).sum::<f64>() / logs.len() as f64;
    let (x, y) = (mean(|log| log.0), mean(|log| log.1));
    let sum = |term: &dyn Fn(&(f64, f64)) -> f64| logs.iter().map(term).sum::<f64>();
    let covariance = sum(&|log| (log.0 - x) * (log.1 - y));
    let spread = sum(&|log| (log.0 - x).powi(2)) * sum(&|log| (log.1 - y).powi(2));
    Some((slope.exponent, covariance * covariance / spread))
}

fn fits(
    cx: &mut Context,
    settings: &[Setting],
    points: &Grid<Setting, Points>,
) -> Result<(), ExperimentError> {
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
    .note(format!("Means over {WORLDS} worlds. The errors are predicted by the theory that Q1 tests, not simulated."));
    for depth in DEPTHS {
        // Of each world, the setting in which coverage explains least.
        let mut least = vec![f64::INFINITY; WORLDS as usize];
        for setting in settings.iter().filter(|setting| setting.depth == depth) {
            // A fit for each world: worlds differ in scale, which would pass for spread.
            let fits: Option<Vec<(f64, f64)>> =
                points.by_seed(setting)?.iter().map(|p| fit(p)).collect();
            let fits = fits.ok_or_else(|| ExperimentError::new("a fit through equal points"))?;
            let (exponents, explained): (Vec<f64>, Vec<f64>) = fits.into_iter().unzip();
            for (least, explained) in least.iter_mut().zip(&explained) {
                *least = least.min(*explained);
            }
            table.push([
                (100.0 * setting.share).into(),
                depth.into(),
                setting.width.into(),
                stats::mean(&exponents).into(),
                explained.into_iter().fold(f64::INFINITY, f64::min).into(),
            ]);
        }
        // The worst setting counts, so that no good one makes up for it.
        let measured = mean(cx, &least, "worlds");
        let claim = cx
            .claim(
                &format!("Q2.fit-d{depth}"),
                &format!(
                    "Over ten oracles, coverage explains the error of count-min with {}: R² of the \
                     power law, worst of six settings",
                    rows(depth)
                ),
            )
            .paper_ref("abstract: coverage is approximately sufficient")
            .scale(Scale::Scaled)
            .expect(Expected::AtLeast(EXPLAINED))
            .source("this project's bound, from a first study with 0.971 and more");
        if depth == DEPTHS[0] {
            claim.headline().measured(measured);
        } else {
            claim.measured(measured);
        }
    }
    cx.table(table);
    Ok(())
}

fn figure(points: &Grid<Setting, Points>) -> Result<Figure, ExperimentError> {
    let mut figure = Figure::new(
        "sufficiency",
        "Error by the mass left to the sketch: ten oracles, 12 % explicit keys, width 5000, one world",
        "share of the stream left to the sketch",
        "average absolute frequency error",
    )
    .alt("Rising lines on logarithmic axes: the more an oracle leaves, the larger the error.")
    .log_x()
    .log_y();
    for depth in DEPTHS {
        let setting = Setting {
            share: SHARES[1],
            depth,
            width: WIDTHS[1],
            flows: FLOWS,
        };
        let points = points.get(&setting)?;
        let mut series: Vec<(f64, f64)> = points.iter().map(|p| (p.left, p.error)).collect();
        series.sort_by(|a, b| a.0.total_cmp(&b.0));
        figure = figure.series(Series::new(rows(depth)).points(series));
    }
    Ok(figure)
}

/// The names of the ways to fail, in the order of [`failures`].
const WAYS: [&str; 5] = [
    "reference",
    "noise",
    "forgets keys at random",
    "spends slots on random keys",
    "misses the largest keys",
];

/// Explicit keys, as flags, that cover the same as `reference` with as many keys, chosen in ways that
/// fail differently: the largest keys after noise on their logarithms; the largest of those that are
/// not forgotten; the largest, and random ones; and those that follow the largest.
fn failures(counts: &[u64], reference: Vec<bool>, seed: &SeedTree) -> Vec<Vec<bool>> {
    let slots = reference.iter().filter(|&&is| is).count();
    let target = mass(counts, &reference);
    let mut order: Vec<u32> = (0..counts.len() as u32).collect();
    // Equal counts in an order that says nothing.
    order.shuffle(&mut seed.child("order").rng());
    order.sort_by_key(|&key| std::cmp::Reverse(counts[key as usize]));

    // Drawn once for all strengths, so that a search by halves sees one steady curve.
    let mut rng = seed.child("draws").rng();
    let normal: Vec<f64> = StandardNormal
        .sample_iter(&mut rng)
        .take(counts.len())
        .collect();
    let uniform: Vec<f64> = counts.iter().map(|_| rng.random()).collect();
    let mut random: Vec<u32> = (0..counts.len() as u32).collect();
    random.shuffle(&mut rng);

    let flags = |keys: &mut dyn Iterator<Item = u32>| {
        let mut flags = vec![false; counts.len()];
        for key in keys.take(slots) {
            flags[key as usize] = true;
        }
        flags
    };
    // The strength of a failure, from 0 to 1, at which the coverage is that of the reference.
    let tuned = |explicit: &dyn Fn(f64) -> Vec<bool>| {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..16 {
            let middle = f64::midpoint(low, high);
            if mass(counts, &explicit(middle)) > target {
                low = middle;
            } else {
                high = middle;
            }
        }
        explicit(low)
    };
    let noise = tuned(&|strength| {
        // From none to so much that the counts hardly matter.
        let deviation = 20.0 * strength;
        let mut scored: Vec<(f64, u32)> = (0..counts.len())
            .map(|key| {
                let score = (counts[key] as f64).ln() + deviation * normal[key];
                (score, key as u32)
            })
            .collect();
        if slots < scored.len() {
            scored.select_nth_unstable_by(slots, |a, b| b.0.total_cmp(&a.0));
        }
        flags(&mut scored.into_iter().map(|(_, key)| key))
    });
    let forgets = tuned(&|strength| {
        let known = |key: &u32| uniform[*key as usize] >= strength;
        flags(&mut order.iter().copied().filter(known))
    });
    // Random keys take the place of the smallest that would have a slot.
    let random_slots = tuned(&|strength| {
        let of_largest = ((1.0 - strength) * slots as f64) as usize;
        let largest: HashSet<u32> = order[..of_largest].iter().copied().collect();
        let others = random.iter().copied().filter(|key| !largest.contains(key));
        flags(&mut order[..of_largest].iter().copied().chain(others))
    });
    let no_head = tuned(&|strength| {
        let room = counts.len() - slots;
        // The head is a small part of the keys: a fine scale there.
        let missed = (strength.powi(3) * room as f64) as usize;
        flags(&mut order[missed..].iter().copied())
    });
    vec![reference, noise, forgets, random_slots, no_head]
}

fn mass(counts: &[u64], explicit: &[bool]) -> u64 {
    let pairs = counts.iter().zip(explicit);
    pairs.filter(|(_, is)| **is).map(|(count, _)| count).sum()
}

/// What is counted behind the explicit keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Sketch {
    CountMin { depth: usize },
    CountSketch { depth: usize },
}

impl Sketch {
    const ALL: [Self; 3] = [
        Self::CountMin { depth: 2 },
        Self::CountMin { depth: 4 },
        Self::CountSketch { depth: 3 },
    ];

    fn name(self) -> String {
        match self {
            Self::CountMin { depth } => format!("count-min with {}", rows(depth)),
            Self::CountSketch { depth } => format!("count-sketch with {}", rows(depth)),
        }
    }

    fn id(self) -> String {
        match self {
            Self::CountMin { depth } => format!("d{depth}"),
            Self::CountSketch { .. } => "count-sketch".to_owned(),
        }
    }

    fn error(self, left: &Histogram, total: u64, width: usize) -> Result<f64, ExperimentError> {
        Ok(match self {
            Self::CountMin { depth } => aafe(left, total, depth, width)?,
            Self::CountSketch { depth } => aafe_count_sketch(left, total, depth, width)?,
        })
    }
}

/// Oracles of equal coverage behind a sketch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Equal {
    sketch: Sketch,
    share: f64,
    width: usize,
    keys: usize,
}

/// The errors by [`WAYS`], and the coverage that is common to them.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Errors {
    covered: f64,
    errors: Vec<f64>,
}

impl Errors {
    fn of(
        counts: &[u64],
        explicit: &[Vec<bool>],
        sketch: Sketch,
        width: usize,
    ) -> Result<Self, ExperimentError> {
        let total: u64 = counts.iter().sum();
        let errors = explicit.iter().map(|explicit| {
            let pairs = counts.iter().zip(explicit);
            let left = pairs.filter(|(_, is)| !**is).map(|(&count, _)| count);
            sketch.error(&Histogram::from_counts(left), total, width)
        });
        Ok(Self {
            covered: mass(counts, &explicit[0]) as f64 / total as f64,
            errors: errors.collect::<Result<_, _>>()?,
        })
    }

    fn spread(&self) -> f64 {
        let largest = self.errors.iter().copied().fold(0.0, f64::max);
        let least = self.errors.iter().copied().fold(f64::INFINITY, f64::min);
        largest / least
    }
}

/// The best `slots` keys by score, as flags.
fn best(scores: &[f64], slots: usize) -> Vec<bool> {
    let mut flags = vec![false; scores.len()];
    for &key in septet_sketch::metrics::ranking(scores).iter().take(slots) {
        flags[key as usize] = true;
    }
    flags
}

fn equal_on_flows(cx: &mut Context, root: SeedTree) -> Result<(), ExperimentError> {
    // Two widths ten times apart: one with many collisions, one with fewer.
    let settings: Vec<Equal> = Sketch::ALL
        .into_iter()
        .flat_map(|sketch| {
            [WIDTHS[0], WIDTHS[1]].map(|width| Equal {
                sketch,
                share: SHARES[1],
                width,
                keys: FLOWS,
            })
        })
        .collect();
    let found = cx
        .grid("equal coverage on flows", settings.clone())
        .seeds(WORLDS)
        .run(|setting, cell| {
            // The same world for all sketches and widths.
            let world = root.index(cell.seed_index());
            let window = HeteroFlows::new(&world).window(0, setting.keys);
            let slots = (setting.share * setting.keys as f64) as usize;
            // The reference is a realistic oracle; the others are tuned to its coverage.
            let reference = best(&window.scores(FlowScore::MeanLogCount), slots);
            let explicit = failures(window.counts(), reference, &world.child("failures"));
            Errors::of(window.counts(), &explicit, setting.sketch, setting.width)
        })?;
    let stream = EqualStream {
        id: "equal",
        name: "Generated flows",
        table: "Error of oracles that cover the same as the best ranking by expected logarithm, over the \
                least of them: generated flows, 12 % explicit keys",
        replicates: "worlds",
    };
    judge_equal(cx, &stream, &settings, &found)
}

/// A stream on which oracles of equal coverage are compared.
struct EqualStream {
    /// In the ids of claims, behind `Q2.`.
    id: &'static str,
    name: &'static str,
    /// The title of its table.
    table: &'static str,
    /// What the seeds stand for.
    replicates: &'static str,
}

/// Shows the errors of all settings, and claims of each sketch that they differ little.
fn judge_equal(
    cx: &mut Context,
    stream: &EqualStream,
    settings: &[Equal],
    found: &Grid<Equal, Errors>,
) -> Result<(), ExperimentError> {
    let by_setting: Vec<(Equal, &[Errors])> = settings
        .iter()
        .map(|setting| Ok((*setting, found.by_seed(setting)?)))
        .collect::<Result<_, ExperimentError>>()?;
    let count = by_setting.first().map_or(0, |(_, errors)| errors.len());
    let note = format!("Means over {count} {}.", stream.replicates);
    show_equal(cx, stream.table, &note, &by_setting);
    for sketch in Sketch::ALL {
        // Of each replicate, the width at which the errors differ most.
        let spreads = largest_spreads(&by_setting, sketch);
        let measured = mean(cx, &spreads, stream.replicates);
        equal_claim(
            cx,
            &format!("Q2.{}-{}", stream.id, sketch.id()),
            &format!(
                "{}: five oracles of equal coverage that fail in different ways, largest over least \
                 error of {}",
                stream.name,
                sketch.name()
            ),
            measured,
        );
    }
    Ok(())
}

/// Of each replicate, the largest spread over the widths.
fn largest_spreads(found: &[(Equal, &[Errors])], sketch: Sketch) -> Vec<f64> {
    let mut spreads: Vec<f64> = Vec::new();
    for (_, errors) in found.iter().filter(|(setting, _)| setting.sketch == sketch) {
        spreads.resize(errors.len(), 0.0);
        for (spread, errors) in spreads.iter_mut().zip(*errors) {
            *spread = spread.max(errors.spread());
        }
    }
    spreads
}

fn equal_claim(cx: &mut Context, id: &str, statement: &str, measured: Estimate) {
    let claim = cx
        .claim(id, statement)
        .paper_ref("abstract: coverage is approximately sufficient")
        .scale(Scale::Scaled)
        .expect(Expected::AtMost(EQUAL))
        .tolerance_because(EQUAL_BECAUSE);
    if id == "Q2.equal-d2" {
        claim.headline().measured(measured);
    } else {
        claim.measured(measured);
    }
}

fn show_equal(cx: &mut Context, title: &str, note: &str, found: &[(Equal, &[Errors])]) {
    let mut columns = vec![
        Column::text("Sketch"),
        Column::integer("Width"),
        Column::number("Coverage", 3),
    ];
    columns.extend(WAYS.map(|way| Column::number(way, 2)));
    let mut table = Table::new(title, columns).note(note);
    for (setting, errors) in found {
        let covered: Vec<f64> = errors.iter().map(|errors| errors.covered).collect();
        let mut row = vec![
            setting.sketch.name().into(),
            setting.width.into(),
            stats::mean(&covered).into(),
        ];
        for way in 0..WAYS.len() {
            let over_least = errors.iter().map(|errors| {
                let least = errors.errors.iter().copied().fold(f64::INFINITY, f64::min);
                errors.errors[way] / least
            });
            row.push(stats::mean(&over_least.collect::<Vec<f64>>()).into());
        }
        table.push(row);
    }
    cx.table(table);
}

/// Windows of block requests; each is covered by what the window before it had.
const BLOCK_WINDOWS: usize = 10;

fn equal_on_blocks(cx: &mut Context) -> Result<(), ExperimentError> {
    // Without the trace each claim is skipped under its own id.
    let Some(windows) = block_trace::windows(cx, BLOCK_WINDOWS)? else {
        for sketch in Sketch::ALL {
            cx.skip(
                &format!("Q2.blocks-{}", sketch.id()),
                "Block requests: oracles of equal coverage lead to equal errors",
                "the trace is not here",
                block_trace::HOW_TO_GET,
            );
        }
        return Ok(());
    };
    // As on flows; `keys` holds the number of windows, which decides what the keys are.
    let settings: Vec<Equal> = Sketch::ALL
        .into_iter()
        .flat_map(|sketch| {
            [500, 5000].map(|width| Equal {
                sketch,
                share: 0.12,
                width,
                keys: BLOCK_WINDOWS,
            })
        })
        .collect();
    let found = cx
        .grid("equal coverage on block requests", settings.clone())
        .seeds(BLOCK_WINDOWS as u64 - 1)
        .reads([block_trace::DATA])
        .run(|setting, cell| {
            // A window is a replicate. The first has none before it, so there is one fewer than windows.
            let test = cell.seed_index() as usize + 1;
            let (past, window) = (&windows[test - 1], &windows[test]);
            let slots = (setting.share * window.keys.len() as f64) as usize;
            // The counts of the window before are a natural oracle here: blocks return.
            let reference = best(&past.scores_of(&window.keys), slots);
            let explicit = failures(&window.counts, reference, cell.seed());
            Errors::of(&window.counts, &explicit, setting.sketch, setting.width)
        })?;
    let stream = EqualStream {
        id: "blocks",
        name: "Block requests",
        table: "Error of oracles that cover the same as the counts of the window before, over the least \
                of them: block requests (OLTP), 12 % explicit keys",
        replicates: "windows",
    };
    judge_equal(cx, &stream, &settings, &found)
}
