//! Q7: by how much one corrupted user moves the estimate, by protocol.

use rand::Rng;
use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Figure, Scale, SeedTree, Series, Table,
    Value,
};
use septet_core::stats;
use septet_robust_stats::aggregate::{Aggregate, FrequencyOracle};
use septet_robust_stats::attack::{
    Adversary, MaximalGain, RowTakeover, SignAlign, attack, half_ones,
};
use septet_robust_stats::decode::{Decoder, Projection};
use septet_robust_stats::design::DesignMatrix;
use septet_robust_stats::mechanism::{
    BitVector, HadamardResponse, HashedCell, LocalHashing, Mechanism, RandomizedResponse,
    UnaryEncoding, client_generator_from_seed,
};
use septet_robust_stats::simulate::sample_counts;
use septet_robust_stats::theory::coupling::response_contraction;
use septet_robust_stats::{Epsilon, Gamma, Pmf};
use serde::Serialize;

use super::population::{decode, design_matrix, distance};
use super::theory::amplification as formula;
use super::{band, seeds};

/// Where the formulas are.
const DERIVED_HERE: &str =
    "derived anew from the paper's model: robust-stats/reproduce/src/theory/amplification.rs";

/// What is attacked, and how.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
enum Protocol {
    GeneralizedResponse,
    UnaryEncoding,
    HadamardResponse,
    LocalHashing,
    /// Half sets that the server assigns, linear decoder, an adversary who sees nothing.
    HalfSetBlind,
    /// An adversary who chooses which clients to corrupt.
    HalfSetBestUsers,
    /// An adversary who sees the messages and replaces those that oppose it.
    HalfSetReplacing,
    /// Public Hadamard rows, corrupted users who take over one row, min-L1 decoder.
    HadamardRow,
}

impl Protocol {
    const ALL: [Self; 8] = [
        Self::GeneralizedResponse,
        Self::UnaryEncoding,
        Self::HadamardResponse,
        Self::LocalHashing,
        Self::HalfSetBlind,
        Self::HalfSetBestUsers,
        Self::HalfSetReplacing,
        Self::HadamardRow,
    ];

    fn id(self) -> &'static str {
        match self {
            Self::GeneralizedResponse => "randomized-response",
            Self::UnaryEncoding => "unary",
            Self::HadamardResponse => "hadamard",
            Self::LocalHashing => "local-hashing",
            Self::HalfSetBlind => "half-set.blind",
            Self::HalfSetBestUsers => "half-set.best-users",
            Self::HalfSetReplacing => "half-set.replacing",
            Self::HadamardRow => "hadamard-row",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::GeneralizedResponse => "Randomized response, same message",
            Self::UnaryEncoding => "Unary encoding, half ones",
            Self::HadamardResponse => "Hadamard response, same column",
            Self::LocalHashing => "Local hashing, same seed and cell",
            Self::HalfSetBlind => "Assigned half sets, blind adversary",
            Self::HalfSetBestUsers => "Assigned half sets, best users",
            Self::HalfSetReplacing => "Assigned half sets, replacing adversary",
            Self::HadamardRow => "Public Hadamard rows, one taken over",
        }
    }

    /// What the formula approaches with many symbols, in units of gamma.
    fn limit(self) -> &'static str {
        match self {
            Self::GeneralizedResponse => "k / (e^epsilon - 1)",
            Self::UnaryEncoding | Self::HadamardResponse => "c k / 2",
            Self::LocalHashing => "a multiple of k",
            Self::HalfSetBlind => "c sqrt(k / (2 pi))",
            Self::HalfSetBestUsers | Self::HalfSetReplacing => "a multiple of c sqrt(k)",
            Self::HadamardRow => "k",
        }
    }

    /// The number of symbols: Hadamard response has none for the first column.
    fn domain(self, size: usize) -> usize {
        match self {
            Self::HadamardResponse => size - 1,
            _ => size,
        }
    }
}

/// Numbers of symbols, each with its runs: a run of few symbols has few corrupted users.
const SIZES: [(usize, u64); 5] = [(16, 48), (32, 24), (64, 12), (128, 6), (256, 4)];
const EPSILON: f64 = 1.0;
/// Of half sets; the formulas of strong adversaries depend on it.
const GAMMA: f64 = 0.1;
/// Below one row's share of the users for every size.
const ROW_GAMMA: f64 = 0.0015;

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.selects("Q7") {
        return Ok(());
    }
    // One grid per size, because small domains take more runs.
    let mut shifts = Vec::new();
    for (size, runs) in SIZES {
        let runs = seeds(cx, runs);
        let of_size = cx
            .grid(&format!("amplification, {size} symbols"), Protocol::ALL)
            .seeds(runs)
            .run(|&protocol, cell| amplification(protocol, protocol.domain(size), cell.seed()))?;
        shifts.push((size, of_size));
    }
    // The shifts by size, as a figure and as a table with their exponents.
    let mut figure = Figure::new(
        "amplification",
        "Shift of the estimate by one corrupted user, over gamma, before any projection (epsilon = 1)",
        "symbols",
        "total variation / gamma",
    )
    .alt(
        "Shifts of protocols with private coins grow as the number of symbols, those of assigned \
         half sets as its square root.",
    )
    .log_x()
    .log_y();
    let columns = std::iter::once(Column::text("Protocol and attack"))
        .chain(SIZES.map(|(size, _)| Column::number(format!("k = {size}"), 2)))
        .chain([
            Column::number("exponent", 3),
            Column::number("by formula", 3),
        ]);
    let mut table = Table::new("Shift of the estimate over gamma, by protocol", columns).note(
        "Hadamard response has one symbol less. Exponents are those over these sizes; for many \
         symbols they approach 1, and 1/2 for assigned half sets.",
    );
    for protocol in Protocol::ALL {
        let mut series = Series::new(protocol.name());
        let (mut measured, mut by_formula) = (Vec::new(), Vec::new());
        for (size, shifts) in &shifts {
            let symbols = protocol.domain(*size);
            // Both points use the number of symbols that the protocol really has.
            let shift = shifts.over_seeds(&protocol, "runs", "", |&shift| shift)?;
            series = series.point_with_band(symbols as f64, shift.value, band(&shift));
            measured.push((symbols as f64, shift.value));
            by_formula.push((symbols as f64, theory(protocol, symbols)?));
        }
        figure = figure.series(series);
        // The formula is fitted over the same sizes: its exponent is not yet the limit there.
        let exponent = |points: &[(f64, f64)]| {
            stats::log_log_slope(points, 0.95).map_or(f64::NAN, |slope| slope.exponent)
        };
        table.push(
            std::iter::once(Value::from(protocol.name()))
                .chain(measured.iter().map(|&(_, shift)| Value::from(shift)))
                .chain([
                    Value::from(exponent(&measured)),
                    Value::from(exponent(&by_formula)),
                ]),
        );
        // The claim compares at each size, so a constant factor cannot hide behind a good slope.
        let ratios: Vec<f64> = measured
            .iter()
            .zip(&by_formula)
            .map(|((_, measured), (_, formula))| measured / formula)
            .collect();
        cx.claim(
            &format!("Q7.{}", protocol.id()),
            &format!(
                "{}: with 16 to 256 symbols one corrupted user moves the estimate as the formula says, which \
                 approaches {}: measured over formula",
                protocol.name(),
                protocol.limit()
            ),
        )
        .scale(Scale::Scaled)
        .expect(Expected::near(1.0, 0.04))
        .source(DERIVED_HERE)
        .theory(1.0)
        .measured(Estimate::range(&ratios, "domain sizes, means of runs", ""));
    }
    cx.table(table);
    cx.figure(figure);
    Ok(())
}

/// The formula of a protocol, over gamma.
fn theory(protocol: Protocol, symbols: usize) -> Result<f64, ExperimentError> {
    let epsilon = Epsilon::new(EPSILON)?;
    let contraction = response_contraction(epsilon, 2);
    Ok(match protocol {
        Protocol::GeneralizedResponse => formula::generalized_response(symbols, epsilon),
        Protocol::UnaryEncoding => formula::unary_encoding_half(symbols, epsilon),
        Protocol::HadamardResponse => formula::hadamard_same_message(symbols, epsilon),
        Protocol::LocalHashing => {
            let cells = LocalHashing::new(symbols, epsilon)?.cells();
            formula::client_chosen_hash(symbols, symbols / cells, cells, epsilon)
        }
        Protocol::HalfSetBlind => formula::half_set_oblivious(symbols, contraction)?,
        Protocol::HalfSetBestUsers => formula::half_set_best_users(symbols, contraction, GAMMA)?,
        Protocol::HalfSetReplacing => formula::half_set_replacing(symbols, contraction, GAMMA)?,
        // A row has one of k parts of the clients. The law of the messages becomes that of a
        // distribution along the row, so that no decoder can undo it.
        Protocol::HadamardRow => symbols as f64,
    })
}

/// The shift of the estimate over gamma.
fn amplification(
    protocol: Protocol,
    symbols: usize,
    seed: &SeedTree,
) -> Result<f64, ExperimentError> {
    let epsilon = Epsilon::new(EPSILON)?;
    match protocol {
        Protocol::GeneralizedResponse => {
            // The symbol does not matter: the clients are uniform.
            let mechanism = RandomizedResponse::new(symbols, epsilon)?;
            replaced(&mechanism, &0, symbols, seed)
        }
        Protocol::UnaryEncoding => {
            // Half of the bits set moves every mass, one half up and the other down.
            let mut message = BitVector::zeros(symbols);
            for (bit, value) in half_ones(symbols).into_iter().enumerate() {
                message.set(bit, value);
            }
            let mechanism = UnaryEncoding::optimized(symbols, epsilon)?;
            replaced(&mechanism, &message, symbols, seed)
        }
        Protocol::HadamardResponse => {
            let mechanism = HadamardResponse::one_block(symbols, epsilon)?;
            replaced(&mechanism, &1, symbols, seed)
        }
        Protocol::LocalHashing => {
            let mechanism = LocalHashing::new(symbols, epsilon)?;
            // A separate generator, so that the search for a seed leaves the clients as they are.
            let mut rng = seed.child("seeds").rng();
            let message = typical_cell(&mechanism, symbols, &mut rng);
            replaced(&mechanism, &message, symbols, seed)
        }
        Protocol::HadamardRow => hadamard_row(symbols, seed),
        _ => half_set(protocol, symbols, seed),
    }
}

/// The first seed and cell that hold as many symbols as a typical one: `k / g`. A search for more gains
/// most in small domains, and would hide how the shift grows.
fn typical_cell(mechanism: &LocalHashing, symbols: usize, rng: &mut impl Rng) -> HashedCell {
    let typical = symbols / mechanism.cells();
    loop {
        let seed = rng.random();
        let mut sizes = vec![0; mechanism.cells()];
        for symbol in 0..symbols as u32 {
            sizes[mechanism.cell(seed, symbol) as usize] += 1;
        }
        let cell = (0..).zip(&sizes).find(|(_, size)| **size == typical);
        if let Some((cell, _)) = cell {
            return HashedCell { seed, cell };
        }
    }
}

/// The shift when a fixed message takes the place of the honest ones of uniform clients. Of all the
/// others the estimate has the same share before and after, so only victims are drawn.
fn replaced<M, R>(
    mechanism: &M,
    message: &R,
    symbols: usize,
    seed: &SeedTree,
) -> Result<f64, ExperimentError>
where
    M: FrequencyOracle<Report = R> + Mechanism<Report = R>,
{
    let victims = 200 * symbols;
    let mut rng = client_generator_from_seed(seed.child("clients").rng().random());
    let mut honest = Aggregate::new(mechanism.clone());
    let mut fake = Aggregate::new(mechanism.clone());
    for client in 0..victims {
        let report = Mechanism::encode(mechanism, client % symbols, &mut rng)?;
        let counted = honest.push(&report).and_then(|()| fake.push(message));
        counted.map_err(|reject| ExperimentError::new(format!("{reject:?}")))?;
    }
    let before = honest.estimates();
    let after = fake.estimates();
    let pairs = before.iter().zip(&after);
    Ok(pairs.map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0)
}

/// Every client has a random half set of its own.
fn half_set(protocol: Protocol, symbols: usize, seed: &SeedTree) -> Result<f64, ExperimentError> {
    // 20 corrupted users for each symbol: with a few the noise of their messages would move it as well.
    let users = symbols * 200;
    let matrix = design_matrix(symbols, 2, Some(users), Some(EPSILON), seed)?;
    let truth = Pmf::uniform(symbols)?;
    let mut rng = seed.rng();
    let counts = sample_counts(&matrix, &truth, users as u64, &mut rng)?;
    let aligned = |best_groups, rng: &mut dyn rand::RngCore| MaximalGain {
        targets: rand::seq::index::sample(rng, symbols, symbols / 2).into_vec(),
        best_groups,
    };
    let mut adversary = match protocol {
        Protocol::HalfSetBlind => Adversary::Oblivious(Box::new(aligned(false, &mut rng))),
        Protocol::HalfSetBestUsers => Adversary::Oblivious(Box::new(aligned(true, &mut rng))),
        _ => Adversary::Adaptive(Box::new(SignAlign {
            rounds: 1,
            restarts: 1,
        })),
    };
    let gamma = Gamma::new(GAMMA)?;
    let attacked = attack(&matrix, &counts, &mut adversary, gamma, &mut rng)?;
    let linear = Decoder::Linear(Projection::None);
    let before = decode(linear, &matrix, &counts, gamma)?.masses;
    let after = decode(linear, &matrix, &attacked.counts, gamma)?.masses;
    let shift: f64 = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).sum();
    Ok(shift / 2.0 / (attacked.budget as f64 / users as f64))
}

/// The rows of a Hadamard matrix in place of random half sets.
fn hadamard_row(symbols: usize, seed: &SeedTree) -> Result<f64, ExperimentError> {
    // The first row is constant and says nothing.
    let rows = symbols;
    let matrix = DesignMatrix::new(symbols, 2, rows, |row, symbol| {
        (row & symbol).count_ones() as usize % 2
    })?;
    let truth = Pmf::uniform(symbols)?;
    let mut rng = seed.rng();
    let counts = sample_counts(&matrix, &truth, rows as u64 * 40_000_000, &mut rng)?;
    let gamma = Gamma::new(ROW_GAMMA)?;
    let mut adversary = Adversary::Adaptive(Box::new(RowTakeover { group: 1, cell: 0 }));
    let attacked = attack(&matrix, &counts, &mut adversary, gamma, &mut rng)?;
    let robust = decode(Decoder::default(), &matrix, &attacked.counts, gamma)?;
    Ok(distance(&robust.masses, &truth) / ROW_GAMMA)
}
