//! Q6: what a straggler costs a round of queries, in virtual time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::Rng as _;
use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Scale, SeedTree, Table, Value,
};
use septet_core::stats;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::code::{Code, InvNet, MixedQueries, Model};
use crate::engine::{Backend, BackendError, Call, Engine, Query, ReconstructionPolicy};
use crate::tensor::Tensor;

/// Queries of a round, as in the authors' cluster: ten workers and one for the parity.
const QUERIES: usize = 10;

/// The time of one inference.
const SERVICE: Duration = Duration::from_millis(20);

/// What the straggler sleeps before it answers, and how often there is one.
const DELAY: Duration = Duration::from_millis(100);
const CHANCE: f64 = 0.1;

/// Rounds of one cell: enough for five beyond the 99.9th percentile.
const ROUNDS: usize = 5_000;

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
enum Scheme {
    /// Nobody straggles, nothing is reconstructed.
    Undisturbed,
    /// Stragglers, and nothing is reconstructed.
    None,
    /// Stragglers, and one parity for the ten queries.
    Coded,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Setting {
    scheme: Scheme,
    seed: u64,
}

/// Latencies of rounds in milliseconds: from the first query sent to the last answer.
#[derive(Debug, Serialize, Deserialize)]
struct Latencies {
    median: f64,
    mean: f64,
    p99: f64,
    p99_5: f64,
    p99_9: f64,
    /// The share of answers that were reconstructed.
    reconstructed: f64,
}

/// Workers of which the query at one place of the round may straggle; the parity, which comes after
/// the queries, never does.
#[derive(Clone, Debug)]
struct Round {
    slow: Arc<Mutex<Slow>>,
}

#[derive(Debug, Default)]
struct Slow {
    /// The place of the straggler, if there is one.
    place: Option<usize>,
    /// Tasks of this round that have begun.
    begun: usize,
}

impl Round {
    fn begin(&self, place: Option<usize>) {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        *slow = Slow { place, begun: 0 };
    }
}

impl Backend for Round {
    fn workers(&self) -> usize {
        QUERIES + 1
    }

    fn serves(&self, _: usize, _: &Model) -> bool {
        true
    }

    async fn infer(&self, _: usize, call: Call) -> Result<Tensor, BackendError> {
        let is_slow = {
            let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
            slow.begun += 1;
            slow.place == Some(slow.begun - 1)
        };
        sleep(SERVICE + if is_slow { DELAY } else { Duration::ZERO }).await;
        Ok(call.input)
    }
}

pub(super) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.wants("Q6") {
        return Ok(());
    }
    let seeds = 3;
    let schemes = [Scheme::Undisturbed, Scheme::None, Scheme::Coded];
    let settings: Vec<Setting> = schemes
        .into_iter()
        .flat_map(|scheme| (0..seeds).map(move |seed| Setting { scheme, seed }))
        .collect();
    // The schemes meet the same stragglers.
    let root = cx.seed().child("stragglers");
    let measured: Vec<Latencies> = cx.cells("latency", &settings, |setting, _| {
        latencies(setting.scheme, &root.index(setting.seed))
    })?;
    let by_scheme: Vec<&[Latencies]> = measured.chunks(seeds as usize).collect();
    let mut table = Table::new(
        "Latency of a round of ten queries in milliseconds, 20 ms an inference; one of ten workers \
         sleeps 100 ms in a tenth of the rounds",
        [
            Column::text("Scheme"),
            Column::number("median", 1),
            Column::number("mean", 1),
            Column::number("99 %", 1),
            Column::number("99.5 %", 1),
            Column::number("99.9 %", 1),
            Column::number("reconstructed answers, %", 2),
        ],
    )
    .note("Virtual time: no network, and encoding and decoding take none.");
    for (scheme, latencies) in schemes.iter().zip(&by_scheme) {
        let mean = |value: fn(&Latencies) -> f64| {
            stats::mean(&latencies.iter().map(value).collect::<Vec<_>>())
        };
        table.push([
            Value::from(match scheme {
                Scheme::Undisturbed => "none, without stragglers",
                Scheme::None => "none",
                Scheme::Coded => "Coded-InvNet",
            }),
            Value::from(mean(|l| l.median)),
            Value::from(mean(|l| l.mean)),
            Value::from(mean(|l| l.p99)),
            Value::from(mean(|l| l.p99_5)),
            Value::from(mean(|l| l.p99_9)),
            Value::from(100.0 * mean(|l| l.reconstructed)),
        ]);
    }
    cx.table(table);
    let [_, none, coded] = by_scheme[..] else {
        return Err(ExperimentError::new("three schemes were measured"));
    };
    let mut rng = cx.seed().child("latency intervals").rng();
    let mut claim = |id: &str, statement: &str, expected, values: Vec<f64>, unit: &str| {
        cx.claim(id, statement)
            .paper_ref("latency experiment")
            .scale(Scale::Simulated)
            .expect(expected)
            .source("the authors' injection: 100 ms with probability 0.1")
            .measured(Estimate::of_samples(&values, unit, &mut rng));
    };
    claim(
        "Q6.none",
        "Without a code a straggler holds up its round: the 99th percentile",
        Expected::AtLeast(115.0),
        none.iter().map(|l| l.p99).collect(),
        "ms",
    );
    claim(
        "Q6.coded",
        "With a code it does not: the 99.9th percentile over the median",
        Expected::AtMost(1.25),
        coded.iter().map(|l| l.p99_9 / l.median).collect(),
        "",
    );
    let pairs = none.iter().zip(coded);
    claim(
        "Q6.tail",
        "The 99.9th percentile: coded over none",
        Expected::AtMost(0.35),
        pairs
            .clone()
            .map(|(none, coded)| coded.p99_9 / none.p99_9)
            .collect(),
        "",
    );
    claim(
        "Q6.median",
        "and the median stays: coded over none",
        Expected::Between(0.95, 1.05),
        pairs
            .map(|(none, coded)| coded.median / none.median)
            .collect(),
        "",
    );
    Ok(())
}

fn latencies(scheme: Scheme, seed: &SeedTree) -> Result<Latencies, ExperimentError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(rounds(scheme, seed))
}

async fn rounds(scheme: Scheme, seed: &SeedTree) -> Result<Latencies, ExperimentError> {
    let code: Arc<dyn Code> = Arc::new(InvNet::new(QUERIES, 1, MixedQueries)?);
    let backend = Round {
        slow: Arc::default(),
    };
    let policy = match scheme {
        Scheme::Coded => ReconstructionPolicy::FirstWins,
        Scheme::Undisturbed | Scheme::None => ReconstructionPolicy::Never,
    };
    let engine = Engine::builder(code, backend.clone())
        .policy(policy)
        .build();
    let mut rng = seed.rng();
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let straggles = rng.random_bool(CHANCE) && scheme != Scheme::Undisturbed;
        backend.begin(straggles.then_some(round % QUERIES));
        let start = Instant::now();
        let answers: Vec<_> = (0..QUERIES)
            .map(|query| {
                let engine = engine.clone();
                let input = Tensor::vector(vec![query as f32, round as f32]);
                tokio::spawn(async move { engine.predict(Query::new(input)).await })
            })
            .collect();
        for answer in answers {
            answer.await??;
        }
        times.push(start.elapsed().as_secs_f64() * 1e3);
        // A barrier ends each round, as in the authors' program: stragglers never queue up.
        while engine.open_groups() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    let counted = engine.statistics();
    let quantile = |share| stats::quantile(&times, share).unwrap_or(f64::NAN);
    Ok(Latencies {
        median: quantile(0.5),
        mean: stats::mean(&times),
        p99: quantile(0.99),
        p99_5: quantile(0.995),
        p99_9: quantile(0.999),
        reconstructed: counted.reconstructed as f64 / counted.accepted as f64,
    })
}
