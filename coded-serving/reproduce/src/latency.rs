//! Q6: what a straggler costs a round of queries, through the engine and in virtual time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::Rng as _;
use septet_coded_serving::Tensor;
use septet_coded_serving::code::{Code, InvNet, MixedQueries, Model};
use septet_coded_serving::engine::{
    Backend, BackendError, Call, Engine, Query, ReconstructionPolicy, ServeError,
};
use septet_core::experiment::{
    Column, Context, Estimate, Expected, ExperimentError, Scale, SeedTree, Table, Value,
};
use septet_core::stats;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

/// Queries of a round, as in the authors' cluster: ten workers and one for the parity.
const QUERIES: usize = 10;

/// The time of one inference.
const SERVICE: Duration = Duration::from_millis(20);

/// What the straggler sleeps before it answers, and how often there is one.
const DELAY: Duration = Duration::from_millis(100);
const PROBABILITY: f64 = 0.1;

/// The largest error of an answer that is right: the rounding of sums of some thousands.
const ROUNDING: f32 = 0.05;

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
enum Scheme {
    /// Nobody straggles, nothing is reconstructed.
    Undisturbed,
    /// Stragglers, and nothing is reconstructed.
    None,
    /// Stragglers, and one parity for the ten queries, which is made in no time.
    Coded,
    /// The same with the time of an encoder in front of the parity, in tenths of an inference.
    Encoded { tenths: u32 },
}

/// The frugal and the large encoder that the full profile trains, at the speed of a worker.
const SCHEMES: [Scheme; 5] = [
    Scheme::Undisturbed,
    Scheme::None,
    Scheme::Coded,
    Scheme::Encoded { tenths: 11 },
    Scheme::Encoded { tenths: 36 },
];

#[derive(Clone, Copy, Debug, Serialize)]
struct Setting {
    scheme: Scheme,
    rounds: usize,
}

impl Setting {
    fn of(scheme: Scheme) -> Self {
        // Enough for five beyond the 99.9th percentile, and for an interval of a hundredth.
        let rounds = 5_000;
        Self { scheme, rounds }
    }
}

/// What came of the rounds.
#[derive(Debug, Serialize, Deserialize)]
struct Rounds {
    /// Latencies in milliseconds: from the first query sent to the last answer.
    median: f64,
    mean: f64,
    p99: f64,
    p99_9: f64,
    /// The share of answers that were reconstructed.
    reconstructed: f64,
    /// Rounds with a straggler.
    straggling: u64,
    /// Of these, rounds that waited for it, or in which an answer was wrong.
    spoiled: u64,
}

/// Workers of which the query at one place of the round may straggle; the parity, which comes after
/// the queries, never does.
#[derive(Clone, Debug)]
struct Round {
    slow: Arc<Mutex<Slow>>,
    /// How long it takes to make the parity.
    encoding: Duration,
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
        let more = {
            let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
            let place = slow.begun;
            slow.begun += 1;
            if place == QUERIES {
                self.encoding
            } else if slow.place == Some(place) {
                DELAY
            } else {
                Duration::ZERO
            }
        };
        sleep(SERVICE + more).await;
        Ok(call.input)
    }
}

pub(crate) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.selects("Q6") {
        return Ok(());
    }
    // The schemes meet the same stragglers.
    let seed = cx.seed().child("stragglers");
    let rounds = cx
        .grid("rounds", SCHEMES.map(Setting::of))
        .run(|setting, _| in_virtual_time(*setting, &seed))?;
    // All schemes in a table, without a claim: the latencies follow from the constants.
    let mut table = Table::new(
        "Latency of a round of ten queries in milliseconds, 20 ms an inference; one of ten workers \
         sleeps 100 ms in a tenth of the rounds",
        [
            Column::text("Scheme"),
            Column::number("median", 1),
            Column::number("mean", 1),
            Column::number("99 %", 1),
            Column::number("99.9 %", 1),
            Column::number("reconstructed answers, %", 2),
        ],
    )
    .note("Virtual time without a network: the percentiles follow from the constants. They say what the encoder has to cost at most, no more: 120 ms without a code, 20 ms and the encoder with one. The encoders of 1.1 and 3.6 inferences are those that the full profile trains.");
    for scheme in SCHEMES {
        let found = rounds.get(&Setting::of(scheme))?;
        table.push([
            match scheme {
                Scheme::Undisturbed => Value::from("none, without stragglers"),
                Scheme::None => Value::from("none"),
                Scheme::Coded => Value::from("coded, encoder at no cost"),
                Scheme::Encoded { tenths } => {
                    let inferences = f64::from(tenths) / 10.0;
                    Value::from(format!("coded, encoder of {inferences} inferences"))
                }
            },
            Value::from(found.median),
            Value::from(found.mean),
            Value::from(found.p99),
            Value::from(found.p99_9),
            Value::from(100.0 * found.reconstructed),
        ]);
    }
    cx.table(table);
    // What is claimed is that a code leaves no round behind. The encoder costs nothing here: the
    // claim is about the reconstruction. A barrier separates rounds, so each is an independent trial.
    let coded = rounds.get(&Setting::of(Scheme::Coded))?;
    cx.claim(
        "Q6.spoiled",
        "Rounds with a straggler that wait for it, or in which an answer is wrong, with a code",
    )
    .scale(Scale::Simulated)
    .expect(Expected::AtMost(0.01))
    .source("the parity and the other answers of a round make up for its straggler, exactly for a linear model")
    .tolerance_because("none in 500 rounds leaves up to 0.8 %")
    .measured(Estimate::proportion(
        coded.spoiled,
        coded.straggling,
        "rounds with a straggler",
    ));
    Ok(())
}

fn in_virtual_time(setting: Setting, seed: &SeedTree) -> Result<Rounds, ExperimentError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(rounds(setting, seed))
}

async fn rounds(setting: Setting, seed: &SeedTree) -> Result<Rounds, ExperimentError> {
    let Setting { scheme, rounds } = setting;
    let code: Arc<dyn Code> = Arc::new(InvNet::new(QUERIES, 1, MixedQueries)?);
    let backend = Round {
        slow: Arc::default(),
        encoding: match scheme {
            Scheme::Encoded { tenths } => SERVICE * tenths / 10,
            _ => Duration::ZERO,
        },
    };
    // Without a code the same engine runs, and never reconstructs.
    let policy = match scheme {
        Scheme::Coded | Scheme::Encoded { .. } => ReconstructionPolicy::FirstWins,
        Scheme::Undisturbed | Scheme::None => ReconstructionPolicy::Never,
    };
    let engine = Engine::builder(code, backend.clone())
        .policy(policy)
        .build()?;
    let mut rng = seed.rng();
    let mut times = Vec::with_capacity(rounds);
    let (mut straggling, mut spoiled) = (0, 0);
    for round in 0..rounds {
        // The draw comes first: all schemes take the same draws, also the one without stragglers. The
        // place takes turns, so that each query of a round is hit equally often.
        let straggles = rng.random_bool(PROBABILITY) && scheme != Scheme::Undisturbed;
        backend.begin(straggles.then_some(round % QUERIES));
        let start = Instant::now();
        // All queries of a round are sent at once; each checks its own answer.
        let answers: Vec<_> = (0..QUERIES)
            .map(|query| {
                let engine = engine.clone();
                // The model answers what it is asked.
                let input = Tensor::vector(vec![query as f32, round as f32]);
                tokio::spawn(async move {
                    let answer = engine.predict(Query::new(input.clone())).await?;
                    Ok::<_, ServeError>(is_right(&answer.output, &input))
                })
            })
            .collect();
        let mut all_right = true;
        for answer in answers {
            all_right &= answer.await??;
        }
        let time = start.elapsed();
        times.push(time.as_secs_f64() * 1e3);
        if straggles {
            straggling += 1;
            // A round that takes the delay has waited: with the largest encoder the parity takes 92 ms.
            spoiled += u64::from(!all_right || time >= DELAY);
        } else if !all_right {
            return Err(ExperimentError::new("an answer of a worker was changed"));
        }
        // A barrier ends each round, as in the authors' program: stragglers never queue up.
        while engine.active_groups() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    let counted = engine.statistics();
    let quantile = |share| stats::quantile(&times, share).unwrap_or(f64::NAN);
    Ok(Rounds {
        median: quantile(0.5),
        mean: stats::mean(&times),
        p99: quantile(0.99),
        p99_9: quantile(0.999),
        reconstructed: counted.reconstructed as f64 / counted.accepted as f64,
        straggling,
        spoiled,
    })
}

fn is_right(found: &Tensor, wanted: &Tensor) -> bool {
    let pairs = found.values().iter().zip(wanted.values());
    found.values().len() == wanted.values().len()
        && pairs.into_iter().all(|(a, b)| (a - b).abs() <= ROUNDING)
}
