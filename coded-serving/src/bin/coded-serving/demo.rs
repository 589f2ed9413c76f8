//! `demo`: eleven workers behind a gateway, one of which is killed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;

use septet_coded_serving::Tensor;
use septet_coded_serving::backend::{HttpWorker, ModelNames, Pool};
use septet_coded_serving::code::InvNet;
use septet_coded_serving::engine::{Engine, ReconstructionPolicy};
use septet_coded_serving::images::Images;
use septet_coded_serving::load::{Arrivals, Outcome, open_loop};
use septet_coded_serving::network::{Coupling, InvertibleClassifier, SetEncoder};
use septet_coded_serving::server::{Drain, Host, Listeners, ServedModel, serve};
use septet_coded_serving::train::{EncoderLoss, EncoderNetwork, EncoderSize, Fit};
use septet_core::cli::{Exit, warn};
use septet_core::nn::one_math_thread;
use septet_core::seed::SeedTree;
use tokio::net::TcpListener;

use crate::client::Client;
use crate::config::on_all_cores;
use crate::images::{Data, Source};
use crate::process::WorkerProcess;
use crate::quantity::milliseconds;
use crate::train::train_base;

const GROUP: usize = 10;
const NAME: &str = "strokes";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Queries per second
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// The duration in seconds; a worker is killed after a third of it
    #[arg(long, default_value_t = 9)]
    seconds: u64,
    /// The seed of training and load
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// A base model and its encoder, trained on generated strokes.
pub(crate) struct Models {
    pub(crate) base: InvertibleClassifier<Coupling>,
    pub(crate) encoder: SetEncoder,
    pub(crate) data: Data,
    folder: tempfile::TempDir,
}

impl Models {
    pub(crate) fn train(seed: &SeedTree) -> anyhow::Result<Self> {
        let data = Source { images: None }.load()?;
        let base = train_base(&data, 4, 96, Some(1.0), &Fit::new(400, 200, 2e-3), seed)?;
        let size = EncoderSize {
            width: data.train.width(),
            features: 128,
            hidden: 256,
        };
        let encoder = EncoderNetwork::new(size, seed)?;
        let fit = Fit::new(500, 128, 2e-3);
        encoder.fit(&base, &data.train, GROUP, EncoderLoss::Task, &fit, seed)?;
        let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
        base.to_tensors()
            .write(folder.path().join("base.safetensors"))?;
        Ok(Self {
            base,
            encoder: encoder.encoder()?,
            data,
            folder,
        })
    }

    /// The file of the base model.
    pub(crate) fn base_file(&self) -> PathBuf {
        self.folder.path().join("base.safetensors")
    }

    /// Writes the encoder to a file.
    pub(crate) fn encoder_file(&self) -> anyhow::Result<PathBuf> {
        let path = self.folder.path().join("encoder.safetensors");
        self.encoder.to_tensors().write(&path)?;
        Ok(path)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// The outcomes since the last printed line.
#[derive(Default)]
struct Window {
    direct: AtomicU64,
    reconstructed: AtomicU64,
    /// Reconstructed answers with the class of the model's own answer.
    same: AtomicU64,
    failed: AtomicU64,
    latencies: Mutex<Vec<Duration>>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let _ = one_math_thread();
    let seed = SeedTree::new(arguments.seed);
    print!("training an invertible network and its encoder on generated images ... ");
    std::io::stdout().flush()?;
    let begin = Instant::now();
    let models = Models::train(&seed)?;
    println!("{:.1} s", begin.elapsed().as_secs_f64());
    on_all_cores(show(arguments, models, seed))
}

/// Runs the workers, the gateway and the load, and prints one line per second.
async fn show(arguments: &Arguments, models: Models, seed: SeedTree) -> anyhow::Result<Exit> {
    // One worker process per query of a group, and one for the parity.
    let mut workers = Vec::new();
    for number in 0..=GROUP {
        let seed = number.to_string();
        // Every worker straggles at times, each with a seed of its own.
        let faults = [
            "--service-time",
            "20ms",
            "--delay",
            "300ms",
            "--delay-probability",
            "0.02",
            "--seed",
            &seed,
        ];
        let faults = faults.map(str::to_owned);
        workers.push(WorkerProcess::start(&models.base_file(), NAME, &faults).await?);
    }
    let ids: Vec<String> = workers
        .iter()
        .map(|worker| worker.id().to_string())
        .collect();
    println!("eleven workers are ready: processes {}", ids.join(" "));
    println!("a task takes 20 ms; one in fifty is delayed by another 300 ms");

    // The gateway runs in this process, so that its counters can be read at the end.
    let pool: Result<Vec<_>, _> = workers
        .iter()
        .map(|worker| HttpWorker::new(worker.url(), ModelNames::base(NAME)).map(Into::into))
        .collect();
    let code = InvNet::new(GROUP, 1, models.encoder.clone())?;
    let metadata =
        septet_coded_serving::backend::LocalNetwork::from(models.base.clone()).metadata(NAME);
    // A reconstructed answer is released only when the query is clearly late: after two service times.
    let engine = Engine::builder(Arc::new(code), Pool::new(pool?))
        .policy(ReconstructionPolicy::AfterDelay(Duration::from_millis(40)))
        .max_batch_delay(Duration::from_millis(100))
        .build()?;
    let counts = engine.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let host = Host::new(vec![ServedModel {
        metadata,
        engine,
        default_timeout: Duration::from_secs(2),
    }])?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let listeners = Listeners {
        http: listener,
        grpc: None,
        metrics: None,
    };
    let server = tokio::spawn(serve(host, listeners, Drain::default(), async {
        let _ = stopped.await;
    }));
    println!("the gateway listens on http://{address}: one parity query per ten queries,");
    println!("reconstructed answers are released after 40 ms\n");
    println!("   time   answers/s   reconstructed    same class   errors   p50 ms   p99 ms");

    // The load runs beside the loop that prints, and kills worker 3 after a third of the time.
    let window = Arc::new(Window::default());
    let count = (arguments.rate * arguments.seconds as f64) as u64;
    let load = tokio::spawn(load(
        Client::connect(&format!("http://{address}"), NAME).await?,
        count,
        Arrivals::poisson(arguments.rate)?,
        seed,
        models,
        Arc::clone(&window),
    ));
    let begin = Instant::now();
    let kill_at = arguments.seconds.div_ceil(3);
    for second in 1..=arguments.seconds {
        // Absolute times, so that printing does not add up to a drift.
        tokio::time::sleep_until((begin + Duration::from_secs(second)).into()).await;
        println!("{:>5} s   {}", second, window.line());
        if second == kill_at
            && let Some(worker) = workers.get_mut(3)
        {
            let id = worker.id();
            worker.kill().await?;
            println!("          kill -9 {id}");
        }
    }
    // Stop the server only after the last query has ended.
    let summary = load.await?;
    let statistics = counts.statistics();
    let _ = stop.send(());
    server.await??;
    println!(
        "\n{} queries, {} answered: {} directly, {} reconstructed; {} failed",
        summary.sent(),
        summary.answered(),
        summary.direct,
        summary.reconstructed,
        summary.failed + summary.rejected,
    );
    println!(
        "failed tasks: {}; retries: {}",
        statistics.failures, statistics.retries
    );
    if summary.answered() < summary.sent() {
        warn("not every query was answered");
        return Ok(Exit::Negative);
    }
    Ok(Exit::Success)
}

impl Window {
    /// Formats and resets the counters.
    fn line(&self) -> String {
        let direct = self.direct.swap(0, Ordering::Relaxed);
        let reconstructed = self.reconstructed.swap(0, Ordering::Relaxed);
        let same = self.same.swap(0, Ordering::Relaxed);
        let failed = self.failed.swap(0, Ordering::Relaxed);
        // Take the latencies out, so that sorting does not hold the lock.
        let mut latencies = {
            let mut held = self
                .latencies
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *held)
        };
        latencies.sort_unstable();
        let quantile = |q: f64| {
            let place = (q * latencies.len() as f64) as usize;
            let found = latencies.get(place.min(latencies.len().saturating_sub(1)));
            milliseconds(found.copied().unwrap_or_default())
        };
        let right = if reconstructed == 0 {
            "-".to_owned()
        } else {
            format!("{same} of {reconstructed}")
        };
        format!(
            "{:>9}   {reconstructed:>13}   {right:>11}   {failed:>6}   {:>6}   {:>6}",
            direct + reconstructed,
            quantile(0.5),
            quantile(0.99)
        )
    }
}

/// Sends test images in an open loop, and compares reconstructed answers with the model's own.
async fn load(
    client: Client,
    count: u64,
    arrivals: Arrivals,
    seed: SeedTree,
    models: Models,
    window: Arc<Window>,
) -> septet_coded_serving::load::Summary {
    let base = Arc::new(models.base.clone());
    let test: Arc<Images> = Arc::new(models.data.test.clone());
    open_loop(count, arrivals, &seed, move |number| {
        let client = client.clone();
        let (window, base, test) = (Arc::clone(&window), Arc::clone(&base), Arc::clone(&test));
        async move {
            let begin = Instant::now();
            let image = test.image(number as usize % test.len());
            match client.infer(image).await {
                Ok((output, reconstructed)) => {
                    let time = begin.elapsed();
                    window
                        .latencies
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(time);
                    // Only reconstructed answers can differ from the model's own.
                    if reconstructed {
                        let truth = base.answer(&Tensor::vector(image.to_vec()));
                        let same = truth.is_ok_and(|truth| truth.argmax() == output.argmax());
                        window.reconstructed.fetch_add(1, Ordering::Relaxed);
                        window.same.fetch_add(u64::from(same), Ordering::Relaxed);
                        Outcome::Reconstructed
                    } else {
                        window.direct.fetch_add(1, Ordering::Relaxed);
                        Outcome::Direct
                    }
                }
                Err(_) => {
                    window.failed.fetch_add(1, Ordering::Relaxed);
                    Outcome::Failed
                }
            }
        }
    })
    .await
}
