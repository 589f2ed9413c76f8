//! Q7: by how much one liar moves the estimate, by protocol.

use rand::Rng;
use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Figure, Scale, SeedTree, Series, Table,
    Value,
};
use septet_core::stats;
use serde::Serialize;

use crate::aggregate::{Aggregate, CountMatrix, FrequencyOracle};
use crate::attack::{Adversary, MaximalGain, RowTakeover, SignAlign, attack, half_ones};
use crate::decode::{Decoder, DesignMatrix, Projection};
use crate::mechanism::{
    BitVector, HadamardResponse, HashedCell, LocalHashing, Mechanism, RandomizedResponse,
    UnaryEncoding, client_generator_from_seed,
};
use crate::simulate::sample_counts;
use crate::theory::amplification as formula;
use crate::{Epsilon, Gamma, Pmf};

use super::population::{decode, design_matrix, distance};
use super::{DERIVED, seeds};

/// What is attacked, and how.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
enum Protocol {
    GeneralizedResponse,
    UnaryEncoding,
    HadamardResponse,
    LocalHashing,
    /// Half sets that the server assigns, linear decoder, liars who see nothing.
    HalfSetBlind,
    /// Liars who choose which clients they are.
    HalfSetBestUsers,
    /// Liars who see the messages and replace those that oppose them.
    HalfSetReplacing,
    /// Public Hadamard rows, liars who take over one row, min-L1 decoder.
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
            Self::GeneralizedResponse => "randomised-response",
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
            Self::GeneralizedResponse => "randomised response, same message",
            Self::UnaryEncoding => "unary encoding, half ones",
            Self::HadamardResponse => "Hadamard response, same column",
            Self::LocalHashing => "local hashing, same seed and cell",
            Self::HalfSetBlind => "assigned half sets, blind liars",
            Self::HalfSetBestUsers => "assigned half sets, best users",
            Self::HalfSetReplacing => "assigned half sets, replacing",
            Self::HadamardRow => "public Hadamard rows, one row taken over",
        }
    }

    /// The number of symbols: one less than a power of two fills the rows of a Hadamard matrix.
    fn domain(self, size: usize) -> usize {
        match self {
            Self::HadamardResponse | Self::HadamardRow => size - 1,
            _ => size,
        }
    }
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Setting {
    protocol: Protocol,
    size: usize,
    seed: u64,
}

const SIZES: [usize; 5] = [16, 32, 64, 128, 256];
const EPSILON: f64 = 1.0;
/// Of half sets; the formulas of strong liars depend on it.
const GAMMA: f64 = 0.1;
/// Below one row's share of the users for every size.
const ROW_GAMMA: f64 = 0.0015;

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.wants("Q7") {
        return Ok(());
    }
    let seeds = seeds(cx, 6);
    let mut settings = Vec::new();
    for protocol in Protocol::ALL {
        for size in SIZES {
            settings.extend((0..seeds).map(|seed| Setting {
                protocol,
                size,
                seed,
            }));
        }
    }
    let shifts: Vec<f64> = cx.cells("amplification", &settings, |setting, seed| {
        amplification(
            setting.protocol,
            setting.protocol.domain(setting.size),
            seed,
        )
    })?;
    let of = |protocol: Protocol| -> Vec<Vec<f64>> {
        let all: Vec<f64> = settings
            .iter()
            .zip(&shifts)
            .filter(|(setting, _)| setting.protocol == protocol)
            .map(|(_, &shift)| shift)
            .collect();
        all.chunks(seeds as usize).map(<[f64]>::to_vec).collect()
    };
    let mut rng = cx.seed().child("amplification intervals").rng();
    let mut figure = Figure::new(
        "amplification",
        "Shift of the estimate by one liar, over gamma, before any projection (epsilon = 1)",
        "symbols",
        "total variation / gamma",
    )
    .log_x()
    .log_y();
    let columns = std::iter::once(Column::text("Protocol and attack"))
        .chain(SIZES.map(|size| Column::number(format!("k = {size}"), 2)))
        .chain([
            Column::number("slope", 3),
            Column::number("over formula", 3),
        ]);
    let mut table = Table::new("Shift of the estimate over gamma, by protocol", columns).note(
        "Hadamard protocols have one symbol less. The formula is compared at the largest domain.",
    );
    for protocol in Protocol::ALL {
        let by_size = of(protocol);
        let slopes: Vec<f64> = (0..seeds as usize)
            .filter_map(|seed| {
                let points: Vec<(f64, f64)> = SIZES
                    .iter()
                    .zip(&by_size)
                    .map(|(&size, shifts)| (protocol.domain(size) as f64, shifts[seed]))
                    .collect();
                Some(stats::log_log_slope(&points, 0.95)?.exponent)
            })
            .collect();
        let half_set = matches!(
            protocol,
            Protocol::HalfSetBlind | Protocol::HalfSetBestUsers | Protocol::HalfSetReplacing
        );
        let (exponent, width) = match protocol {
            _ if half_set => (0.5, 0.06),
            Protocol::HadamardRow => (1.0, 0.05),
            _ => (1.0, 0.03),
        };
        let slope = Estimate::of_samples(&slopes, "", &mut rng);
        cx.claim(
            &format!("Q7.slope.{}", protocol.id()),
            &format!("The shift grows as k^{exponent}: {}", protocol.name()),
        )
        .paper_ref("private and public coins")
        .scale(Scale::Simulated)
        .expect(Expected::near(exponent, width))
        .source(DERIVED)
        .measured(slope.clone());
        let last: Vec<f64> = by_size[SIZES.len() - 1].clone();
        let size = protocol.domain(SIZES[SIZES.len() - 1]);
        let theory = theory(protocol, size)?;
        let ratios: Vec<f64> = last.iter().map(|shift| shift / theory).collect();
        let ratio = Estimate::of_samples(&ratios, "of the formula", &mut rng);
        if half_set {
            cx.claim(
                &format!("Q7.coefficient.{}", protocol.id()),
                &format!(
                    "and has the coefficient of the formula at k = {size}: {}",
                    protocol.name()
                ),
            )
            .paper_ref("public coins")
            .scale(Scale::Simulated)
            .expect(Expected::near(1.0, 0.04))
            .source(DERIVED)
            .measured(ratio.clone());
        }
        let means: Vec<f64> = by_size.iter().map(|shifts| stats::mean(shifts)).collect();
        table.push(
            std::iter::once(Value::from(protocol.name()))
                .chain(means.iter().map(|&mean| Value::from(mean)))
                .chain([Value::from(slope.value), Value::from(ratio.value)]),
        );
        let domains = SIZES.map(|size| protocol.domain(size));
        figure = figure.series(
            Series::new(protocol.name())
                .points(domains.iter().map(|&k| k as f64).zip(means.iter().copied())),
        );
    }
    cx.table(table);
    cx.figure(figure);
    Ok(())
}

/// The formula of a protocol, over gamma.
fn theory(protocol: Protocol, symbols: usize) -> Result<f64, ExperimentError> {
    let epsilon = Epsilon::new(EPSILON)?;
    let contraction = crate::theory::coupling::binary_response_contraction(epsilon);
    Ok(match protocol {
        Protocol::GeneralizedResponse => formula::generalized_response(symbols, epsilon),
        Protocol::UnaryEncoding => formula::unary_encoding_half(symbols, epsilon),
        Protocol::HadamardResponse => formula::hadamard_same_message(symbols, epsilon),
        Protocol::LocalHashing => {
            let cells = LocalHashing::new(symbols, epsilon)?.cells();
            formula::client_chosen_hash(symbols, symbols / cells, cells, epsilon)
        }
        Protocol::HalfSetBlind => formula::half_set_oblivious(symbols, contraction),
        Protocol::HalfSetBestUsers => formula::half_set_best_users(symbols, contraction, GAMMA),
        Protocol::HalfSetReplacing => formula::half_set_replacing(symbols, contraction, GAMMA),
        // A row has one of k + 1 parts of the clients, and each moves its frequency by twice that;
        // half of all masses rise by as much and half fall.
        Protocol::HadamardRow => symbols as f64 + 1.0,
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
            let mechanism = RandomizedResponse::new(symbols, epsilon)?;
            replaced(&mechanism, &0, symbols, seed)
        }
        Protocol::UnaryEncoding => {
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
    // At least 40 liars for each symbol, but no more than fit into memory: 20 at 256 symbols.
    let users = (symbols * 400).min(51_200);
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
    let rows = symbols + 1;
    let matrix = DesignMatrix::new(symbols, 2, rows, |row, symbol| {
        (row & (symbol + 1)).count_ones() as usize % 2
    })?;
    let truth = Pmf::uniform(symbols)?;
    let mut rng = seed.rng();
    let counts: CountMatrix = sample_counts(&matrix, &truth, rows as u64 * 40_000_000, &mut rng)?;
    let gamma = Gamma::new(ROW_GAMMA)?;
    let mut adversary = Adversary::Adaptive(Box::new(RowTakeover { group: 1, cell: 0 }));
    let attacked = attack(&matrix, &counts, &mut adversary, gamma, &mut rng)?;
    let robust = decode(Decoder::default(), &matrix, &attacked.counts, gamma)?;
    Ok(distance(&robust.masses, &truth) / ROW_GAMMA)
}
