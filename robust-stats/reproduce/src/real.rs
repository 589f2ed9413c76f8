//! R: real distributions: browser versions, emoji, countries of birth.

use std::collections::BTreeMap;

use rand_distr::{Binomial, Distribution};
use septet_core::experiment::{
    Cell, Column, Context, DataSet, ExperimentError, SeedTree, Table, Value,
};
use septet_robust_stats::Epsilon;
use septet_robust_stats::attack::{
    Adversary, MaxCoupling, PlantedShift, SameMessage, SignAlign, attack,
};
use septet_robust_stats::decode::{Decoder, Projection};
use septet_robust_stats::distribution::{MultinomialSampler, Pmf, read_column, read_counts};
use septet_robust_stats::mechanism::{PureMechanism, RandomizedResponse, UnaryEncoding};
use septet_robust_stats::parameter::Gamma;
use septet_robust_stats::simulate::{central, sample_counts};
use septet_robust_stats::testing::IdentityTest;
use serde::{Deserialize, Serialize};

use super::fakes;
use super::population::{decode, design_matrix, distance};

/// The data sets that the full profile uses.
pub(super) const DATA_SETS: [&str; 3] = [
    "robust-stats-browsers",
    "robust-stats-emoji",
    "robust-stats-adult",
];

/// A population, as frequencies.
pub(super) struct Population {
    pub(super) name: &'static str,
    pub(super) truth: Pmf,
    users: u64,
}

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.selects("R") {
        return Ok(());
    }
    // Take the populations whose data are here.
    let mut populations = Vec::new();
    let browsers = cx.data(DATA_SETS[0]);
    if let Some(set) = &browsers {
        let counts = read_counts(&set.path("browser_versions_global.csv")?)?;
        populations.push(Population {
            name: "browser versions",
            // Versions without weight are no symbols.
            truth: counts.with_min_weight(1e-9).pmf()?,
            users: 1_000_000,
        });
    }
    if let Some(set) = cx.data(DATA_SETS[1]) {
        let counts = read_counts(&set.path("emoji_misskey_io.csv")?)?;
        // Two cut-offs give a small and a large domain from the same counts.
        for (name, least) in [
            ("emoji used 1000 times", 1e3),
            ("emoji used 100 times", 1e2),
        ] {
            populations.push(Population {
                name,
                truth: counts.with_min_weight(least).pmf()?,
                users: 2_000_000,
            });
        }
    }
    if let Some(set) = cx.data(DATA_SETS[2]) {
        // Column 13 is the country of birth; each row is a user.
        let counts = read_column(&set.path("adult.data")?, 13)?;
        populations.push(Population {
            name: "countries of the Adult rows",
            truth: counts.pmf()?,
            users: counts.weights.iter().sum::<f64>() as u64,
        });
    }
    // Without any data nothing can be said, and the report says why.
    if populations.is_empty() {
        cx.skip(
            "R.gain",
            "Errors, drift tests and targeted gains on real distributions",
            "no data set is here",
            "put the folder robust-stats into a folder and name it with --data or SEPTET_DATA",
        );
        return Ok(());
    }
    errors(cx, &populations)?;
    if let Some(set) = &browsers {
        drift(cx, set)?;
    }
    fakes::run(cx, &populations)
}

const GAMMAS: [f64; 4] = [0.0, 0.001, 0.01, 0.05];

const PROTOCOLS: [&str; 6] = [
    "the value itself",
    "2 bits, min-L1",
    "4 bits, min-L1",
    "private half sets, min-L1",
    "private half sets, least squares",
    "randomized response",
];

#[derive(Clone, Serialize)]
struct Setting {
    population: &'static str,
    protocol: &'static str,
    gamma: f64,
}

/// Error of every protocol under its worst attack of those that are tried.
fn errors(cx: &mut Context, populations: &[Population]) -> Result<(), ExperimentError> {
    // All combinations; gamma varies fastest, as the rows of the table need it.
    let mut settings = Vec::new();
    for population in populations {
        for protocol in PROTOCOLS.into_iter().chain(["unary encoding"]) {
            settings.extend(GAMMAS.map(|gamma| Setting {
                population: population.name,
                protocol,
                gamma,
            }));
        }
    }
    let errors = cx
        .grid("real distributions", settings.clone())
        .reads(DATA_SETS)
        .version(2)
        .run(|setting, cell| {
            let population = populations
                .iter()
                .find(|population| population.name == setting.population)
                .ok_or_else(|| ExperimentError::new("no such population"))?;
            // Bit vectors are no messages of a design matrix.
            if setting.protocol == "unary encoding" {
                unary_error(population, setting.gamma, cell.seed())
            } else {
                protocol_error(population, setting.protocol, setting.gamma, cell.seed())
            }
        })?
        .into_firsts();
    let columns = [Column::text("Population"), Column::text("Protocol")]
        .into_iter()
        .chain(GAMMAS.map(|gamma| Column::number(format!("gamma {gamma}"), 3)));
    let mut table = Table::new(
        "Total variation of the estimate under the worst of the attacks that are tried, epsilon 1 \
         where the protocol is private",
        columns,
    )
    .note(
        "Attacks: same message; for hash designs also sign alignment and coupling; half ones for \
         unary encoding. One run each.",
    );
    // A chunk holds one population and protocol with the four values of gamma.
    for (settings, errors) in settings.chunks(4).zip(errors.chunks(4)) {
        let names = [
            Value::from(settings[0].population),
            Value::from(settings[0].protocol),
        ];
        table.push(
            names
                .into_iter()
                .chain(errors.iter().map(|&error| Value::from(error))),
        );
    }
    cx.table(table);
    Ok(())
}

fn protocol_error(
    population: &Population,
    protocol: &str,
    gamma: f64,
    seed: &SeedTree,
) -> Result<f64, ExperimentError> {
    let truth = &population.truth;
    let k = truth.domain();
    // The protocol as a matrix with its decoder; hash designs have more attacks to fear.
    let squares = Decoder::LeastSquares(Projection::Simplex);
    let (matrix, decoder, hashed) = match protocol {
        "2 bits, min-L1" => (
            design_matrix(k, 4, None, None, seed)?,
            Decoder::default(),
            true,
        ),
        "4 bits, min-L1" => (
            design_matrix(k, 16, None, None, seed)?,
            Decoder::default(),
            true,
        ),
        "private half sets, min-L1" => (
            design_matrix(k, 2, None, Some(1.0), seed)?,
            Decoder::default(),
            true,
        ),
        "private half sets, least squares" => {
            (design_matrix(k, 2, None, Some(1.0), seed)?, squares, true)
        }
        "randomized response" => {
            let (own, other) = RandomizedResponse::new(k, Epsilon::new(1.0)?)?.probabilities();
            (central(k)?.with_response(own, other)?, squares, false)
        }
        _ => (central(k)?, squares, false),
    };
    let mut rng = seed.rng();
    let counts = sample_counts(&matrix, truth, population.users, &mut rng)?;
    let gamma = Gamma::new(gamma)?;
    // Attacks: the same message everywhere; those on hash designs need a number of corrupted users to plan for.
    let rarest = k - 1;
    let mut adversaries = vec![Adversary::Oblivious(Box::new(SameMessage {
        symbol: rarest,
    }))];
    if hashed && gamma.get() > 0.0 {
        adversaries.push(Adversary::Adaptive(Box::new(SignAlign::default())));
        // A little below the budget, so that random draws do not exhaust it.
        let shift = PlantedShift::search(&matrix, truth, 0.97 * gamma.get(), 20, &mut rng)?;
        adversaries.push(Adversary::Adaptive(Box::new(MaxCoupling {
            truth: truth.clone(),
            target: shift.target,
        })));
    }
    // All attacks start from the same honest counts.
    let mut worst: f64 = 0.0;
    for adversary in &mut adversaries {
        let attacked = attack(&matrix, &counts, adversary, gamma, &mut rng)?.counts;
        let estimate = decode(decoder, &matrix, &attacked, gamma)?;
        worst = worst.max(distance(&estimate.masses, truth));
    }
    Ok(worst)
}

/// Optimized unary encoding with epsilon 1 whose corrupted users set the bits of the rarer half of the symbols.
fn unary_error(
    population: &Population,
    gamma: f64,
    seed: &SeedTree,
) -> Result<f64, ExperimentError> {
    let truth = &population.truth;
    let k = truth.domain();
    let support = UnaryEncoding::optimized(k, Epsilon::new(1.0)?)?.support();
    let mut rng = seed.rng();
    let corrupted = Gamma::new(gamma)?.budget(population.users);
    let honest = population.users - corrupted;
    let values = MultinomialSampler::new(truth).sample(honest, &mut rng);
    let mut estimates = Vec::with_capacity(k);
    for (symbol, &own) in values.iter().enumerate() {
        // The bits of different symbols are independent.
        let supported = Binomial::new(own, support.own)?.sample(&mut rng)
            + Binomial::new(honest - own, support.other)?.sample(&mut rng)
            + if symbol >= k / 2 { corrupted } else { 0 };
        estimates.push(support.estimate(supported, population.users));
    }
    Projection::Simplex.apply(&mut estimates, 0.0);
    Ok(distance(&estimates, truth))
}

#[derive(Serialize, Deserialize)]
struct Drift {
    distance: f64,
    p_value: f64,
    robust_p_value: f64,
    gamma_star: Option<f64>,
}

const DRIFT_USERS: u64 = 100_000;

/// Whether the browsers of a country follow the world's, and how many corrupted users the finding survives.
fn drift(cx: &mut Context, set: &DataSet) -> Result<(), ExperimentError> {
    // The symbols are the versions of the world; regions are mapped to them by label.
    let world = read_counts(&set.path("browser_versions_global.csv")?)?.with_min_weight(1e-9);
    let index: BTreeMap<&str, usize> = world
        .labels
        .iter()
        .enumerate()
        .map(|(index, label)| (label.as_str(), index))
        .collect();
    let reference = world.pmf()?;
    let regions = ["global", "US", "DE", "BR", "JP"];
    let root = *cx.seed();
    // One test for all regions: its null law depends on the reference alone.
    let test = IdentityTest::new(&reference, DRIFT_USERS, 1_999, &root.child("drift test"))?;
    let work = |region: &&str, cell: &Cell| {
        let counts = read_counts(&set.path(&format!("browser_versions_{region}.csv"))?)?;
        // Versions that the world's table does not list are left out.
        let mut weights = vec![0.0; reference.domain()];
        for (label, weight) in counts.labels.iter().zip(&counts.weights) {
            if let Some(&index) = index.get(label.as_str()) {
                weights[index] += weight;
            }
        }
        let local = Pmf::from_weights(&weights)?;
        // Shares of the region become a sample of the size that the test is built for.
        let sample = MultinomialSampler::new(&local).sample(DRIFT_USERS, &mut cell.seed().rng());
        let report = test.run(&sample, Gamma::new(0.01)?, 0.05)?;
        Ok(Drift {
            distance: local.total_variation(&reference)?,
            p_value: report.p_value,
            robust_p_value: report.robust_p_value,
            gamma_star: report.gamma_star,
        })
    };
    let drifts = cx
        .grid("region drift", regions)
        .reads([DATA_SETS[0]])
        .version(2)
        .run(work)?
        .into_firsts();
    // The table sets the finding beside the corrupted users that it survives.
    let mut table = Table::new(
        "Do 100 000 users of a country use the world's browser versions?",
        [
            Column::text("Region"),
            Column::number("true distance", 3),
            Column::number("p, no manipulation", 4),
            Column::number("p, 1 % manipulated", 4),
            Column::number("survives gamma", 3),
        ],
    );
    for (region, drift) in regions.iter().zip(&drifts) {
        table.push([
            Value::from(*region),
            Value::from(drift.distance),
            Value::from(drift.p_value),
            Value::from(drift.robust_p_value),
            Value::from(drift.gamma_star),
        ]);
    }
    cx.table(table);
    Ok(())
}
