//! G: how noise and manipulation grow with users, symbols, corrupted users, cells and privacy, for random
//! partitions and the min-L1 estimate.

use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Figure, Grid, Profile, Scale, SeedTree,
    Series, Table, Value,
};
use septet_core::stats;
use septet_robust_stats::Epsilon;
use septet_robust_stats::attack::{Adversary, MaxCoupling, PlantedShift, attack};
use septet_robust_stats::decode::Decoder;
use septet_robust_stats::distribution::Pmf;
use septet_robust_stats::parameter::Gamma;
use septet_robust_stats::simulate::sample_counts;
use septet_robust_stats::theory::coupling::{
    coupling_shift, gaussian_contraction, response_contraction,
};
use serde::Serialize;

use super::population::{decode, design_matrix, distance};
use super::{DERIVED, band};

/// Corrupted users use this part of their budget, so that probability does not exhaust it.
const USED: f64 = 0.99;
/// Noise is an eighth of the shift or less.
const MANY: f64 = 3e8;
const GAMMA: f64 = 0.01;

/// One estimate: near the uniform distribution, perhaps under coupling.
#[derive(Clone, Copy, Debug, Serialize)]
struct Setting {
    symbols: usize,
    bits: u32,
    users: f64,
    gamma: f64,
    epsilon: Option<f64>,
}

/// One line of the table of exponents: what varies, and what the error does.
struct Line {
    id: &'static str,
    statement: &'static str,
    exponent: f64,
    /// How many designs it takes, each with its corrupted users and its noise.
    designs: u64,
    is_headline: bool,
    /// What varies, and the setting there.
    points: Vec<(f64, Setting)>,
}

fn setting(symbols: usize, bits: u32, users: f64, gamma: f64) -> Setting {
    Setting {
        symbols,
        bits,
        users,
        gamma,
        epsilon: None,
    }
}

fn lines(profile: Profile) -> Result<Vec<Line>, ExperimentError> {
    // The quick profile attacks no design of 512 symbols.
    let (sizes, largest): (&[usize], usize) = match profile {
        Profile::Quick => (&[64, 128, 256], 256),
        Profile::Full => (&[64, 128, 256, 512], 512),
    };
    // No user is corrupted where noise is measured.
    let mut by_epsilon = Vec::new();
    for epsilon in [0.25, 0.5, 1.0, 2.0, 4.0] {
        // The abscissa is the factor that privacy costs, so that theory is a slope of 1.
        let contraction = response_contraction(Epsilon::new(epsilon)?, 2);
        let setting = Setting {
            epsilon: Some(epsilon),
            ..setting(64, 1, 1e9, 0.002)
        };
        by_epsilon.push((contraction, setting));
    }
    let by_size = |bits: u32| {
        let points = sizes.iter().map(move |&symbols| {
            let setting = setting(symbols, bits, MANY, GAMMA);
            (symbols as f64, setting)
        });
        points.collect()
    };
    Ok(vec![
        // Noise: no corrupted users; users or symbols vary alone.
        Line {
            id: "G.noise.users",
            statement: "Short messages without corrupted users: the error of min-L1 falls as n^(-1/2): exponent",
            exponent: -0.5,
            designs: 24,
            is_headline: false,
            points: [1e6, 4e6, 1.6e7]
                .map(|users| (users, setting(128, 2, users, 0.0)))
                .to_vec(),
        },
        Line {
            id: "G.noise.symbols",
            statement: "Short messages without corrupted users: the error of min-L1 grows as about k: exponent",
            exponent: 1.0,
            designs: 96,
            is_headline: false,
            points: [64, 128, 256, 512]
                .map(|symbols| (symbols as f64, setting(symbols, 3, 2e7, 0.0)))
                .to_vec(),
        },
        // Manipulation: enough users that noise adds little.
        Line {
            id: "G.manipulation.gamma",
            statement: "Short messages: what corrupted users plant in min-L1 by coupling grows as gamma: \
                        exponent",
            exponent: 1.0,
            designs: 8,
            is_headline: false,
            points: [0.0025, 0.005, 0.01, 0.02]
                .map(|gamma| (gamma, setting(128, 3, MANY, gamma)))
                .to_vec(),
        },
        Line {
            id: "G.manipulation.symbols",
            statement: "Short messages: what corrupted users plant in min-L1 grows with the symbols as about \
                        k^(1/2): exponent",
            exponent: 0.5,
            designs: 32,
            is_headline: true,
            points: by_size(2),
        },
        Line {
            id: "G.manipulation.cells",
            statement: "Short messages: what corrupted users plant in min-L1 falls with the L messages as \
                        about (L - 1)^(-1/2): exponent",
            exponent: -0.5,
            designs: 8,
            is_headline: true,
            points: [1, 2, 3, 4]
                .map(|bits| {
                    let cells = f64::from(1_u32 << bits);
                    (cells - 1.0, setting(largest, bits, MANY, GAMMA))
                })
                .to_vec(),
        },
        Line {
            id: "G.manipulation.privacy",
            statement: "One private bit: what corrupted users plant grows as (e^epsilon + 1) / (e^epsilon - 1): \
                        exponent",
            exponent: 1.0,
            designs: 24,
            is_headline: false,
            points: by_epsilon,
        },
    ])
}

/// The error under coupling, without a search for a direction: along random signs.
fn error(setting: &Setting, seed: &SeedTree) -> Result<f64, ExperimentError> {
    let matrix = design_matrix(
        setting.symbols,
        1 << setting.bits,
        None,
        setting.epsilon,
        seed,
    )?;
    let truth = Pmf::uniform(setting.symbols)?;
    let mut rng = seed.rng();
    let mut counts = sample_counts(&matrix, &truth, setting.users as u64, &mut rng)?;
    let gamma = Gamma::new(setting.gamma)?;
    if setting.gamma > 0.0 {
        // The gain of a search depends on the shape of the design.
        let shift = PlantedShift::search(&matrix, &truth, USED * setting.gamma, 0, &mut rng)?;
        let mut coupling = Adversary::Adaptive(Box::new(MaxCoupling {
            truth: truth.clone(),
            target: shift.target,
        }));
        counts = attack(&matrix, &counts, &mut coupling, gamma, &mut rng)?.counts;
    }
    let estimate = decode(Decoder::default(), &matrix, &counts, gamma)?;
    Ok(distance(&estimate.masses, &truth))
}

/// What the error under coupling is by formula, at the size at hand.
fn planted(setting: &Setting) -> Result<f64, ExperimentError> {
    let epsilon = setting.epsilon.map(Epsilon::new).transpose()?;
    let gamma = USED * setting.gamma;
    Ok(coupling_shift(
        gamma,
        setting.symbols,
        1 << setting.bits,
        epsilon,
    ))
}

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.selects("G") {
        return Ok(());
    }
    // One row per exponent; one figure for the two headline lines.
    let mut table = Table::new(
        "Exponents of the error of the min-L1 estimate",
        [
            Column::text("Statement"),
            Column::number("theory", 2),
            Column::number("measured", 3),
            Column::number("low", 3),
            Column::number("high", 3),
        ],
    )
    .note(
        "The intervals are narrow enough to show that the sizes are finite: the exponents of the \
         theory hold for many symbols.",
    );
    let mut figure = Figure::new(
        "planted",
        "Error of min-L1 when 1 % of the messages are manipulated, by symbols k and messages L",
        "k / (L - 1)",
        "total variation",
    )
    .alt("The error follows the square root of k over L - 1, the line of theory.")
    .log_x()
    .log_y();
    let mut theory = Vec::new();
    let mut ratios = Vec::new();
    // Settings of the same shape have the same designs and signs.
    let root = cx.seed().child("designs of exponents");
    for line in lines(cx.profile())? {
        // Fit one exponent per line, and claim it.
        let settings: Vec<Setting> = line.points.iter().map(|(_, setting)| *setting).collect();
        let errors = cx
            .grid(line.id, settings)
            .seeds(line.designs)
            .version(2)
            .run(|setting, cell| error(setting, &root.index(cell.seed_index())))?;
        let measured = exponent(cx, &line, &errors)?;
        let (low, high) = band(&measured);
        table.push([
            Value::from(line.statement),
            Value::from(line.exponent),
            Value::from(measured.value),
            Value::from(low),
            Value::from(high),
        ]);
        let mut claim = cx
            .claim(line.id, line.statement)
            .scale(Scale::Scaled)
            .expect(Expected::near(line.exponent, 0.05))
            .source(DERIVED)
            .theory(line.exponent);
        if line.is_headline {
            claim = claim.headline().paper_ref("abstract");
        }
        claim.measured(measured);

        // The same errors once more: against the formula, and as points of the figure.
        let mut series = Series::new(match line.id {
            "G.manipulation.symbols" => "more symbols, 2 bits",
            _ => "1 to 4 bits",
        });
        for (_, setting) in &line.points {
            let error = errors.over_seeds(setting, "designs", "", |&error| error)?;
            if setting.gamma > 0.0 {
                ratios.push(error.value / planted(setting)?);
            }
            let (symbols, cells) = (setting.symbols as f64, f64::from(1_u32 << setting.bits));
            // Both headline lines fall on one curve over k / (L - 1).
            let x = symbols / (cells - 1.0);
            series = series.point_with_band(x, error.value, band(&error));
            if line.is_headline {
                let height = gaussian_contraction(setting.symbols, 1 << setting.bits);
                theory.push((x, USED * GAMMA * height));
            }
        }
        if line.is_headline {
            figure = figure.series(series);
        }
    }
    cx.table(table);
    // The lines interleave, and a curve needs sorted points.
    theory.sort_by(|a, b| a.0.total_cmp(&b.0));
    cx.figure(figure.series(Series::theory("gamma sqrt(pi k / (2 (L - 1)))").points(theory)));
    cx.claim(
        "G.manipulation.size",
        "At every size what corrupted users plant in min-L1 is what the hypergeometric law of random \
         partitions says: measured over formula",
    )
    .scale(Scale::Scaled)
    .expect(Expected::near(1.0, 0.05))
    .source(DERIVED)
    .theory(1.0)
    .measured(Estimate::range(&ratios, "settings, means of designs", ""));
    Ok(())
}

/// The exponent of a line: one for each seed.
fn exponent(
    cx: &Context,
    line: &Line,
    errors: &Grid<Setting, f64>,
) -> Result<Estimate, ExperimentError> {
    let mut by_seed = vec![Vec::new(); line.designs as usize];
    for (x, setting) in &line.points {
        for (points, &error) in by_seed.iter_mut().zip(errors.by_seed(setting)?) {
            points.push((*x, error));
        }
    }
    let slopes = by_seed
        .iter()
        .filter_map(|points| Some(stats::log_log_slope(points, 0.95)?.exponent));
    let slopes: Vec<f64> = slopes.collect();
    let mut rng = cx.seed().child(line.id).rng();
    Ok(Estimate::mean(&slopes, "designs", "", &mut rng))
}
