//! C: the proof of what designs keep of distances, and the bound on manipulation that rests on it.

use rand::Rng;
use septet_core::experiment::{
    Cell, Column, Context, Estimate, Expected, ExperimentError, Profile, Scale, Table, Value,
};
use septet_core::stats;
use septet_robust_stats::aggregate::CountMatrix;
use septet_robust_stats::attack::{
    Adversary, Erasure, MajorityShift, MaxCoupling, MaximalGain, PlantedShift, RandomReport,
    SameMessage, SignAlign, WrongGroup, attack, inject,
};
use septet_robust_stats::decode::{Decoder, Estimate as Decoded};
use septet_robust_stats::design::{DesignMatrix, DesignParameters, HashDesign};
use septet_robust_stats::simulate::sample_counts;
use septet_robust_stats::{Gamma, Pmf};
use serde::{Deserialize, Serialize};

use super::population::decode;
use super::{DERIVED, seeds};

/// Symbols and cells of the designs, with the default number of groups.
const SHAPES: [(usize, usize); 30] = [
    (4, 2),
    (5, 2),
    (6, 2),
    (6, 3),
    (8, 2),
    (8, 4),
    (12, 2),
    (12, 4),
    (12, 8),
    (14, 2),
    (16, 2),
    (16, 4),
    (16, 8),
    (20, 2),
    (20, 4),
    (20, 16),
    (24, 2),
    (24, 4),
    (24, 8),
    (32, 2),
    (32, 4),
    (32, 16),
    (48, 2),
    (48, 4),
    (48, 8),
    (64, 4),
    (64, 16),
    (96, 8),
    (128, 2),
    (128, 16),
];

/// Attacked estimates: symbols, cells and clients.
const SETTINGS: [(usize, usize, u64); 7] = [
    (12, 4, 5_000),
    (20, 2, 20_000),
    (20, 2, 400_000),
    (20, 4, 3_000),
    (16, 8, 100_000),
    (8, 2, 2_000),
    (64, 16, 2_000),
];

/// Numbers of manipulated reports.
const MANIPULATED: [u64; 5] = [1, 2, 5, 20, 200];

const ADVERSARIES: u64 = 12;

/// The design that is drawn for a cell, with its certificate.
fn drawn(symbols: usize, cells: usize, cell: &Cell) -> Result<DesignMatrix, ExperimentError> {
    let bytes: [u8; 32] = cell.seed().child("design").rng().random();
    let drawn = DesignParameters::new(symbols, cells, bytes)?.drawn()?;
    let matrix = DesignMatrix::from_design(&HashDesign::new(drawn.parameters)?)?;
    Ok(match drawn.certificate {
        Some(certificate) => matrix.with_certificate(certificate),
        None => matrix,
    })
}

/// What is known of a drawn design.
#[derive(Serialize, Deserialize)]
struct Kept {
    identifies: bool,
    proved: f64,
    found: f64,
}

/// Movements of estimates relative to their bounds.
#[derive(Serialize, Deserialize)]
struct Movements {
    runs: u64,
    /// The largest movement over its bound.
    nearest: f64,
}

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.selects("C") {
        return Ok(());
    }
    designs(cx)?;
    movements(cx)
}

fn designs(cx: &mut Context) -> Result<(), ExperimentError> {
    let quick = cx.profile() == Profile::Quick;
    let mut table = Table::new(
        "The fraction of distances that drawn designs keep: proved, and along the weakest direction \
         found",
        [
            Column::integer("k"),
            Column::integer("L"),
            Column::integer("designs"),
            Column::number("proved, mean", 4),
            Column::number("found, mean", 4),
            Column::number("smallest ratio", 3),
        ],
    );
    // By the number of symbols: up to 32, 48, and above.
    let (mut small, mut middle, mut large) = (Vec::new(), Vec::new(), Vec::new());
    let (mut lacking, mut order) = (0.0, Vec::new());
    for (symbols, cells) in SHAPES {
        // Few designs do not show how rare the bad ones are.
        if quick && symbols == 48 {
            continue;
        }
        let designs = match (quick, symbols > 48) {
            (true, true) => 2,
            (true, false) => 6,
            (false, true) => 60,
            (false, false) => 300,
        };
        let grid = cx
            .grid(
                &format!("designs of {symbols} symbols in {cells} cells"),
                [(symbols, cells)],
            )
            .seeds(designs)
            .run(|&(symbols, cells), cell| {
                let audit = drawn(symbols, cells, cell)?.audit();
                Ok(Kept {
                    identifies: audit.rank == Some(symbols),
                    proved: audit
                        .certificate
                        .map_or(0.0, |certificate| certificate.kept),
                    found: audit.weakest.map_or(1.0, |weakest| weakest.ratio),
                })
            })?;
        let kept = grid.by_seed(&(symbols, cells))?;
        lacking += kept.iter().filter(|kept| !kept.identifies).count() as f64;
        let ratios: Vec<f64> = kept.iter().map(|kept| kept.proved / kept.found).collect();
        let mean =
            |value: fn(&Kept) -> f64| stats::mean(&kept.iter().map(value).collect::<Vec<_>>());
        table.push([
            Value::from(symbols as u64),
            Value::from(cells as u64),
            Value::from(designs),
            Value::from(mean(|kept| kept.proved)),
            Value::from(mean(|kept| kept.found)),
            Value::from(ratios.iter().copied().fold(1.0, f64::min)),
        ]);
        order.extend(&ratios);
        match symbols {
            ..=32 => &mut small,
            33..=48 => &mut middle,
            _ => &mut large,
        }
        .extend(ratios);
    }
    cx.table(table);
    cx.claim(
        "C.rank",
        "Drawn designs that do not identify every distribution",
    )
    .scale(Scale::Beyond)
    .expect(Expected::AtMost(0.0))
    .source(DERIVED)
    .measured(Estimate::exact(lacking, "designs"));
    cx.claim(
        "C.order",
        "What is proved to be kept is at most what the weakest direction found keeps: proved over found",
    )
    .scale(Scale::Beyond)
    .expect(Expected::AtMost(1.0 + 1e-9))
    .source("the proof")
    .measured(Estimate::range(&order, "designs", ""));
    for (id, text, least, ratios) in [
        ("C.ratio-32", "up to 32 symbols", 0.5, small),
        ("C.ratio-48", "for 48 symbols", 0.5, middle),
        ("C.ratio-128", "for 64 to 128 symbols", 0.3, large),
    ] {
        if ratios.is_empty() {
            continue;
        }
        cx.claim(
            id,
            &format!("The proof is near the truth {text}: proved over found"),
        )
        .scale(Scale::Beyond)
        .expect(Expected::AtLeast(least))
        .source("the requirement on this implementation")
        .measured(Estimate::range(&ratios, "designs", ""));
    }
    Ok(())
}

fn movements(cx: &mut Context) -> Result<(), ExperimentError> {
    let runs = seeds(cx, 5);
    let grid = cx
        .grid("movements of estimates", SETTINGS)
        .seeds(runs)
        .version(2)
        .run(|&(symbols, cells, clients), cell| {
            let matrix = drawn(symbols, cells, cell)?;
            let mut rng = cell.seed().child("clients").rng();
            let truth = Pmf::zipf(symbols, 1.0)?;
            let counts = sample_counts(&matrix, &truth, clients, &mut rng)?;
            let min_l1 = |counts: &CountMatrix, gamma| -> Result<Decoded, ExperimentError> {
                decode(Decoder::default(), &matrix, counts, Gamma::new(gamma)?)
            };
            let honest = min_l1(&counts, 0.0)?.masses;
            let mut movements = Movements {
                runs: 0,
                nearest: 0.0,
            };
            for manipulated in MANIPULATED {
                for which in 0..ADVERSARIES {
                    let mut rng = cell.seed().index(manipulated).index(which).rng();
                    let gamma = manipulated as f64 / clients as f64;
                    let after = attacked(which, &matrix, &counts, &truth, gamma, &mut rng)?;
                    // A fraction of all clients, of whom some were injected, or are not received.
                    let share = manipulated as f64 / after.reports().max(clients) as f64;
                    let estimate = min_l1(&after, share * (1.0 + 1e-9))?;
                    // Without convergence there is no bound.
                    let Some(bound) = estimate.manipulation_bound else {
                        continue;
                    };
                    let pairs = honest.iter().zip(&estimate.masses);
                    let moved = pairs.map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0;
                    movements.runs += 1;
                    movements.nearest = movements.nearest.max(moved / bound.total());
                }
            }
            Ok(movements)
        })?;
    let all: Vec<f64> = grid.iter().flatten().map(|cell| cell.nearest).collect();
    let runs: u64 = grid.iter().flatten().map(|cell| cell.runs).sum();
    cx.claim(
        "C.movement",
        &format!(
            "One to 200 manipulated reports, by {ADVERSARIES} adversaries, move an estimate by at most \
             its bound: movement over bound in {runs} runs"
        ),
    )
    .scale(Scale::Beyond)
    .expect(Expected::AtMost(1.0))
    .source("the proof")
    .measured(Estimate::range(&all, "designs", ""));
    Ok(())
}

/// The counts after an attack by one of the adversaries.
fn attacked(
    which: u64,
    matrix: &DesignMatrix,
    counts: &CountMatrix,
    truth: &Pmf,
    gamma: f64,
    rng: &mut (impl Rng + Clone),
) -> Result<CountMatrix, ExperimentError> {
    let budget = Gamma::new(gamma * (1.0 + 1e-9))?;
    let maximal = MaximalGain {
        targets: vec![0, 1],
        best_groups: true,
    };
    let align = SignAlign {
        rounds: 6,
        restarts: 1,
    };
    let mut adversary = match which {
        0 => Adversary::Oblivious(Box::new(SameMessage { symbol: 1 })),
        1 => Adversary::Oblivious(Box::new(RandomReport)),
        2 => Adversary::Oblivious(Box::new(align)),
        3 => Adversary::Adaptive(Box::new(align)),
        4 => Adversary::Oblivious(Box::new(maximal)),
        5 | 6 => {
            let reach = if which == 5 { 1.0 } else { 1.8 } * gamma;
            let shift = PlantedShift::search(matrix, truth, reach, 20, rng)?;
            Adversary::Adaptive(Box::new(MaxCoupling {
                truth: truth.clone(),
                target: shift.target,
            }))
        }
        9 => Adversary::Adaptive(Box::new(Erasure { symbol: 0 })),
        10 => Adversary::Adaptive(Box::new(WrongGroup { symbol: 1 })),
        11 => Adversary::Adaptive(Box::new(MajorityShift {
            restarts: 2,
            shifts: 1,
            rounds: 6,
            refinements: 1,
        })),
        7 => {
            let mut injector = maximal;
            return Ok(inject(matrix, counts, &mut injector, budget, rng)?.counts);
        }
        _ => {
            // Fakes that encode random symbols honestly.
            let mut after = counts.clone();
            for _ in 0..budget.budget(counts.reports()) {
                let group = rng.random_range(0..matrix.groups());
                let symbol = rng.random_range(0..matrix.symbols());
                let cell = matrix.rows_of(symbol)[group] as usize % matrix.cells();
                after.group_mut(group)[cell] += 1;
            }
            return Ok(after);
        }
    };
    Ok(attack(matrix, counts, &mut adversary, budget, rng)?.counts)
}
