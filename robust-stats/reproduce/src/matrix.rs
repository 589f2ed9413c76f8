//! M: every attack against every decoder.

use rand::RngCore;
use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Scale, SeedTree, Table, Value,
};
use septet_core::stats;
use septet_robust_stats::aggregate::CountMatrix;
use septet_robust_stats::attack::{
    AdaptivePoisoning, Adversary, Erasure, HillClimb, MaxCoupling, MaximalGain, PlantedShift,
    RandomItem, RandomReport, Replay, SameMessage, SignAlign, WrongGroup, attack, inject,
};
use septet_robust_stats::decode::{Decoder, MinL1Options, Projection};
use septet_robust_stats::design::DesignMatrix;
use septet_robust_stats::distribution::Pmf;
use septet_robust_stats::parameter::Gamma;
use septet_robust_stats::simulate::sample_counts;
use septet_robust_stats::theory::coupling::contraction;
use septet_robust_stats::theory::learning::{error_deviation, expected_error, manipulation_floor};
use serde::{Deserialize, Serialize};

use super::population::{decode, design_matrix, distance};

const SYMBOLS: usize = 64;
const CELLS: usize = 4;
/// Enough that noise is no large part of the errors.
const USERS: u64 = 10_000_000;
/// Small enough that the weakest directions are free of masses below 0.
const GAMMA: f64 = 0.008;

const DESIGNS: u64 = 32;

const ATTACKS: [&str; 15] = [
    "none",
    "random reports",
    "random items",
    "maximal gain",
    "maximal gain, best groups",
    "maximal gain, injected",
    "adaptive poisoning",
    "same symbol",
    "erasure",
    "replay",
    "wrong group",
    "sign alignment",
    "coupling",
    "coupling, some groups",
    "hill climbing",
];

/// Errors by decoder, in the order of [`Decoder::all`].
#[derive(Serialize, Deserialize)]
struct Errors {
    total_variation: Vec<f64>,
    /// The largest error of the mass of an initial segment: of a range query.
    range: Vec<f64>,
    gamma_lower_bound: f64,
    /// How far the attack moves least squares without a projection, over gamma.
    moved: f64,
}

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.selects("M") {
        return Ok(());
    }
    let designs = DESIGNS;
    // Attacks are compared on the same designs and the same honest clients.
    let root = cx.seed().child("attacks and decoders");
    let names = ATTACKS.map(str::to_owned);
    let grid = cx
        .grid("attacks and decoders", names)
        .seeds(designs)
        .version(2)
        .run(|attack, cell| errors(attack, &root.index(cell.seed_index())))?;
    let by_attack: Vec<&[Errors]> = grid.iter().collect();
    // Two tables of the same runs: total variation, and range queries.
    for (title, value) in [
        (
            "Total variation of the estimate, by attack and decoder (64 symbols, Zipf(1/2), 4 cells, \
             10 million users, gamma 0.8 %)",
            (|errors: &Errors| &errors.total_variation) as fn(&Errors) -> &Vec<f64>,
        ),
        (
            "Largest error of a range query (the mass of an initial segment), in the same runs",
            |errors: &Errors| &errors.range,
        ),
    ] {
        let columns = std::iter::once(Column::text("Attack"))
            .chain(Decoder::all().map(|(name, _)| Column::number(name, 3)));
        let mut table = Table::new(title, columns);
        for (attack, errors) in ATTACKS.iter().zip(&by_attack) {
            let means = (0..Decoder::all().len()).map(|decoder| {
                let values: Vec<f64> = errors.iter().map(|e| value(e)[decoder]).collect();
                Value::from(stats::mean(&values))
            });
            table.push(std::iter::once(Value::from(*attack)).chain(means));
        }
        cx.table(table);
    }
    // What theory expects at most: noise, its spread at the 99 % quantile (2.33), and twice the hidden
    // shift, which a search found.
    let gamma = Gamma::new(GAMMA)?;
    let groups = (4 * SYMBOLS).div_ceil(CELLS);
    let shift = manipulation_floor(gamma, SYMBOLS, CELLS, groups, None);
    let noise = expected_error(SYMBOLS, CELLS, groups, None, USERS as f64, 0.0);
    let maximum = noise + 2.33 * error_deviation(SYMBOLS, noise) + 2.0 * shift;
    // The worst attack within each design, so that designs are the replicates; decoder 0 is min-L1.
    let worst: Vec<f64> = (0..designs as usize)
        .map(|design| {
            by_attack
                .iter()
                .map(|errors| errors[design].total_variation[0] / maximum)
                .fold(0.0, f64::max)
        })
        .collect();
    let mut rng = cx.seed().child("attacks and decoders intervals").rng();
    cx.claim(
        "M.worst",
        "The worst of 14 attacks moves min-L1 by no more than twice the shift that theory hides along \
         the weakest direction, with noise, and by nearly half of it or more: mean of designs",
    )
    .scale(Scale::Scaled)
    .expect(Expected::Between(0.45, 1.0))
    .source("maximum: twice the shift along the weakest direction, and noise with its spread")
    .tolerance_because("coupling reaches half of the maximum by construction, less noise")
    .measured(Estimate::mean(&worst, "designs", "of the maximum", &mut rng));
    effects(cx, &by_attack)?;
    // No run may certify more manipulated messages than there are, whatever the attack.
    let accusations = by_attack.iter().copied().flatten();
    let accusations: Vec<f64> = accusations.map(|errors| errors.gamma_lower_bound).collect();
    cx.claim(
        "M.certificate",
        "The certified fraction of manipulated messages does not exceed the true one, 0.8 %, under any attack",
    )
    .scale(Scale::Beyond)
    .expect(Expected::AtMost(GAMMA))
    .source("by its proof in 95 % of runs")
    .measured(Estimate::range(&accusations, "runs", ""));
    Ok(())
}

/// What each attack does to the linear estimate, beside what it must do.
fn effects(cx: &mut Context, by_attack: &[&[Errors]]) -> Result<(), ExperimentError> {
    let mut table = Table::new(
        "Shift of least squares without a projection, over gamma, by attack",
        [
            Column::text("Attack"),
            Column::number("measured", 2),
            Column::number("by the law of its messages", 2),
        ],
    )
    .note("By the law: a lower bound for attacks that choose messages or groups by what they do.");
    // Without the first entry, which is no attack.
    let mut ratios = Vec::new();
    for (attack, errors) in ATTACKS.iter().zip(by_attack).skip(1) {
        let moved: Vec<f64> = errors.iter().map(|errors| errors.moved).collect();
        let (moved, expected) = (stats::mean(&moved), effect(attack)?);
        ratios.push(moved / expected);
        table.push([
            Value::from(*attack),
            Value::from(moved),
            Value::from(expected),
        ]);
    }
    cx.table(table);
    // A lower bound only: its purpose is to find attacks that do nothing.
    cx.claim(
        "M.attacks",
        "Each of the 14 attacks moves least squares by half of what the law of its messages says or \
         more: none is idle",
    )
    .scale(Scale::Beyond)
    .expect(Expected::AtLeast(0.5))
    .source("the laws of the messages, in robust-stats/reproduce/src/matrix.rs")
    .measured(Estimate::range(&ratios, "attacks, means of designs", ""));
    Ok(())
}

/// The shift of the distribution, over gamma, that the messages of an attack amount to.
fn effect(attack: &str) -> Result<f64, ExperimentError> {
    let truth = Pmf::zipf(SYMBOLS, 0.5)?;
    let mass = |symbol: usize| truth.masses()[symbol];
    let of_targets: f64 = truth.masses()[SYMBOLS - 10..].iter().sum();
    // A cell is one of this many: what a message that supports a symbol says of it.
    let other_cells = (CELLS - 1) as f64;
    Ok(match attack {
        "random reports" => truth.total_variation(&Pmf::uniform(SYMBOLS)?)?,
        "random items"
        | "maximal gain"
        | "maximal gain, best groups"
        | "maximal gain, injected" => 1.0 - of_targets,
        "adaptive poisoning" => truth.total_variation(&reversed(&truth)?)?,
        "same symbol" => 1.0 - mass(SYMBOLS - 1),
        // All messages that go support the symbol.
        "erasure" => 1.0 - mass(0),
        // None of the messages that are replaced supports it, and all that come do.
        "replay" => CELLS as f64 / other_cells * (1.0 - mass(SYMBOLS - 1)),
        // None of the messages that go supports it.
        "wrong group" => (1.0 - mass(SYMBOLS - 1)) / other_cells,
        // At least along random signs.
        _ => contraction(SYMBOLS, CELLS),
    })
}

fn reversed(truth: &Pmf) -> Result<Pmf, ExperimentError> {
    let masses: Vec<f64> = truth.masses().iter().rev().copied().collect();
    Ok(Pmf::from_weights(&masses)?)
}

fn errors(name: &str, seed: &SeedTree) -> Result<Errors, ExperimentError> {
    let matrix = design_matrix(SYMBOLS, CELLS, None, None, seed)?;
    let truth = Pmf::zipf(SYMBOLS, 0.5)?;
    let gamma = Gamma::new(GAMMA)?;
    // Separate generators: the honest counts are the same under every attack.
    let counts = sample_counts(&matrix, &truth, USERS, &mut seed.child("honest").rng())?;
    let attacked = attacked(name, &matrix, &truth, &counts, &mut seed.child(name).rng())?;
    let mut errors = Errors {
        total_variation: Vec::new(),
        range: Vec::new(),
        gamma_lower_bound: 0.0,
        moved: 0.0,
    };
    // The shift of the linear estimate, which no projection cuts off.
    let linear = Decoder::LeastSquares(Projection::None);
    let honest = decode(linear, &matrix, &counts, gamma)?.masses;
    let seen = decode(linear, &matrix, &attacked, gamma)?.masses;
    let moved: f64 = honest.iter().zip(&seen).map(|(a, b)| (a - b).abs()).sum();
    errors.moved = moved / 2.0 / GAMMA;
    // Errors of every decoder on the attacked counts.
    for (_, decoder) in Decoder::all() {
        let estimate = decode(decoder, &matrix, &attacked, gamma)?;
        errors
            .total_variation
            .push(distance(&estimate.masses, &truth));
        // Partial sums of the error are errors of initial segments.
        let mut sum: f64 = 0.0;
        let mut largest: f64 = 0.0;
        for (mass, truth) in estimate.masses.iter().zip(truth.masses()) {
            sum += mass - truth;
            largest = largest.max(sum.abs());
        }
        errors.range.push(largest);
        errors.gamma_lower_bound = errors.gamma_lower_bound.max(estimate.gamma_lower_bound);
    }
    Ok(errors)
}

fn attacked(
    name: &str,
    matrix: &DesignMatrix,
    truth: &Pmf,
    counts: &CountMatrix,
    rng: &mut (impl RngCore + Clone),
) -> Result<CountMatrix, ExperimentError> {
    let gamma = Gamma::new(GAMMA)?;
    // Rare symbols, which an attacker would promote.
    let targets: Vec<usize> = (SYMBOLS - 10..SYMBOLS).collect();
    let maximal = |best_groups| MaximalGain {
        targets: targets.clone(),
        best_groups,
    };
    // All but the injector replace messages of clients who are already counted.
    let mut adversary = match name {
        "none" => return Ok(counts.clone()),
        "maximal gain, injected" => {
            let mut injector = maximal(false);
            return Ok(inject(matrix, counts, &mut injector, gamma, rng)?.counts);
        }
        "random reports" => Adversary::Oblivious(Box::new(RandomReport)),
        "random items" => Adversary::Oblivious(Box::new(RandomItem { targets })),
        "maximal gain" => Adversary::Oblivious(Box::new(maximal(false))),
        "maximal gain, best groups" => Adversary::Oblivious(Box::new(maximal(true))),
        "adaptive poisoning" => {
            let law = reversed(truth)?;
            Adversary::Oblivious(Box::new(AdaptivePoisoning::towards(&law)))
        }
        "same symbol" => Adversary::Oblivious(Box::new(SameMessage {
            symbol: SYMBOLS - 1,
        })),
        "erasure" => Adversary::Adaptive(Box::new(Erasure { symbol: 0 })),
        "replay" => Adversary::Adaptive(Box::new(Replay {
            symbol: SYMBOLS - 1,
        })),
        "wrong group" => Adversary::Adaptive(Box::new(WrongGroup {
            symbol: SYMBOLS - 1,
        })),
        "sign alignment" => Adversary::Adaptive(Box::new(SignAlign::default())),
        "coupling" => Adversary::Adaptive(Box::new(coupling(matrix, truth, 0.97, rng)?)),
        // A larger shift than the budget hides, in the groups that the budget reaches.
        "coupling, some groups" => {
            Adversary::Adaptive(Box::new(coupling(matrix, truth, 1.7, rng)?))
        }
        // Climb from the coupling plan, with a coarse decoder that is quick enough for every step.
        _ => {
            let start = coupling(matrix, truth, 0.97, rng)?;
            let truth = truth.clone();
            let quick = Decoder::MinL1(MinL1Options {
                relative_tolerance: 0.01,
                noise_tolerance: 0.05,
                max_iterations: 2_000,
            });
            Adversary::Adaptive(Box::new(HillClimb {
                damage: Box::new(move |counts| {
                    decode(quick, matrix, counts, gamma)
                        .map_or(0.0, |estimate| distance(&estimate.masses, &truth))
                }),
                steps: 60,
                start: Some(Box::new(start)),
            }))
        }
    };
    Ok(attack(matrix, counts, &mut adversary, gamma, rng)?.counts)
}

fn coupling(
    matrix: &DesignMatrix,
    truth: &Pmf,
    reach: f64,
    rng: &mut impl RngCore,
) -> Result<MaxCoupling, ExperimentError> {
    let shift = PlantedShift::search(matrix, truth, reach * GAMMA, 60, rng)?;
    Ok(MaxCoupling {
        truth: truth.clone(),
        target: shift.target,
    })
}
