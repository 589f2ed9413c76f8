//! Q5 and Q6: the statistical error of the min-L1 estimate, and what a sparse attack does to it.

use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Figure, Scale, Series, Table, Value,
};
use septet_core::stats;
use serde::{Deserialize, Serialize};

use crate::attack::{Adversary, MaxCoupling, PlantedShift, SignAlign, attack};
use crate::decode::{Decoder, Projection};
use crate::distribution::Pmf;
use crate::parameter::Gamma;
use crate::planner::{learning_bound, learning_error, learning_floor};
use crate::simulate::sample_counts;
use crate::theory::coupling::coupling_shift;

use super::population::{decode, design_matrix, distance};
use super::{DERIVED, seeds};

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if cx.wants("Q5") {
        statistical(cx)?;
    }
    if cx.wants("Q6") {
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
    seed: u64,
}

impl Clean {
    fn users(&self) -> u64 {
        self.density * (self.symbols * self.symbols) as u64
    }
}

const DENSITIES: [u64; 3] = [40, 160, 640];

fn statistical(cx: &mut Context) -> Result<(), ExperimentError> {
    let seeds = seeds(cx, 3);
    let mut settings = Vec::new();
    for cells in [2, 4, 16] {
        for symbols in [64, 128, 256] {
            for seed in 0..seeds {
                settings.extend(DENSITIES.map(|density| Clean {
                    symbols,
                    cells,
                    density,
                    seed,
                }));
            }
        }
    }
    let errors: Vec<f64> = cx.cells("min-L1 without liars", &settings, |setting, seed| {
        let matrix = design_matrix(setting.symbols, setting.cells, None, None, seed)?;
        let truth = Pmf::zipf(setting.symbols, 0.5)?;
        let counts = sample_counts(&matrix, &truth, setting.users(), &mut seed.rng())?;
        let estimate = decode(Decoder::default(), &matrix, &counts, Gamma::default())?;
        Ok(distance(&estimate.masses, &truth))
    })?;
    let mut rng = cx.seed().child("min-L1 intervals").rng();
    let mut figure = Figure::new(
        "error-against-users",
        "Error of the min-L1 estimate without liars, Zipf(1/2) over 256 symbols",
        "users",
        "total variation",
    )
    .log_x()
    .log_y();
    for cells in [2, 4, 16] {
        let mut slopes = Vec::new();
        let mut coefficients = Vec::new();
        for (settings, errors) in settings.chunks(3).zip(errors.chunks(3)) {
            if settings[0].cells != cells {
                continue;
            }
            let points: Vec<(f64, f64)> = settings
                .iter()
                .zip(errors)
                .map(|(setting, &error)| (setting.users() as f64, error))
                .collect();
            slopes.extend(stats::log_log_slope(&points, 0.95).map(|slope| slope.exponent));
            for (setting, error) in settings.iter().zip(errors) {
                coefficients.push(error * ((setting.density * cells as u64) as f64).sqrt());
            }
        }
        cx.claim(
            &format!("Q5.slope.{cells}-cells"),
            &format!("The error of min-L1 with {cells} cells falls as n^(-1/2)"),
        )
        .paper_ref("learning under communication constraints")
        .scale(Scale::Simulated)
        .expect(Expected::near(-0.5, 0.06))
        .source(DERIVED)
        .measured(Estimate::of_samples(&slopes, "", &mut rng));
        cx.claim(
            &format!("Q5.coefficient.{cells}-cells"),
            &format!("and is a constant times sqrt(k^2 / (n L)), {cells} cells, 64 to 256 symbols"),
        )
        .paper_ref("learning under communication constraints")
        .scale(Scale::Simulated)
        .expect(Expected::Between(0.45, 1.05))
        .source(DERIVED)
        .measured(Estimate::of_samples(&coefficients, "", &mut rng));
        let mut measured = Series::new(format!("{cells} cells"));
        let mut theory = Series::theory(format!("{cells} cells, theory"));
        for density in DENSITIES {
            let of_density: Vec<f64> = settings
                .iter()
                .zip(&errors)
                .filter(|(setting, _)| {
                    setting.cells == cells && setting.symbols == 256 && setting.density == density
                })
                .map(|(_, &error)| error)
                .collect();
            let users = (density * 65_536) as f64;
            let estimate = Estimate::of_samples(&of_density, "", &mut rng);
            let band = estimate
                .interval
                .unwrap_or((estimate.value, estimate.value));
            measured = measured.point_with_band(users, estimate.value, band);
            let groups = (4 * 256_usize).div_ceil(cells);
            theory = theory.points([(users, learning_error(256, cells, groups, None, users, 0.0))]);
        }
        figure = figure.series(measured).series(theory);
    }
    cx.figure(figure);
    Ok(())
}

#[derive(Clone, Copy, Serialize)]
struct Sparse {
    seed: u64,
}

#[derive(Serialize, Deserialize)]
struct SparseErrors {
    clean: f64,
    attacked: f64,
    least_squares: f64,
    residual: f64,
    gamma_lower: f64,
}

/// 64 symbols, 4 cells, 400 000 users, 3 % liars who replace the messages that oppose them most.
fn sparse(cx: &mut Context) -> Result<(), ExperimentError> {
    let settings: Vec<Sparse> = (0..seeds(cx, 10)).map(|seed| Sparse { seed }).collect();
    let errors: Vec<SparseErrors> = cx.cells("sparse attack", &settings, |_, seed| {
        let matrix = design_matrix(64, 4, None, None, seed)?;
        let truth = Pmf::zipf(64, 0.5)?;
        let gamma = Gamma::new(0.03)?;
        let mut rng = seed.rng();
        let counts = sample_counts(&matrix, &truth, 400_000, &mut rng)?;
        let mut adversary = Adversary::Adaptive(Box::new(SignAlign::default()));
        let attacked = attack(&matrix, &counts, &mut adversary, gamma, &mut rng)?.counts;
        let clean = decode(Decoder::default(), &matrix, &counts, gamma)?;
        let robust = decode(Decoder::default(), &matrix, &attacked, gamma)?;
        let squares = Decoder::LeastSquares(Projection::Simplex);
        let squares = decode(squares, &matrix, &attacked, gamma)?;
        Ok(SparseErrors {
            clean: distance(&clean.masses, &truth),
            attacked: distance(&robust.masses, &truth),
            least_squares: distance(&squares.masses, &truth),
            residual: robust.residual,
            gamma_lower: robust.gamma_lower,
        })
    })?;
    let mut rng = cx.seed().child("sparse attack intervals").rng();
    let mut claim = |id: &str, statement: &str, expected, value: &dyn Fn(&SparseErrors) -> f64| {
        let values: Vec<f64> = errors.iter().map(value).collect();
        let measured = Estimate::of_samples(&values, "", &mut rng);
        cx.claim(id, statement)
            .paper_ref("learning under communication constraints")
            .scale(Scale::Simulated)
            .expect(expected)
            .source(DERIVED)
            .measured(measured);
    };
    claim(
        "Q6.min-l1",
        "Under a sparse attack of 3 % the error of min-L1 over that without liars",
        Expected::AtMost(1.7),
        &|errors| errors.attacked / errors.clean,
    );
    claim(
        "Q6.least-squares",
        "The error of least squares and projection over that without liars",
        Expected::AtLeast(5.0),
        &|errors| errors.least_squares / errors.clean,
    );
    claim(
        "Q6.certificate",
        "The certificate proves that more than 2 % of the reports are lies",
        Expected::AtLeast(0.02),
        &|errors| errors.gamma_lower,
    );
    let mean = |value: &dyn Fn(&SparseErrors) -> f64| {
        stats::mean(&errors.iter().map(value).collect::<Vec<_>>())
    };
    let table = Table::new(
        "Sparse attack: 64 symbols, 4 cells, 400 000 users, 3 % liars",
        [Column::text("Quantity"), Column::number("mean", 4)],
    )
    .row([
        Value::from("min-L1, no liars"),
        Value::from(mean(&|e| e.clean)),
    ])
    .row([
        Value::from("min-L1, liars"),
        Value::from(mean(&|e| e.attacked)),
    ])
    .row([
        Value::from("least squares and projection, liars"),
        Value::from(mean(&|e| e.least_squares)),
    ])
    .row([
        Value::from("residual of min-L1, liars"),
        Value::from(mean(&|e| e.residual)),
    ])
    .row([
        Value::from("certified fraction of lies"),
        Value::from(mean(&|e| e.gamma_lower)),
    ]);
    cx.table(table);
    Ok(())
}

#[derive(Clone, Copy, Serialize)]
struct Swept {
    gamma: f64,
    seed: u64,
}

#[derive(Serialize, Deserialize)]
struct SweptErrors {
    coupled: f64,
    aligned: f64,
    least_squares: f64,
}

fn error_against_gamma(cx: &mut Context) -> Result<(), ExperimentError> {
    let gammas = [0.002, 0.005, 0.01, 0.02, 0.05];
    let seeds = seeds(cx, 3);
    let settings: Vec<Swept> = gammas
        .into_iter()
        .flat_map(|gamma| (0..seeds).map(move |seed| Swept { gamma, seed }))
        .collect();
    let (symbols, cells, users) = (128, 4, 2_000_000);
    let errors: Vec<SweptErrors> =
        cx.cells("error against gamma", &settings, |setting, seed| {
            let matrix = design_matrix(symbols, cells, None, None, seed)?;
            let truth = Pmf::uniform(symbols)?;
            let gamma = Gamma::new(setting.gamma)?;
            let mut rng = seed.rng();
            let counts = sample_counts(&matrix, &truth, users, &mut rng)?;
            let shift = PlantedShift::search(&matrix, &truth, 0.97 * setting.gamma, 60, &mut rng)?;
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
    let mut rng = cx.seed().child("error against gamma intervals").rng();
    let mut figure = Figure::new(
        "error-against-gamma",
        "Error against the fraction of liars: 128 symbols, 4 cells, 2 million users, uniform",
        "gamma",
        "total variation",
    )
    .log_x()
    .log_y();
    let mut series = |name: &str, value: &dyn Fn(&SweptErrors) -> f64| {
        let mut series = Series::new(name);
        for (gamma, errors) in gammas.iter().zip(errors.chunks(seeds as usize)) {
            let values: Vec<f64> = errors.iter().map(value).collect();
            let estimate = Estimate::of_samples(&values, "", &mut rng);
            let band = estimate
                .interval
                .unwrap_or((estimate.value, estimate.value));
            series = series.point_with_band(*gamma, estimate.value, band);
        }
        series
    };
    figure = figure
        .series(series("min-L1, coupling", &|e| e.coupled))
        .series(series("min-L1, sign alignment", &|e| e.aligned))
        .series(series("least squares, sign alignment", &|e| {
            e.least_squares
        }));
    let groups = (4 * symbols).div_ceil(cells);
    let noise = learning_error(symbols, cells, groups, None, users as f64, 0.0);
    let line = |name: &str, value: &dyn Fn(f64) -> Result<f64, ExperimentError>| {
        let mut series = Series::theory(name);
        for gamma in gammas {
            series = series.points([(gamma, value(gamma)?)]);
        }
        Ok::<_, ExperimentError>(series)
    };
    let floor = |gamma: f64| -> Result<f64, ExperimentError> {
        Ok(learning_floor(
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
        .series(line("guarantee", &|gamma| {
            let bound = learning_bound(Gamma::new(gamma)?, symbols, cells, groups, None);
            Ok((noise + 2.0 * bound).min(1.0))
        })?);
    cx.figure(figure);
    Ok(())
}
