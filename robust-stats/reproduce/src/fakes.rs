//! R: fakes that promote symbols of real distributions: what they gain, and what is left of the
//! estimate.

use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Scale, SeedTree, Table, Value,
};
use septet_core::stats;
use septet_robust_stats::aggregate::CountMatrix;
use septet_robust_stats::attack::{Adversary, MaximalGain, attack, inject};
use septet_robust_stats::decode::{Decoder, Projection, ldp_recover};
use septet_robust_stats::design::DesignMatrix;
use septet_robust_stats::distribution::Pmf;
use septet_robust_stats::parameter::Gamma;
use septet_robust_stats::simulate::sample_counts;
use serde::{Deserialize, Serialize};

use super::population::{decode, design_matrix, distance};
use super::real::{self, Population};
use super::targeted::{Attack, Poisoned, Protocol, poisoned};

/// Total gains of the targets under maximal gain with 5 % fakes, epsilon 1.
#[derive(Serialize, Deserialize)]
struct Gains {
    /// Unary encoding and local hashing, each raw, with the minimum subtracted, on the simplex, and
    /// by LDPRecover.
    baselines: Vec<f64>,
    /// The total variation of these estimates from the truth, with the fakes in.
    baseline_errors: Vec<f64>,
    /// Half sets and min-L1: fakes in random groups, and in the best ones.
    hashed: [f64; 2],
    /// Their total variation from the truth.
    hashed_errors: [f64; 2],
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

pub(super) fn run(cx: &mut Context, populations: &[Population]) -> Result<(), ExperimentError> {
    // Two synthetic populations, and at most two real ones.
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
    // Gains by population; cells are named, since a truth is no parameter.
    let names: Vec<&str> = scenes.iter().map(|(name, ..)| *name).collect();
    let grid = cx
        .grid("targeted gains", names.clone())
        .reads(real::DATA_SETS)
        .seeds(5)
        .version(2)
        .run(|population, cell| {
            let (_, truth, users) = scenes
                .iter()
                .find(|(name, ..)| name == population)
                .ok_or_else(|| ExperimentError::new("no such population"))?;
            targeted_gains(truth, *users, cell.seed())
        })?;
    // Two tables of the same columns: gains, and errors of the same estimates.
    let columns = || {
        std::iter::once(Column::text("Population"))
            .chain(BASELINES.map(|name| Column::number(name, 3)))
            .chain([
                Column::number("half sets, min-L1, random groups", 3),
                Column::number("half sets, min-L1, best groups", 3),
            ])
    };
    let mut table = Table::new(
        "Total gain of 10 random targets under maximal gain, 5 % fakes, epsilon 1",
        columns(),
    )
    .note("Gain: the targets' estimated mass less that without fakes and the same decoder.");
    let mut errors_table = Table::new(
        "Total variation from the truth of the same estimates, fakes included",
        columns(),
    )
    .note("A decoder that flattens every estimate gives targets little and is wrong anyway.");
    let mut rng = cx.seed().child("targeted gains").rng();
    for name in &names {
        let gains: &[Gains] = grid.by_seed(name)?;
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
        let baseline_errors: Vec<f64> = (0..BASELINES.len())
            .map(|index| mean(&|gains| gains.baseline_errors[index]))
            .collect();
        let hashed_errors = [0, 1].map(|index| mean(&|gains| gains.hashed_errors[index]));
        errors_table.push(
            std::iter::once(Value::from(*name)).chain(
                baseline_errors
                    .iter()
                    .chain(&hashed_errors)
                    .map(|&error| Value::from(error)),
            ),
        );
        // The baseline that gives the attacker least.
        let best = (0..BASELINES.len())
            .min_by(|&a, &b| baselines[a].abs().total_cmp(&baselines[b].abs()))
            .unwrap_or(0);
        // The worse of both attacks counts, relative to the baseline in the same run.
        let ratios: Vec<f64> = gains
            .iter()
            .map(|gains| gains.hashed[0].max(gains.hashed[1]) / gains.baselines[best].abs())
            .collect();
        let slug = name
            .to_lowercase()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        cx.claim(
            &format!("R.gain.{slug}"),
            &format!(
                "Half sets and min-L1 give targeted fakes at most half of what the best of unary \
                 encoding and local hashing gives ({}): {name}",
                BASELINES[best]
            ),
        )
        .scale(Scale::Beyond)
        .expect(Expected::AtMost(0.5))
        .source("this project's bound")
        .measured(Estimate::mean(&ratios, "runs", "of the baseline", &mut rng));
        // Least error and least gain may be of different baselines.
        let nearest = (0..BASELINES.len())
            .min_by(|&a, &b| baseline_errors[a].total_cmp(&baseline_errors[b]))
            .unwrap_or(0);
        let ratios: Vec<f64> = gains
            .iter()
            .map(|gains| {
                gains.hashed_errors[0].max(gains.hashed_errors[1]) / gains.baseline_errors[nearest]
            })
            .collect();
        cx.claim(
            &format!("R.error.{slug}"),
            &format!(
                "Under the same fakes half sets and min-L1 are nearer the truth than the best of \
                 unary encoding and local hashing ({}): {name}",
                BASELINES[nearest]
            ),
        )
        .scale(Scale::Beyond)
        .expect(Expected::AtMost(1.0))
        .source("this project's bound")
        .measured(Estimate::mean(&ratios, "runs", "of the baseline", &mut rng));
    }
    cx.table(table);
    cx.table(errors_table);
    Ok(())
}

fn targeted_gains(truth: &Pmf, users: usize, seed: &SeedTree) -> Result<Gains, ExperimentError> {
    // The same targets for all protocols; one fake to 19 users makes 5 % of all.
    let k = truth.domain();
    let mut rng = seed.child("targets").rng();
    let targets = rand::seq::index::sample(&mut rng, k, 10).into_vec();
    let fakes = users / 19;
    let total = |estimates: &[f64]| targets.iter().map(|&target| estimates[target]).sum::<f64>();
    let (mut baselines, mut baseline_errors) = (Vec::new(), Vec::new());
    // Baselines: poisoned once per protocol, then finished in four ways.
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
        // Probabilities of optimized unary encoding, used for local hashing as well.
        let (own, other) = (0.5, 1.0 / (epsilon.exp() + 1.0));
        // What a report that supports one symbol decodes to.
        let malicious = (1.0 - other * k as f64) / (own - other);
        let after_each: [Finish<'_>; 4] = [
            &|raw| Ok(raw.to_vec()),
            &|raw| Ok(projected(raw, Projection::SubtractMinimum)),
            &|raw| Ok(projected(raw, Projection::Simplex)),
            // LDPRecover has to guess the ratio of fakes: 0.2 is more than the true 1 / 19.
            &|raw| Ok(ldp_recover(raw, 0.2, malicious)?),
        ];
        for finish in after_each {
            let after = finish(&outcome.after)?;
            baselines.push(total(&after) - total(&finish(&outcome.before)?));
            baseline_errors.push(distance(&after, truth));
        }
    }
    // Half sets without fakes, with fakes in random groups, and with corrupted users in the best groups.
    let matrix: DesignMatrix = design_matrix(k, 2, None, Some(1.0), seed)?;
    let honest = sample_counts(&matrix, truth, users as u64, &mut rng)?;
    let gamma = Gamma::new(0.05)?;
    let estimate = |counts: &CountMatrix| -> Result<(f64, f64), ExperimentError> {
        let masses = decode(Decoder::default(), &matrix, counts, gamma)?.masses;
        Ok((total(&masses), distance(&masses, truth)))
    };
    let (before, _) = estimate(&honest)?;
    let mut fakes = MaximalGain {
        targets: targets.clone(),
        best_groups: true,
    };
    let injected = inject(&matrix, &honest, &mut fakes, gamma, &mut rng)?.counts;
    let mut chosen = Adversary::Oblivious(Box::new(fakes));
    let concentrated = attack(&matrix, &honest, &mut chosen, gamma, &mut rng)?.counts;
    let (injected, concentrated) = (estimate(&injected)?, estimate(&concentrated)?);
    Ok(Gains {
        baselines,
        baseline_errors,
        hashed: [injected.0 - before, concentrated.0 - before],
        hashed_errors: [injected.1, concentrated.1],
    })
}

/// What is done to raw estimates.
type Finish<'a> = &'a dyn Fn(&[f64]) -> Result<Vec<f64>, ExperimentError>;

fn projected(raw: &[f64], projection: Projection) -> Vec<f64> {
    let mut masses = raw.to_vec();
    projection.apply(&mut masses, 0.0);
    masses
}
