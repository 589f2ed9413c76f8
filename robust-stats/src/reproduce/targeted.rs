//! Q9: what attacks that promote chosen symbols gain.

use rand::Rng;
use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Scale, SeedTree, Table, Value,
};
use septet_core::stats;
use serde::Serialize;

use crate::Epsilon;
use crate::aggregate::{Aggregate, FrequencyOracle};
use crate::attack::{maximal_gain_unary, random_bits};
use crate::distribution::{AliasSampler, Pmf};
use crate::mechanism::{
    BitVector, HashedCell, LocalHashing, Mechanism, PureMechanism, RandomizedResponse,
    UnaryEncoding, client_generator_from_seed,
};
use crate::theory::targeted::{Poisoning, PureProtocol};

use super::{DERIVED, seeds};

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

#[derive(Clone, Copy, Debug, Serialize)]
struct Setting {
    protocol: Protocol,
    attack: Attack,
    seed: u64,
}

/// What was gained, and what the formula says for the supports that the fakes had.
type Gain = (f64, f64);

/// Estimates without and with fakes, and what the formula says that targets gain.
pub(super) struct Outcome {
    pub(super) before: Vec<f64>,
    pub(super) after: Vec<f64>,
    pub(super) formula: f64,
}

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.wants("Q9") {
        return Ok(());
    }
    let seeds = seeds(cx, 40);
    let protocols = [
        (Protocol::RandomizedResponse, "randomised-response"),
        (Protocol::UnaryEncoding, "unary"),
        (Protocol::LocalHashing, "local-hashing"),
    ];
    let attacks = [
        (Attack::MaximalGain, "maximal-gain"),
        (Attack::RandomItem, "random-item"),
        (Attack::RandomReport, "random-report"),
    ];
    let mut settings = Vec::new();
    for (protocol, _) in protocols {
        for (attack, _) in attacks {
            settings.extend((0..seeds).map(|seed| Setting {
                protocol,
                attack,
                seed,
            }));
        }
    }
    let gains: Vec<Gain> = cx.cells("targeted attacks", &settings, gain)?;
    let mut table = Table::new(
        "Total gain of 10 targets out of 102 symbols, 5 % fakes, epsilon 1",
        [
            Column::text("Protocol"),
            Column::text("Attack"),
            Column::number("measured", 4),
            Column::number("formula", 4),
        ],
    );
    let mut groups = gains.chunks(seeds as usize);
    for (_, protocol) in protocols {
        for (_, attack) in attacks {
            let Some(gains) = groups.next() else {
                continue;
            };
            let measured: Vec<f64> = gains.iter().map(|gain| gain.0).collect();
            let formula = stats::mean(&gains.iter().map(|gain| gain.1).collect::<Vec<_>>());
            let deviation = stats::standard_deviation(&measured);
            let interval =
                stats::student_t(&measured, 0.95).map_or((f64::NAN, f64::NAN), Into::into);
            let mean = stats::mean(&measured);
            cx.claim(
                &format!("Q9.{protocol}.{attack}"),
                &format!("The {attack} attack on {protocol} gains what the closed form says"),
            )
            .paper_ref("beyond the paper: targeted attacks of Cao, Jia and Gong")
            .scale(Scale::Beyond)
            .expect(Expected::near(formula, 3.0 * deviation / 5.0_f64.sqrt()))
            .source(DERIVED)
            .tolerance_because("three standard errors of a mean of five runs")
            .measured(Estimate::with_interval(mean, interval, measured.len(), ""));
            table.push([
                Value::from(protocol),
                Value::from(attack),
                Value::from(mean),
                Value::from(formula),
            ]);
        }
    }
    cx.table(table);
    Ok(())
}

fn gain(setting: &Setting, seed: &SeedTree) -> Result<Gain, ExperimentError> {
    let truth = Pmf::log_normal(SYMBOLS, 1.3, 0.2, &mut seed.child("truth").rng())?;
    let mut rng = seed.child("targets").rng();
    let targets = rand::seq::index::sample(&mut rng, SYMBOLS, TARGETS).into_vec();
    let scene = Poisoned {
        attack: setting.attack,
        truth: &truth,
        targets: &targets,
        honest: HONEST,
        fakes: FAKES,
        seed,
    };
    let outcome = poisoned(setting.protocol, &scene)?;
    let total = |estimates: &[f64]| targets.iter().map(|&target| estimates[target]).sum::<f64>();
    Ok((
        total(&outcome.after) - total(&outcome.before),
        outcome.formula,
    ))
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
        Protocol::RandomizedResponse => {
            let mechanism = RandomizedResponse::new(symbols, epsilon)?;
            poison(&mechanism, 1.0 / symbols as f64, scene, |attack, rng| {
                Ok(match attack {
                    Attack::MaximalGain => any(rng) as u32,
                    Attack::RandomItem => mechanism.encode(any(rng), &mut Secure(rng))?,
                    Attack::RandomReport => rng.random_range(0..symbols as u32),
                })
            })
        }
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
            poison(&mechanism, 0.5, scene, |attack, rng| {
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
        Protocol::LocalHashing => {
            let mechanism = LocalHashing::new(symbols, epsilon)?;
            let mut rng = scene.seed.child("seeds").rng();
            let strong: Vec<HashedCell> = (0..SEEDS)
                .map(|_| strongest_cell(&mechanism, targets, &mut rng))
                .collect();
            poison(
                &mechanism,
                1.0 / mechanism.cells() as f64,
                scene,
                |attack, rng| {
                    Ok(match attack {
                        Attack::MaximalGain => strong[rng.random_range(0..SEEDS)],
                        Attack::RandomItem => mechanism.encode(any(rng), &mut Secure(rng))?,
                        Attack::RandomReport => HashedCell {
                            seed: rng.random(),
                            cell: rng.random_range(0..mechanism.cells() as u32),
                        },
                    })
                },
            )
        }
    }
}

/// How many seeds the fakes of local hashing share. With one alone they would also raise every other
/// symbol of its cell, and a projection would share the gain out among all of these.
const SEEDS: usize = 100;

/// Among 1000 seeds the cell with most targets.
fn strongest_cell(mechanism: &LocalHashing, targets: &[usize], rng: &mut impl Rng) -> HashedCell {
    let mut best = (0, HashedCell { seed: 0, cell: 0 });
    for _ in 0..1_000 {
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

/// Adds fakes to honest reports. `random_support` is the chance that a random report supports a given
/// symbol.
fn poison<M, R>(
    mechanism: &M,
    random_support: f64,
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
    let mut clients = client_generator_from_seed(seed.child("clients").rng().random());
    let sampler = AliasSampler::new(truth);
    let rejected = |reject| ExperimentError::new(format!("{reject:?}"));
    let mut aggregate = Aggregate::new(mechanism.clone());
    let mut mass = 0.0;
    for _ in 0..honest {
        let symbol = sampler.sample(&mut clients);
        mass += f64::from(u8::from(targets.contains(&symbol))) / honest as f64;
        let report = Mechanism::encode(mechanism, symbol, &mut clients)?;
        aggregate.push(&report).map_err(rejected)?;
    }
    let total = |estimates: &[f64]| targets.iter().map(|&target| estimates[target]).sum::<f64>();
    let before = aggregate.estimates();
    let mut rng = seed.child("fakes").rng();
    let mut alone = Aggregate::new(mechanism.clone());
    for _ in 0..fakes {
        let report = fake(attack, &mut rng)?;
        aggregate.push(&report).map_err(rejected)?;
        alone.push(&report).map_err(rejected)?;
    }
    let support = mechanism.support();
    let protocol = PureProtocol {
        own: support.own,
        other: support.other,
    };
    let poisoning = Poisoning::new(fakes as f64 / (fakes + honest) as f64, targets.len(), mass)?;
    let formula = match attack {
        // As many targets as the chosen messages support; for local hashing it depends on the seeds.
        Attack::MaximalGain => {
            let each = total(&alone.estimates()) * (support.own - support.other)
                + targets.len() as f64 * support.other;
            protocol.gain(&poisoning, each)
        }
        Attack::RandomItem => protocol.random_item_gain(&poisoning),
        Attack::RandomReport => protocol.gain(&poisoning, targets.len() as f64 * random_support),
    };
    Ok(Outcome {
        before,
        after: aggregate.estimates(),
        formula,
    })
}
