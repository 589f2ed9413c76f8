//! Q9: what attacks that promote chosen symbols gain.

use rand::Rng;
use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Scale, SeedTree, Table, Value,
};
use septet_core::stats;
use septet_robust_stats::Epsilon;
use septet_robust_stats::aggregate::{Aggregate, FrequencyOracle};
use septet_robust_stats::attack::{maximal_gain_unary, random_bits};
use septet_robust_stats::distribution::{AliasSampler, Pmf};
use septet_robust_stats::mechanism::{
    BitVector, HashedCell, LocalHashing, Mechanism, PureMechanism, RandomizedResponse,
    UnaryEncoding, client_generator_from_seed,
};
use serde::Serialize;

use super::seeds;
use super::theory::targeted::{Poisoning, most_in_one_cell};

const SYMBOLS: usize = 102;
const TARGETS: usize = 10;
const HONEST: usize = 19_000;
const FAKES: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) enum Protocol {
    RandomizedResponse,
    UnaryEncoding,
    LocalHashing,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) enum Attack {
    MaximalGain,
    RandomItem,
    RandomReport,
}

/// Estimates without and with fakes, and what the closed form says that targets gain.
pub(super) struct Outcome {
    pub(super) before: Vec<f64>,
    pub(super) after: Vec<f64>,
    pub(super) formula: f64,
}

/// What the targets gained, and what the closed form says.
type Gain = (f64, f64);

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.selects("Q9") {
        return Ok(());
    }
    let attacks = [
        (
            Attack::MaximalGain,
            "maximal-gain",
            "support as many targets as a message can",
        ),
        (
            Attack::RandomItem,
            "random-item",
            "report a target honestly",
        ),
        (Attack::RandomReport, "random-report", "send any message"),
    ];
    // One row per protocol and attack.
    let mut table = Table::new(
        "Total gain of 10 targets out of 102 symbols, 5 % fakes, epsilon 1",
        [
            Column::text("Protocol"),
            Column::text("Attack"),
            Column::number("measured", 4),
            Column::number("formula", 4),
            Column::number("standard error", 4),
        ],
    );
    // Differences are collected by attack, over protocols, since a claim is about an attack.
    let mut differences = vec![Vec::new(); attacks.len()];
    for (protocol, name, runs) in [
        // Its estimates have a larger variance.
        (Protocol::RandomizedResponse, "randomized response", 240),
        (Protocol::UnaryEncoding, "unary encoding", 60),
        (Protocol::LocalHashing, "local hashing", 60),
    ] {
        let runs = seeds(cx, runs);
        let group = format!("targeted attacks on {name}");
        let gains = cx
            .grid(&group, attacks.map(|(attack, ..)| attack))
            .seeds(runs)
            .run(|&attack, cell| gain(protocol, attack, cell.seed()))?;
        for ((attack, id, _), differences) in attacks.iter().zip(&mut differences) {
            let gains: &[Gain] = gains.by_seed(attack)?;
            // Each run has its own closed form: the mass of its targets differs.
            let of_runs: Vec<f64> = gains.iter().map(|(gain, formula)| gain - formula).collect();
            let mean =
                |part: fn(&Gain) -> f64| stats::mean(&gains.iter().map(part).collect::<Vec<_>>());
            differences.push(stats::mean(&of_runs));
            table.push([
                Value::from(name),
                Value::from(*id),
                Value::from(mean(|gain| gain.0)),
                Value::from(mean(|gain| gain.1)),
                Value::from(stats::standard_deviation(&of_runs) / (runs as f64).sqrt()),
            ]);
        }
    }
    cx.table(table);
    // One claim per attack; absolute, because some gains are close to 0.
    for ((_, id, what), differences) in attacks.into_iter().zip(differences) {
        cx.claim(
            &format!("Q9.{id}"),
            &format!(
                "Fakes who {what} gain what the closed form says, by randomized response, unary encoding \
                 and local hashing: difference"
            ),
        )
        .scale(Scale::Beyond)
        .expect(Expected::near(0.0, 0.01))
        .source("Cao, Jia, Gong: Data Poisoning Attacks to LDP Protocols, USENIX Security 2021")
        .tolerance_because("five standard errors of these runs by the variance of the protocols")
        .measured(Estimate::range(&differences, "protocols, means of runs", "of all mass"));
    }
    Ok(())
}

fn gain(protocol: Protocol, attack: Attack, seed: &SeedTree) -> Result<Gain, ExperimentError> {
    let truth = Pmf::log_normal(SYMBOLS, 1.3, 0.2, &mut seed.child("truth").rng())?;
    let mut rng = seed.child("targets").rng();
    let targets = rand::seq::index::sample(&mut rng, SYMBOLS, TARGETS).into_vec();
    let scene = Poisoned {
        attack,
        truth: &truth,
        targets: &targets,
        honest: HONEST,
        fakes: FAKES,
        seed,
    };
    let outcome = poisoned(protocol, &scene)?;
    let total = |estimates: &[f64]| targets.iter().map(|&target| estimates[target]).sum::<f64>();
    Ok((
        total(&outcome.after) - total(&outcome.before),
        outcome.formula,
    ))
}

/// What messages of a protocol support in expectation.
#[derive(Clone, Copy)]
struct Supported {
    /// Targets, by the message that supports most of them.
    most: f64,
    /// A given symbol, by a random message.
    random: f64,
}

/// Estimates of a protocol under an attack, with epsilon 1.
pub(super) fn poisoned(
    protocol: Protocol,
    scene: &Poisoned<'_>,
) -> Result<Outcome, ExperimentError> {
    let epsilon = Epsilon::new(1.0)?;
    let symbols = scene.truth.domain();
    let targets = scene.targets;
    let any = |rng: &mut dyn rand::RngCore| targets[rng.random_range(0..targets.len())];
    match protocol {
        // A message supports one symbol: maximal gain sends a target as it is.
        Protocol::RandomizedResponse => {
            let mechanism = RandomizedResponse::new(symbols, epsilon)?;
            let supported = Supported {
                most: 1.0,
                random: 1.0 / symbols as f64,
            };
            poison(&mechanism, supported, scene, |attack, rng| {
                Ok(match attack {
                    Attack::MaximalGain => any(rng) as u32,
                    Attack::RandomItem => mechanism.encode(any(rng), &mut Secure(rng))?,
                    Attack::RandomReport => rng.random_range(0..symbols as u32),
                })
            })
        }
        // A message can support all targets; further bits fill up to the number in an honest one.
        Protocol::UnaryEncoding => {
            let mechanism = UnaryEncoding::optimized(symbols, epsilon)?;
            let support = mechanism.support();
            let bits = |values: Vec<bool>| {
                let mut vector = BitVector::zeros(symbols);
                for (bit, value) in values.into_iter().enumerate() {
                    vector.set(bit, value);
                }
                vector
            };
            let supported = Supported {
                most: targets.len() as f64,
                random: 0.5,
            };
            poison(&mechanism, supported, scene, |attack, rng| {
                Ok(match attack {
                    Attack::MaximalGain => bits(maximal_gain_unary(
                        symbols,
                        targets,
                        support.own,
                        support.other,
                        rng,
                    )?),
                    Attack::RandomItem => mechanism.encode(any(rng), &mut Secure(rng))?,
                    Attack::RandomReport => bits(random_bits(symbols, rng)),
                })
            })
        }
        // Seeds are searched in advance, and the fakes share those that serve best.
        Protocol::LocalHashing => {
            let mechanism = LocalHashing::new(symbols, epsilon)?;
            let mut rng = scene.seed.child("seeds").rng();
            let strong: Vec<HashedCell> = (0..SEEDS)
                .map(|_| strongest_cell(&mechanism, targets, &mut rng))
                .collect();
            let cells = mechanism.cells();
            let supported = Supported {
                most: most_in_one_cell(targets.len(), cells, TRIES),
                random: 1.0 / cells as f64,
            };
            poison(&mechanism, supported, scene, |attack, rng| {
                Ok(match attack {
                    Attack::MaximalGain => strong[rng.random_range(0..SEEDS)],
                    Attack::RandomItem => mechanism.encode(any(rng), &mut Secure(rng))?,
                    // A pair of any seed and cell is a valid message.
                    Attack::RandomReport => HashedCell {
                        seed: rng.random(),
                        cell: rng.random_range(0..cells as u32),
                    },
                })
            })
        }
    }
}

/// How many seeds the fakes of local hashing share. With one alone they would also raise every other
/// symbol of its cell, and a projection would share the gain out among all of these.
const SEEDS: usize = 100;

/// How many seeds of local hashing an attacker tries for one that serves.
const TRIES: i32 = 1_000;

/// Among so many seeds the cell with most targets.
fn strongest_cell(mechanism: &LocalHashing, targets: &[usize], rng: &mut impl Rng) -> HashedCell {
    let mut best = (0, HashedCell { seed: 0, cell: 0 });
    for _ in 0..TRIES {
        let seed = rng.random();
        let mut sizes = vec![0; mechanism.cells()];
        for &target in targets {
            sizes[mechanism.cell(seed, target as u32) as usize] += 1;
        }
        for (cell, &size) in (0..).zip(&sizes) {
            if size > best.0 {
                best = (size, HashedCell { seed, cell });
            }
        }
    }
    best.1
}

/// A simulation's generator where clients ask for a cryptographic one: it is ChaCha, of eight rounds.
struct Secure<'a>(&'a mut dyn rand::RngCore);

impl rand::RngCore for Secure<'_> {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

impl rand::CryptoRng for Secure<'_> {}

/// Who is poisoned, and how.
pub(super) struct Poisoned<'a> {
    pub(super) attack: Attack,
    pub(super) truth: &'a Pmf,
    pub(super) targets: &'a [usize],
    pub(super) honest: usize,
    pub(super) fakes: usize,
    pub(super) seed: &'a SeedTree,
}

/// Adds fakes to honest reports.
fn poison<M, R>(
    mechanism: &M,
    supported: Supported,
    scene: &Poisoned<'_>,
    mut fake: impl FnMut(Attack, &mut dyn rand::RngCore) -> Result<R, ExperimentError>,
) -> Result<Outcome, ExperimentError>
where
    M: FrequencyOracle<Report = R> + PureMechanism + Mechanism<Report = R>,
{
    let Poisoned {
        attack,
        truth,
        targets,
        honest,
        fakes,
        seed,
    } = *scene;
    // Honest clients first: their estimates are the ones before the attack.
    let mut clients = client_generator_from_seed(seed.child("clients").rng().random());
    let sampler = AliasSampler::new(truth);
    let rejected = |reject| ExperimentError::new(format!("{reject:?}"));
    let mut aggregate = Aggregate::new(mechanism.clone());
    let mut mass = 0.0;
    for _ in 0..honest {
        let symbol = sampler.sample(&mut clients);
        // The mass of the targets as drawn: the closed form is then free of sampling noise.
        mass += f64::from(u8::from(targets.contains(&symbol))) / honest as f64;
        let report = Mechanism::encode(mechanism, symbol, &mut clients)?;
        aggregate.push(&report).map_err(rejected)?;
    }
    let before = aggregate.estimates();
    // Fakes join the same aggregate, so that honest noise is on both sides.
    let mut rng = seed.child("fakes").rng();
    for _ in 0..fakes {
        let report = fake(attack, &mut rng)?;
        aggregate.push(&report).map_err(rejected)?;
    }
    // The closed form for the attack at hand.
    let support = mechanism.support();
    let poisoning = Poisoning {
        fraction: fakes as f64 / (fakes + honest) as f64,
        targets: targets.len(),
        true_mass: mass,
    };
    let formula = match attack {
        Attack::MaximalGain => poisoning.gain(support, supported.most),
        Attack::RandomItem => poisoning.random_item_gain(support),
        Attack::RandomReport => poisoning.gain(support, targets.len() as f64 * supported.random),
    };
    Ok(Outcome {
        before,
        after: aggregate.estimates(),
        formula,
    })
}
