//! Real distributions: browser versions, emoji, countries of birth.

use std::collections::BTreeMap;

use rand_distr::{Binomial, Distribution};
use septet_core::experiment::{
    Column, Context, DataSet, Estimate, Expected, ExperimentError, Scale, SeedTree, Table, Value,
};
use septet_core::stats;
use serde::{Deserialize, Serialize};

use crate::Epsilon;
use crate::aggregate::CountMatrix;
use crate::attack::{
    Adversary, MaxCoupling, MaximalGain, PlantedShift, SameMessage, SignAlign, attack, inject,
};
use crate::decode::{Decoder, DesignMatrix, Projection, ldp_recover};
use crate::distribution::{MultinomialSampler, Pmf, read_column, read_counts};
use crate::mechanism::{PureMechanism, RandomizedResponse, UnaryEncoding};
use crate::parameter::Gamma;
use crate::simulate::{central, sample_counts};
use crate::testing::IdentityTest;

use super::population::{decode, design_matrix, distance};
use super::targeted::{Attack, Poisoned, Protocol, poisoned};

/// The data sets that the full profile uses.
pub(super) const DATA_SETS: [&str; 3] = [
    "robust-stats-browsers",
    "robust-stats-emoji",
    "robust-stats-adult",
];

/// A population, as frequencies.
struct Population {
    name: &'static str,
    truth: Pmf,
    users: u64,
}

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    let mut populations = Vec::new();
    let browsers = cx.data(DATA_SETS[0]);
    if let Some(set) = &browsers {
        let counts = read_counts(&set.path("browser_versions_global.csv")?)?;
        populations.push(Population {
            name: "browser versions",
            truth: counts.at_least(1e-9).pmf()?,
            users: 1_000_000,
        });
    }
    if let Some(set) = cx.data(DATA_SETS[1]) {
        let counts = read_counts(&set.path("emoji_misskey_io.csv")?)?;
        for (name, least) in [
            ("emoji used 1000 times", 1e3),
            ("emoji used 100 times", 1e2),
        ] {
            populations.push(Population {
                name,
                truth: counts.at_least(least).pmf()?,
                users: 2_000_000,
            });
        }
    }
    if let Some(set) = cx.data(DATA_SETS[2]) {
        let counts = read_column(&set.path("adult.data")?, 13)?;
        populations.push(Population {
            name: "countries of the Adult rows",
            truth: counts.pmf()?,
            users: counts.weights.iter().sum::<f64>() as u64,
        });
    }
    if populations.is_empty() {
        cx.skip(
            "R",
            "Errors, drift tests and targeted gains on real distributions",
            "no data set is here",
            "put the folder robust-stats into a folder and name it with --data or SEPTET_DATA",
        );
        return Ok(());
    }
    if cx.wants("R1") {
        errors(cx, &populations)?;
    }
    if let (Some(set), true) = (&browsers, cx.wants("R2")) {
        drift(cx, set)?;
    }
    if cx.wants("R3") {
        gains(cx, &populations)?;
    }
    Ok(())
}

const GAMMAS: [f64; 4] = [0.0, 0.001, 0.01, 0.05];

const PROTOCOLS: [&str; 6] = [
    "the value itself",
    "2 bits, min-L1",
    "4 bits, min-L1",
    "private half sets, min-L1",
    "private half sets, least squares",
    "randomised response",
];

#[derive(Clone, Serialize)]
struct Setting {
    population: &'static str,
    protocol: &'static str,
    gamma: f64,
}

/// Error of every protocol under its worst attack of those that are tried.
fn errors(cx: &mut Context, populations: &[Population]) -> Result<(), ExperimentError> {
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
    let errors: Vec<f64> = cx.cells("real distributions", &settings, |setting, seed| {
        let population = populations
            .iter()
            .find(|population| population.name == setting.population)
            .ok_or_else(|| ExperimentError::new("no such population"))?;
        if setting.protocol == "unary encoding" {
            unary_error(population, setting.gamma, seed)
        } else {
            protocol_error(population, setting.protocol, setting.gamma, seed)
        }
    })?;
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
        "randomised response" => {
            let (own, other) = RandomizedResponse::new(k, Epsilon::new(1.0)?)?.probabilities();
            (central(k)?.with_response(own, other)?, squares, false)
        }
        _ => (central(k)?, squares, false),
    };
    let mut rng = seed.rng();
    let counts = sample_counts(&matrix, truth, population.users, &mut rng)?;
    let gamma = Gamma::new(gamma)?;
    let rarest = k - 1;
    let mut adversaries = vec![Adversary::Oblivious(Box::new(SameMessage {
        symbol: rarest,
    }))];
    if hashed && gamma.get() > 0.0 {
        adversaries.push(Adversary::Adaptive(Box::new(SignAlign::default())));
        let shift = PlantedShift::search(&matrix, truth, 0.97 * gamma.get(), 20, &mut rng)?;
        adversaries.push(Adversary::Adaptive(Box::new(MaxCoupling {
            truth: truth.clone(),
            target: shift.target,
        })));
    }
    let mut worst: f64 = 0.0;
    for adversary in &mut adversaries {
        let attacked = attack(&matrix, &counts, adversary, gamma, &mut rng)?.counts;
        let estimate = decode(decoder, &matrix, &attacked, gamma)?;
        worst = worst.max(distance(&estimate.masses, truth));
    }
    Ok(worst)
}

/// Optimised unary encoding with epsilon 1 whose liars set the bits of the rarer half of the symbols.
fn unary_error(
    population: &Population,
    gamma: f64,
    seed: &SeedTree,
) -> Result<f64, ExperimentError> {
    let truth = &population.truth;
    let k = truth.domain();
    let support = UnaryEncoding::optimized(k, Epsilon::new(1.0)?)?.support();
    let mut rng = seed.rng();
    let lies = Gamma::new(gamma)?.budget(population.users);
    let honest = population.users - lies;
    let values = MultinomialSampler::new(truth).sample(honest, &mut rng);
    let mut estimates = Vec::with_capacity(k);
    for (symbol, &own) in values.iter().enumerate() {
        // The bits of different symbols are independent.
        let supported = Binomial::new(own, support.own)?.sample(&mut rng)
            + Binomial::new(honest - own, support.other)?.sample(&mut rng)
            + if symbol >= k / 2 { lies } else { 0 };
        estimates.push(support.estimate(supported, population.users));
    }
    Projection::Simplex.apply(&mut estimates, 0.0);
    Ok(distance(&estimates, truth))
}

#[derive(Clone, Serialize)]
struct Region {
    region: &'static str,
}

#[derive(Serialize, Deserialize)]
struct Drift {
    distance: f64,
    p_value: f64,
    robust_p_value: f64,
    gamma_star: Option<f64>,
}

const DRIFT_USERS: u64 = 100_000;

/// Whether the browsers of a country follow the world's, and how many liars the finding survives.
fn drift(cx: &mut Context, set: &DataSet) -> Result<(), ExperimentError> {
    let world = read_counts(&set.path("browser_versions_global.csv")?)?.at_least(1e-9);
    let index: BTreeMap<&str, usize> = world
        .labels
        .iter()
        .enumerate()
        .map(|(index, label)| (label.as_str(), index))
        .collect();
    let reference = world.pmf()?;
    let regions = ["global", "US", "DE", "BR", "JP"].map(|region| Region { region });
    let root = *cx.seed();
    let test = IdentityTest::new(&reference, DRIFT_USERS, 1_999, &root.child("drift test"))?;
    let drifts: Vec<Drift> = cx.cells("region drift", &regions, |region, seed| {
        let counts = read_counts(&set.path(&format!("browser_versions_{}.csv", region.region))?)?;
        // Versions that the world's table does not list are left out.
        let mut weights = vec![0.0; reference.domain()];
        for (label, weight) in counts.labels.iter().zip(&counts.weights) {
            if let Some(&index) = index.get(label.as_str()) {
                weights[index] += weight;
            }
        }
        let local = Pmf::from_weights(&weights)?;
        let sample = MultinomialSampler::new(&local).sample(DRIFT_USERS, &mut seed.rng());
        let report = test.run(&sample, Gamma::new(0.01)?, 0.05)?;
        Ok(Drift {
            distance: local.total_variation(&reference)?,
            p_value: report.p_value,
            robust_p_value: report.robust_p_value,
            gamma_star: report.gamma_star,
        })
    })?;
    let mut table = Table::new(
        "Do 100 000 users of a country use the world's browser versions?",
        [
            Column::text("Region"),
            Column::number("true distance", 3),
            Column::number("p, nobody lies", 4),
            Column::number("p, 1 % lie", 4),
            Column::number("survives gamma", 3),
        ],
    );
    for (region, drift) in regions.iter().zip(&drifts) {
        table.push([
            Value::from(region.region),
            Value::from(drift.distance),
            Value::from(drift.p_value),
            Value::from(drift.robust_p_value),
            Value::from(drift.gamma_star),
        ]);
    }
    cx.table(table);
    Ok(())
}

#[derive(Clone, Serialize)]
struct Targeted {
    population: &'static str,
    seed: u64,
}

/// Total gains of the targets under maximal gain with 5 % fakes, epsilon 1.
#[derive(Serialize, Deserialize)]
struct Gains {
    /// Unary encoding and local hashing, each raw, with the minimum subtracted, on the simplex, and
    /// by LDPRecover.
    baselines: Vec<f64>,
    /// Half sets and min-L1: fakes in random groups, and in the best ones.
    hashed: [f64; 2],
}

const BASELINES: [&str; 8] = [
    "unary, raw",
    "unary, minimum subtracted",
    "unary, simplex",
    "unary, LDPRecover",
    "local hashing, raw",
    "local hashing, minimum subtracted",
    "local hashing, simplex",
    "local hashing, LDPRecover",
];

fn gains(cx: &mut Context, populations: &[Population]) -> Result<(), ExperimentError> {
    let mut rng = cx.seed().child("census stand-in").rng();
    let mut scenes = vec![
        (
            "census stand-in",
            Pmf::log_normal(102, 1.3, 0.2, &mut rng)?,
            389_894,
        ),
        ("Zipf(1) over 128", Pmf::zipf(128, 1.0)?, 500_000),
    ];
    scenes.extend(
        populations
            .iter()
            .take(2)
            .map(|population| (population.name, population.truth.clone(), 500_000)),
    );
    let seeds = 5;
    let settings: Vec<Targeted> = scenes
        .iter()
        .flat_map(|(population, ..)| (0..seeds).map(move |seed| Targeted { population, seed }))
        .collect();
    let gains: Vec<Gains> = cx.cells("targeted gains", &settings, |setting, seed| {
        let (_, truth, users) = scenes
            .iter()
            .find(|(name, ..)| *name == setting.population)
            .ok_or_else(|| ExperimentError::new("no such population"))?;
        targeted_gains(truth, *users, seed)
    })?;
    let columns = std::iter::once(Column::text("Population"))
        .chain(BASELINES.map(|name| Column::number(name, 3)))
        .chain([
            Column::number("half sets, min-L1, random groups", 3),
            Column::number("half sets, min-L1, best groups", 3),
        ]);
    let mut table = Table::new(
        "Total gain of 10 random targets under maximal gain, 5 % fakes, epsilon 1",
        columns,
    )
    .note("Gain: the targets' estimated mass less that without fakes and the same decoder.");
    let mut rng = cx.seed().child("targeted gains").rng();
    for ((name, ..), gains) in scenes.iter().zip(gains.chunks(seeds as usize)) {
        let mean = |value: &dyn Fn(&Gains) -> f64| {
            stats::mean(&gains.iter().map(value).collect::<Vec<_>>())
        };
        let baselines: Vec<f64> = (0..BASELINES.len())
            .map(|index| mean(&|gains| gains.baselines[index]))
            .collect();
        let hashed = [
            mean(&|gains| gains.hashed[0]),
            mean(&|gains| gains.hashed[1]),
        ];
        table.push(
            std::iter::once(Value::from(*name)).chain(
                baselines
                    .iter()
                    .chain(&hashed)
                    .map(|&gain| Value::from(gain)),
            ),
        );
        // The baseline that gives the attacker least.
        let best = (0..BASELINES.len())
            .min_by(|&a, &b| baselines[a].abs().total_cmp(&baselines[b].abs()))
            .unwrap_or(0);
        let ratios: Vec<f64> = gains
            .iter()
            .map(|gains| gains.hashed[0].max(gains.hashed[1]) / gains.baselines[best].abs())
            .collect();
        let slug = name
            .to_lowercase()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        cx.claim(
            &format!("R3.{slug}"),
            &format!(
                "Half sets and min-L1 give targeted fakes at most half of what the best of unary \
                 encoding and local hashing gives ({}): {name}",
                BASELINES[best]
            ),
        )
        .paper_ref("beyond the paper")
        .scale(Scale::Beyond)
        .expect(Expected::AtMost(0.5))
        .source("this project's bound")
        .measured(Estimate::of_samples(&ratios, "of the baseline", &mut rng));
    }
    cx.table(table);
    Ok(())
}

fn targeted_gains(truth: &Pmf, users: usize, seed: &SeedTree) -> Result<Gains, ExperimentError> {
    let k = truth.domain();
    let mut rng = seed.child("targets").rng();
    let targets = rand::seq::index::sample(&mut rng, k, 10).into_vec();
    let fakes = users / 19;
    let total = |estimates: &[f64]| targets.iter().map(|&target| estimates[target]).sum::<f64>();
    let mut baselines = Vec::new();
    for protocol in [Protocol::UnaryEncoding, Protocol::LocalHashing] {
        let scene = Poisoned {
            attack: Attack::MaximalGain,
            truth,
            targets: &targets,
            honest: users,
            fakes,
            seed,
        };
        let outcome = poisoned(protocol, &scene)?;
        let epsilon = 1.0_f64;
        let (own, other) = (0.5, 1.0 / (epsilon.exp() + 1.0));
        // What a report that supports one symbol decodes to.
        let malicious = (1.0 - other * k as f64) / (own - other);
        let after_each: [Finish<'_>; 4] = [
            &|raw| Ok(raw.to_vec()),
            &|raw| Ok(projected(raw, Projection::SubtractMinimum)),
            &|raw| Ok(projected(raw, Projection::Simplex)),
            &|raw| Ok(ldp_recover(raw, 0.2, malicious)?),
        ];
        for finish in after_each {
            baselines.push(total(&finish(&outcome.after)?) - total(&finish(&outcome.before)?));
        }
    }
    let matrix: DesignMatrix = design_matrix(k, 2, None, Some(1.0), seed)?;
    let honest = sample_counts(&matrix, truth, users as u64, &mut rng)?;
    let gamma = Gamma::new(0.05)?;
    let estimate = |counts: &CountMatrix| -> Result<f64, ExperimentError> {
        Ok(total(
            &decode(Decoder::default(), &matrix, counts, gamma)?.masses,
        ))
    };
    let before = estimate(&honest)?;
    let mut fakes = MaximalGain {
        targets: targets.clone(),
        best_groups: true,
    };
    let injected = inject(&matrix, &honest, &mut fakes, gamma, &mut rng)?.counts;
    let mut chosen = Adversary::Oblivious(Box::new(fakes));
    let concentrated = attack(&matrix, &honest, &mut chosen, gamma, &mut rng)?.counts;
    Ok(Gains {
        baselines,
        hashed: [
            estimate(&injected)? - before,
            estimate(&concentrated)? - before,
        ],
    })
}

/// What is done to raw estimates.
type Finish<'a> = &'a dyn Fn(&[f64]) -> Result<Vec<f64>, ExperimentError>;

fn projected(raw: &[f64], projection: Projection) -> Vec<f64> {
    let mut masses = raw.to_vec();
    projection.apply(&mut masses, 0.0);
    masses
}
