//! Q5 and Q6: the statistical error of the min-L1 estimate, and what a sparse attack does to it.

use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Figure, Scale, Series, Table, Value,
};
use septet_core::stats;
use septet_robust_stats::attack::{Adversary, MaxCoupling, PlantedShift, SignAlign, attack};
use septet_robust_stats::decode::{Decoder, Projection};
use septet_robust_stats::distribution::Pmf;
use septet_robust_stats::parameter::Gamma;
use septet_robust_stats::simulate::sample_counts;
use septet_robust_stats::theory::coupling::coupling_shift;
use septet_robust_stats::theory::learning::{expected_error, manipulation_floor};
use serde::{Deserialize, Serialize};

use super::population::{decode, design_matrix, distance};
use super::{DERIVED, band, seeds};

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if cx.selects("Q5") {
        statistical(cx)?;
    }
    if cx.selects("Q6") {
        sparse(cx)?;
        error_against_gamma(cx)?;
    }
    Ok(())
}

#[derive(Clone, Copy, Serialize)]
struct Clean {
    symbols: usize,
    cells: usize,
    /// Users over the square of the number of symbols.
    density: u64,
}

impl Clean {
    fn users(&self) -> u64 {
        self.density * (self.symbols * self.symbols) as u64
    }
}

const DENSITIES: [u64; 3] = [40, 160, 640];
const CLEAN_CELLS: [usize; 3] = [2, 4, 16];
const CLEAN_SYMBOLS: [usize; 3] = [64, 128, 256];

fn statistical(cx: &mut Context) -> Result<(), ExperimentError> {
    let designs = seeds(cx, 6);
    // Shapes times numbers of users; density n / k^2 fixes the error up to the cells.
    let of_shape = |symbols: usize, cells: usize| {
        DENSITIES.map(|density| Clean {
            symbols,
            cells,
            density,
        })
    };
    let settings: Vec<Clean> = CLEAN_CELLS
        .into_iter()
        .flat_map(|cells| CLEAN_SYMBOLS.map(|symbols| of_shape(symbols, cells)))
        .flatten()
        .collect();
    // The names of the stream and of the group decide the results and where they are kept.
    let root = cx.seed().child("designs of min-L1 without liars");
    let errors = cx
        .grid("min-L1 without liars", settings)
        .seeds(designs)
        .version(2)
        .run(|setting, cell| {
            // Numbers of users are compared on the same designs.
            let seed = root.index(cell.seed_index());
            let matrix = design_matrix(setting.symbols, setting.cells, None, None, &seed)?;
            let truth = Pmf::zipf(setting.symbols, 0.5)?;
            let mut rng = cell.seed().rng();
            let counts = sample_counts(&matrix, &truth, setting.users(), &mut rng)?;
            let estimate = decode(Decoder::default(), &matrix, &counts, Gamma::default())?;
            Ok(distance(&estimate.masses, &truth))
        })?;
    let mut figure = Figure::new(
        "error-against-users",
        "Error of the min-L1 estimate without corrupted users, Zipf(1/2) over 256 symbols",
        "users",
        "total variation",
    )
    .alt("The errors fall along the lines of theory, with the square root of the users.")
    .log_x()
    .log_y();
    let mut rng = cx.seed().child("min-L1 intervals").rng();
    let mut slopes = Vec::new();
    for cells in CLEAN_CELLS {
        let mut coefficients = vec![0.0; designs as usize];
        for symbols in CLEAN_SYMBOLS {
            let settings = of_shape(symbols, cells);
            // Slopes within a design, so that differences between designs do not enter.
            for design in 0..designs as usize {
                let mut points = Vec::new();
                for setting in &settings {
                    let error: f64 = errors.by_seed(setting)?[design];
                    points.push((setting.users() as f64, error));
                }
                slopes.extend(stats::log_log_slope(&points, 0.95).map(|slope| slope.exponent));
            }
            // The constant is averaged over settings first: designs are the replicates.
            for setting in &settings {
                let scale = ((setting.density * cells as u64) as f64).sqrt();
                for (sum, error) in coefficients.iter_mut().zip(errors.by_seed(setting)?) {
                    *sum += error * scale / (settings.len() * CLEAN_SYMBOLS.len()) as f64;
                }
            }
        }
        cx.claim(
            &format!("Q5.coefficient.{cells}-cells"),
            &format!(
                "Without corrupted users the error of min-L1 with {cells} cells is a constant times \
                 sqrt(k^2 / (n L)), 64 to 256 symbols: the constant"
            ),
        )
        .scale(Scale::Scaled)
        .expect(Expected::Between(0.45, 1.05))
        .source(DERIVED)
        .measured(Estimate::mean(&coefficients, "designs", "", &mut rng));
        // The largest domain goes into the figure, beside the formula.
        let mut measured = Series::new(format!("{cells} cells"));
        let mut theory = Series::theory(format!("{cells} cells, theory"));
        for setting in of_shape(256, cells) {
            let users = setting.users() as f64;
            let estimate = errors.over_seeds(&setting, "designs", "", |&error| error)?;
            measured = measured.point_with_band(users, estimate.value, band(&estimate));
            // The default number of groups, which the designs above have.
            let groups = (4 * 256_usize).div_ceil(cells);
            theory = theory.points([(users, expected_error(256, cells, groups, None, users, 0.0))]);
        }
        figure = figure.series(measured).series(theory);
    }
    cx.claim(
        "Q5.slope",
        "Without corrupted users the error of min-L1 falls with the users as about n^(-1/2): exponent",
    )
    .scale(Scale::Scaled)
    .expect(Expected::near(-0.5, 0.06))
    .source(DERIVED)
    .theory(-0.5)
    .measured(Estimate::mean(&slopes, "designs", "", &mut rng));
    cx.figure(figure);
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct SparseErrors {
    clean: f64,
    attacked: f64,
    least_squares: f64,
    residual: f64,
    gamma_lower_bound: f64,
}

/// 64 symbols, 4 cells, 400 000 users, 3 % corrupted users who replace the messages that oppose them most.
fn sparse(cx: &mut Context) -> Result<(), ExperimentError> {
    let designs = seeds(cx, 10);
    let gamma = 0.03;
    let errors = cx
        .grid("sparse attack", [gamma])
        .seeds(designs)
        .version(2)
        .run(|&gamma, cell| {
            // Attack and decoders see the same honest counts.
            let matrix = design_matrix(64, 4, None, None, cell.seed())?;
            let truth = Pmf::zipf(64, 0.5)?;
            let gamma = Gamma::new(gamma)?;
            let mut rng = cell.seed().rng();
            let counts = sample_counts(&matrix, &truth, 400_000, &mut rng)?;
            let mut adversary = Adversary::Adaptive(Box::new(SignAlign::default()));
            let attacked = attack(&matrix, &counts, &mut adversary, gamma, &mut rng)?.counts;
            let clean = decode(Decoder::default(), &matrix, &counts, gamma)?;
            let robust = decode(Decoder::default(), &matrix, &attacked, gamma)?;
            // Least squares as in practice: made a distribution by projection.
            let squares = Decoder::LeastSquares(Projection::Simplex);
            let squares = decode(squares, &matrix, &attacked, gamma)?;
            Ok(SparseErrors {
                clean: distance(&clean.masses, &truth),
                attacked: distance(&robust.masses, &truth),
                least_squares: distance(&squares.masses, &truth),
                residual: robust.residual,
                gamma_lower_bound: robust.gamma_lower_bound,
            })
        })?;
    // Ratios within a design, where both errors share the noise.
    let errors: &[SparseErrors] = errors.by_seed(&gamma)?;
    let mut rng = cx.seed().child("sparse attack intervals").rng();
    let mut claim = |id: &str, statement: &str, expected, value: &dyn Fn(&SparseErrors) -> f64| {
        let values: Vec<f64> = errors.iter().map(value).collect();
        let measured = Estimate::mean(&values, "designs", "", &mut rng);
        cx.claim(id, statement)
            .scale(Scale::Scaled)
            .expect(expected)
            .source(DERIVED)
            .measured(measured);
    };
    claim(
        "Q6.min-l1",
        "3 % corrupted users in their best groups: error of min-L1 over that without manipulation",
        Expected::AtMost(1.7),
        &|errors| errors.attacked / errors.clean,
    );
    claim(
        "Q6.least-squares",
        "The same attack: error of least squares with projection over that of min-L1 without manipulation",
        Expected::AtLeast(5.0),
        &|errors| errors.least_squares / errors.clean,
    );
    claim(
        "Q6.certificate",
        "The certificate of min-L1 proves more than 2 % of these 3 % manipulated, and never more than all",
        Expected::Between(0.02, 0.03),
        &|errors| errors.gamma_lower_bound,
    );
    // The means behind the claims.
    let mean = |value: &dyn Fn(&SparseErrors) -> f64| {
        stats::mean(&errors.iter().map(value).collect::<Vec<_>>())
    };
    let table = Table::new(
        "Sparse attack: 64 symbols, 4 cells, 400 000 users, 3 % corrupted users",
        [Column::text("Quantity"), Column::number("mean", 4)],
    )
    .row([
        Value::from("min-L1, no corrupted users"),
        Value::from(mean(&|e| e.clean)),
    ])
    .row([
        Value::from("min-L1, corrupted users"),
        Value::from(mean(&|e| e.attacked)),
    ])
    .row([
        Value::from("least squares and projection, corrupted users"),
        Value::from(mean(&|e| e.least_squares)),
    ])
    .row([
        Value::from("residual of min-L1, corrupted users"),
        Value::from(mean(&|e| e.residual)),
    ])
    .row([
        Value::from("certified fraction of manipulated messages"),
        Value::from(mean(&|e| e.gamma_lower_bound)),
    ]);
    cx.table(table);
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct SweptErrors {
    coupled: f64,
    aligned: f64,
    least_squares: f64,
}

fn error_against_gamma(cx: &mut Context) -> Result<(), ExperimentError> {
    // Two attacks on the same counts, and the decoder that is not robust under the second.
    let gammas = [0.002, 0.005, 0.01, 0.02, 0.05];
    let designs = seeds(cx, 3);
    let (symbols, cells, users) = (128, 4, 2_000_000);
    let errors = cx
        .grid("error against gamma", gammas)
        .seeds(designs)
        .version(2)
        .run(|&gamma, cell| {
            let matrix = design_matrix(symbols, cells, None, None, cell.seed())?;
            let truth = Pmf::uniform(symbols)?;
            // A little below the budget, so that random draws do not exhaust it.
            let budget = 0.97 * gamma;
            let gamma = Gamma::new(gamma)?;
            let mut rng = cell.seed().rng();
            let counts = sample_counts(&matrix, &truth, users, &mut rng)?;
            let shift = PlantedShift::search(&matrix, &truth, budget, 60, &mut rng)?;
            let mut coupling = Adversary::Adaptive(Box::new(MaxCoupling {
                truth: truth.clone(),
                target: shift.target,
            }));
            let mut aligned = Adversary::Adaptive(Box::new(SignAlign::default()));
            let coupled = attack(&matrix, &counts, &mut coupling, gamma, &mut rng)?.counts;
            let aligned = attack(&matrix, &counts, &mut aligned, gamma, &mut rng)?.counts;
            let error = |decoder, counts| -> Result<f64, ExperimentError> {
                Ok(distance(
                    &decode(decoder, &matrix, counts, gamma)?.masses,
                    &truth,
                ))
            };
            Ok(SweptErrors {
                coupled: error(Decoder::default(), &coupled)?,
                aligned: error(Decoder::default(), &aligned)?,
                least_squares: error(Decoder::LeastSquares(Projection::Simplex), &aligned)?,
            })
        })?;
    // Measured curves, with the intervals over designs.
    let mut figure = Figure::new(
        "error-against-gamma",
        "Error against the fraction of corrupted users: 128 symbols, 4 cells, 2 million users, uniform",
        "gamma",
        "total variation",
    )
    .alt("Min-L1 stays below twice the planted shift, and near it; least squares does not.")
    .log_x()
    .log_y();
    let series = |name: &str, value: &dyn Fn(&SweptErrors) -> f64| {
        let mut series = Series::new(name);
        for gamma in &gammas {
            let estimate = errors.over_seeds(gamma, "designs", "", value)?;
            series = series.point_with_band(*gamma, estimate.value, band(&estimate));
        }
        Ok::<_, ExperimentError>(series)
    };
    figure = figure
        .series(series("min-L1, coupling", &|e| e.coupled)?)
        .series(series("min-L1, sign alignment", &|e| e.aligned)?)
        .series(series("least squares, sign alignment", &|e| {
            e.least_squares
        })?);
    // Formulas: what coupling plants, what the best direction plants, and twice that with noise, which
    // bounds min-L1 if the search found the weakest direction.
    let groups = (4 * symbols).div_ceil(cells);
    let noise = expected_error(symbols, cells, groups, None, users as f64, 0.0);
    let line = |name: &str, value: &dyn Fn(f64) -> Result<f64, ExperimentError>| {
        let mut series = Series::theory(name);
        for gamma in gammas {
            series = series.points([(gamma, value(gamma)?)]);
        }
        Ok::<_, ExperimentError>(series)
    };
    let floor = |gamma: f64| -> Result<f64, ExperimentError> {
        Ok(manipulation_floor(
            Gamma::new(gamma)?,
            symbols,
            cells,
            groups,
            None,
        ))
    };
    figure = figure
        .series(line("coupling along random signs", &|gamma| {
            Ok(coupling_shift(gamma, symbols, cells, None))
        })?)
        .series(line("coupling along the weakest direction found", &floor)?)
        .series(line("twice that shift, and noise", &|gamma| {
            // No total variation exceeds 1.
            Ok((noise + 2.0 * floor(gamma)?).min(1.0))
        })?);
    cx.figure(figure);
    Ok(())
}
