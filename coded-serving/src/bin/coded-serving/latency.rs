//! `bench latency`: rounds of ten queries on real worker processes, with at most one straggler per round.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use hdrhistogram::Histogram;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use septet_coded_serving::Tensor;
use septet_coded_serving::backend::{HttpWorker, ModelNames, Pool, Worker};
use septet_coded_serving::code::policy::Hedging;
use septet_coded_serving::code::{
    Code, Interpolation, InvNet, Model, Replication, Smoother, SumParity,
};
use septet_coded_serving::engine::{Backend, BackendError, Call, Engine, Query};
use septet_coded_serving::train::{Fit, MlpNetwork, outputs};
use septet_core::cli::Failure;
use septet_core::nn::one_math_thread;
use septet_core::seed::SeedTree;
use tokio::task::JoinSet;

use crate::config::on_all_cores;
use crate::demo::Models;
use crate::process::WorkerProcess;
use crate::quantity::{Time, milliseconds};
use crate::train::layers;

const GROUP: usize = 10;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The number of rounds of ten queries, per scheme
    #[arg(long, default_value_t = 1000)]
    rounds: usize,
    /// The additional time of a straggler
    #[arg(long, default_value = "100ms")]
    delay: Time,
    /// The probability that a round has a straggler
    #[arg(long, default_value_t = 0.1)]
    delay_probability: f64,
    /// Time added to every task of a worker
    #[arg(long, default_value = "20ms")]
    service_time: Time,
    /// The seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scheme {
    NoStragglers,
    None,
    EqualResources,
    Hedging,
    Parm,
    CodedInvnet,
    Approxifer,
}

/// Delays at most one query of a round, as in the experiment of the paper; the redundant task is never delayed.
#[derive(Clone)]
struct Rounds {
    pool: Pool,
    /// Tasks started in this round.
    started: Arc<AtomicUsize>,
    /// Which task of this round is delayed, by order of start.
    slow: Arc<Mutex<Option<usize>>>,
    delay: Duration,
}

impl Backend for Rounds {
    fn workers(&self) -> usize {
        self.pool.workers()
    }

    fn serves(&self, worker: usize, model: &Model) -> bool {
        self.pool.serves(worker, model)
    }

    async fn infer(&self, worker: usize, call: Call) -> Result<Tensor, BackendError> {
        // Queries start before redundant tasks, so that numbers below the group size are queries.
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let slow = *self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = self.pool.infer(worker, call).await;
        if slow == Some(number) {
            tokio::time::sleep(self.delay).await;
        }
        answer
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let _ = one_math_thread();
    if !(0.0..=1.0).contains(&arguments.delay_probability) {
        let found = arguments.delay_probability;
        let error = format!("--delay-probability: expected 0 to 1, found {found}");
        return Err(Failure::usage(error).into());
    }
    let seed = SeedTree::new(arguments.seed);
    eprintln!("training a base model, an encoder and a parity model on generated images");
    let models = Models::train(&seed)?;
    let widths = [
        models.data.train.width(),
        192,
        192,
        models.base.head().outputs(),
    ];
    let parity = MlpNetwork::new(&widths, &seed)?;
    let answers = outputs(&models.data.train, |batch| models.base.forward(batch))?;
    parity.fit_parity(
        &models.data.train,
        &answers,
        GROUP,
        &Fit::new(500, 128, 2e-3),
        &seed,
    )?;
    let parity_file = models.folder().join("parity.safetensors");
    layers(&parity.parity_model(GROUP)?).write(&parity_file)?;
    on_all_cores(compare(arguments, models, seed))
}

/// Measures every scheme on the same worker processes, and prints a table.
async fn compare(arguments: &Arguments, models: Models, seed: SeedTree) -> anyhow::Result<()> {
    let service = [
        "--service-time".to_owned(),
        arguments.service_time.to_string(),
    ];
    let mut base = Vec::new();
    for _ in 0..=GROUP {
        base.push(WorkerProcess::start(&models.base_file(), "base", &service).await?);
    }
    let parity_file = models.folder().join("parity.safetensors");
    let parity = WorkerProcess::start(&parity_file, "parity", &service).await?;
    println!(
        "{} rounds of {GROUP} queries on worker processes; with probability {} one is delayed by {}\n",
        arguments.rounds, arguments.delay_probability, arguments.delay
    );
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "scheme",
        "median ms",
        "mean",
        "p99",
        "p99.5",
        "p99.9",
        "approximate, %",
        "p99.9 / none",
    ]);
    let mut uncoded: Option<u64> = None;
    for scheme in Scheme::value_variants() {
        // Schemes with redundancy on base workers get one more; the parity model has a worker of its own.
        let mut workers: Vec<Worker> = Vec::new();
        let count = match scheme {
            Scheme::NoStragglers | Scheme::None | Scheme::Parm => GROUP,
            _ => GROUP + 1,
        };
        for worker in base.iter().take(count) {
            workers.push(HttpWorker::new(worker.url(), ModelNames::base("base"))?.into());
        }
        if *scheme == Scheme::Parm {
            let names = ModelNames {
                base: None,
                redundant: vec![("parity".to_owned(), "parity".to_owned())],
            };
            workers.push(HttpWorker::new(parity.url(), names)?.into());
        }
        let rounds = Rounds {
            pool: Pool::new(workers),
            started: Arc::default(),
            slow: Arc::default(),
            delay: arguments.delay.0,
        };
        let code: Arc<dyn Code> = match scheme {
            Scheme::CodedInvnet => Arc::new(InvNet::new(GROUP, 1, models.encoder.clone())?),
            Scheme::Parm => Arc::new(SumParity::new(GROUP, 0)?),
            Scheme::Approxifer => {
                Arc::new(Interpolation::new(GROUP, GROUP + 1, 1, Smoother::Berrut)?)
            }
            _ => Arc::new(Replication::new(1, 0)?),
        };
        let mut builder =
            Engine::builder(code, rounds.clone()).max_batch_delay(Duration::from_secs(1));
        // Rounds never queue up, so shedding parities would only distort the comparison.
        builder = builder.shed_above(usize::MAX);
        if *scheme == Scheme::Hedging {
            builder = builder.hedging(Hedging::new(0.95, 0.1)?);
        }
        let engine = builder.build()?;
        let (latencies, approximate) =
            measure(arguments, *scheme, &engine, &rounds, &models, &seed).await?;
        let of = |quantile| Duration::from_micros(latencies.value_at_quantile(quantile));
        let tail = latencies.value_at_quantile(0.999);
        if *scheme == Scheme::None {
            uncoded = Some(tail);
        }
        let name = scheme.to_possible_value().map(|v| v.get_name().to_owned());
        table.add_row([
            name.unwrap_or_default(),
            milliseconds(of(0.5)),
            milliseconds(Duration::from_secs_f64(latencies.mean() / 1e6)),
            milliseconds(of(0.99)),
            milliseconds(of(0.995)),
            milliseconds(of(0.999)),
            format!("{:.1}", 100.0 * approximate),
            uncoded.map_or_else(String::new, |uncoded| {
                format!("{:.2}", tail as f64 / uncoded as f64)
            }),
        ]);
        eprintln!("{scheme:?} measured");
    }
    println!("{table}");
    println!(
        "latency of a round: until its last query is answered; the next round starts when its last task has ended"
    );
    Ok(())
}

/// The latencies of the rounds of a scheme, in microseconds, and the fraction of reconstructed answers.
async fn measure(
    arguments: &Arguments,
    scheme: Scheme,
    engine: &Engine<Rounds>,
    rounds: &Rounds,
    models: &Models,
    seed: &SeedTree,
) -> anyhow::Result<(Histogram<u64>, f64)> {
    // The same stragglers for every scheme.
    let mut rng: ChaCha8Rng = seed.child("stragglers").rng();
    let mut latencies = Histogram::<u64>::new(3)?;
    let test = &models.data.test;
    // The first rounds open the connections and are not measured.
    let warm_up = 20;
    let mut before = engine.statistics();
    for round in 0..arguments.rounds + warm_up {
        let is_slow = rng.random_bool(arguments.delay_probability);
        rounds.started.store(0, Ordering::Relaxed);
        *rounds.slow.lock().unwrap_or_else(PoisonError::into_inner) =
            (is_slow && scheme != Scheme::NoStragglers && round >= warm_up)
                .then_some(round % GROUP);
        if round == warm_up {
            before = engine.statistics();
        }
        let begin = Instant::now();
        let mut running = JoinSet::new();
        for place in 0..GROUP {
            let image = test.image((round * GROUP + place) % test.len()).to_vec();
            let query = Query::new(Tensor::new(vec![1, image.len()], image)?);
            let engine = engine.clone();
            running.spawn(async move { engine.predict(query).await });
        }
        // The round is over when its last query is answered.
        while let Some(answer) = running.join_next().await {
            answer??;
        }
        if round >= warm_up {
            let microseconds = begin.elapsed().as_micros();
            latencies.record(u64::try_from(microseconds)?)?;
        }
        // A barrier, as in the experiment of the paper: stragglers do not pile up over rounds.
        while engine.active_groups() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let after = engine.statistics();
    let reconstructed = after.reconstructed - before.reconstructed;
    let answers = reconstructed + after.direct - before.direct;
    Ok((latencies, reconstructed as f64 / answers.max(1) as f64))
}
