//! The configuration of a server: models, their workers and their codes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde::Deserialize;
use tokio::net::TcpListener;

use septet_coded_serving::Tensor;
use septet_coded_serving::backend::{
    Chaos, GrpcWorker, HttpWorker, LocalNetwork, LocalWorker, ModelNames, Pool, Worker,
};
use septet_coded_serving::code::policy::Hedging;
use septet_coded_serving::code::{
    ApproximateBackup, Code, Interpolation, InvNet, MixedQueries, Model, Replication, Smoother,
    SumParity,
};
use septet_coded_serving::engine::{Backend, Engine, ReconstructionPolicy};
use septet_coded_serving::load::Delay;
use septet_coded_serving::network::{ExactInverse, SetEncoder, Tensors};
use septet_coded_serving::protocol::ModelMetadata;
use septet_coded_serving::server::http::MAX_BODY_BYTES;
use septet_coded_serving::server::{Drain, Host, Listeners, ServedModel, serve};
use septet_core::cli::{Exit, Failure, warn};
use septet_core::seed::SeedTree;

use crate::quantity::Time;

/// The configuration of a server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(default = "Listen::all")]
    pub(crate) listen: Listen,
    /// How long requests are still accepted after a stop signal, while the server reports not ready.
    #[serde(default = "no_time")]
    pub(crate) shutdown_delay: Time,
    /// How long pending requests may take after that.
    #[serde(default = "ten_seconds")]
    pub(crate) grace_period: Time,
    #[serde(rename = "model")]
    pub(crate) models: Vec<ModelConfig>,
}

const fn no_time() -> Time {
    Time::milliseconds(0)
}

const fn ten_seconds() -> Time {
    Time::milliseconds(10_000)
}

/// The addresses to listen on. Without this section, Triton's ports on the loopback interface.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Listen {
    pub(crate) http: SocketAddr,
    pub(crate) grpc: Option<SocketAddr>,
    pub(crate) metrics: Option<SocketAddr>,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            http: SocketAddr::from(([127, 0, 0, 1], 8000)),
            grpc: None,
            metrics: None,
        }
    }
}

impl Listen {
    fn all() -> Self {
        Self {
            grpc: Some(SocketAddr::from(([127, 0, 0, 1], 8001))),
            metrics: Some(SocketAddr::from(([127, 0, 0, 1], 8002))),
            ..Self::default()
        }
    }
}

/// One model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelConfig {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) code: CodeConfig,
    #[serde(default)]
    pub(crate) engine: EngineConfig,
    #[serde(rename = "worker")]
    pub(crate) workers: Vec<WorkerConfig>,
}

/// The code of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CodeKind {
    /// No redundancy; retries and hedging are possible
    #[default]
    None,
    /// Copies of each query
    Replication,
    /// A student model that also answers each query
    Student,
    /// Parity Models: the sum of the queries, answered by a parity model
    Parm,
    /// Coded-InvNet: parity queries that the model itself answers
    CodedInvnet,
    /// `ApproxIFER`: mixtures of the queries, for any model; every answer is approximate
    Approxifer,
    /// `NeRCC`: as `approxifer`, with smoothing splines
    Nercc,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CodeConfig {
    pub(crate) kind: CodeKind,
    /// Queries per group.
    pub(crate) group: usize,
    /// Redundant tasks per group, or copies per query.
    pub(crate) redundant: usize,
    /// A file with a trained encoder; `mixed` for the mean of the queries (exact for linear models);
    /// `exact` for the inverse of an invertible base model.
    pub(crate) encoder: Option<PathBuf>,
}

impl Default for CodeConfig {
    fn default() -> Self {
        Self {
            kind: CodeKind::None,
            group: 10,
            redundant: 1,
            encoder: None,
        }
    }
}

impl CodeConfig {
    /// Builds the code. `base` is the base model, if it is in this process.
    pub(crate) fn build(&self, base: Option<&LocalNetwork>) -> anyhow::Result<Arc<dyn Code>> {
        let Self {
            kind,
            group,
            redundant,
            ..
        } = *self;
        let operations = base.and_then(LocalNetwork::operations).unwrap_or(0);
        let tasks = group.saturating_add(redundant);
        let is_one = matches!(kind, CodeKind::Student | CodeKind::Parm);
        if is_one && redundant != 1 {
            let error = format!("`redundant`: expected 1 for this code, found {redundant}");
            return Err(Failure::usage(error).into());
        }
        Ok(match kind {
            CodeKind::None => Arc::new(Replication::new(1, 0)?),
            CodeKind::Replication => Arc::new(Replication::new(1, redundant)?),
            CodeKind::Student => Arc::new(ApproximateBackup::new(group, operations)?),
            CodeKind::Parm => Arc::new(SumParity::new(group, operations)?),
            CodeKind::CodedInvnet => self.invnet(base)?,
            CodeKind::Approxifer => Arc::new(Interpolation::new(
                group,
                tasks,
                redundant,
                Smoother::Berrut,
            )?),
            CodeKind::Nercc => Arc::new(Interpolation::new(
                group,
                tasks,
                redundant,
                Smoother::SPLINE,
            )?),
        })
    }

    /// Builds Coded-InvNet with the configured encoder.
    fn invnet(&self, base: Option<&LocalNetwork>) -> anyhow::Result<Arc<dyn Code>> {
        let (group, parities) = (self.group, self.redundant);
        let Some(encoder) = &self.encoder else {
            let error = "coded-invnet needs an encoder: a file, `mixed` or `exact`";
            return Err(Failure::usage(error).into());
        };
        if encoder == Path::new("mixed") {
            return Ok(Arc::new(InvNet::new(group, parities, MixedQueries)?));
        }
        if encoder == Path::new("exact") {
            let Some(network) = base.and_then(LocalNetwork::invertible) else {
                let error = "the encoder `exact` needs an invertible base model in this process";
                return Err(Failure::usage(error).into());
            };
            let inverse = ExactInverse::new(Arc::new(network.bijection().clone()));
            return Ok(Arc::new(InvNet::new(group, parities, inverse)?));
        }
        let tensors = Tensors::read(encoder)?;
        let encoder = SetEncoder::from_tensors(&tensors)
            .with_context(|| format!("{} is not an encoder", encoder.display()))?;
        Ok(Arc::new(InvNet::new(group, parities, encoder)?))
    }
}

/// The settings of the engine of a model.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EngineConfig {
    /// When reconstructed answers are released.
    pub(crate) reconstruct: Policy,
    /// The maximum time that a group stays open after its first query.
    pub(crate) max_batch_delay: Time,
    /// The maximum number of queued queries; more are rejected.
    pub(crate) max_queue_len: Option<usize>,
    /// With more queued queries than this, groups get no redundant tasks.
    pub(crate) shed_above: Option<usize>,
    /// The minimum margin of a reconstructed answer.
    pub(crate) min_margin: f32,
    /// The maximum number of retries per query, on average.
    pub(crate) retry_budget: f64,
    /// The maximum fraction of queries that are hedged, after the 95th percentile of latency; 0 for none.
    pub(crate) hedge_budget: f64,
    /// The timeout of requests without a parameter `timeout`.
    pub(crate) default_timeout: Time,
    /// The timeout of a task on a worker.
    pub(crate) worker_timeout: Time,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            reconstruct: Policy(ReconstructionPolicy::FirstWins),
            max_batch_delay: Time::milliseconds(2),
            max_queue_len: None,
            shed_above: None,
            min_margin: 0.0,
            retry_budget: 0.1,
            hedge_budget: 0.0,
            default_timeout: Time::milliseconds(30_000),
            worker_timeout: Time::milliseconds(30_000),
        }
    }
}

/// `first`, `never`, a delay such as `40ms`, or a quantile such as `0.95`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Policy(pub(crate) ReconstructionPolicy);

impl std::str::FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected `first`, `never`, a delay such as 40ms or a quantile such as 0.95";
        Ok(Self(match text {
            "first" => ReconstructionPolicy::FirstWins,
            "never" => ReconstructionPolicy::Never,
            _ => match (text.parse::<f64>(), text.parse::<Time>()) {
                // A bare number is a quantile, anything with a unit a delay.
                (Ok(quantile), _) if (0.0..=1.0).contains(&quantile) => {
                    ReconstructionPolicy::AfterQuantile(quantile)
                }
                (Err(_), Ok(Time(delay))) => ReconstructionPolicy::AfterDelay(delay),
                _ => return Err(expected.to_owned()),
            },
        }))
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A worker, or several of the same kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkerConfig {
    /// A file with a network, for workers in this process.
    pub(crate) file: Option<PathBuf>,
    /// A server: `http://host:port`, or `grpc://host:port`.
    pub(crate) url: Option<String>,
    /// The name of the model on that server, if it differs.
    pub(crate) model: Option<String>,
    /// The model that it serves: `base`, `parity` or `student`.
    #[serde(default = "base_role")]
    pub(crate) role: String,
    /// The number of workers of this kind, in this process.
    #[serde(default = "one")]
    pub(crate) count: usize,
}

fn base_role() -> String {
    "base".to_owned()
}

const fn one() -> usize {
    1
}

/// Delays and failures to inject into the workers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InjectedFaults {
    pub(crate) delay: Delay,
    pub(crate) failure_probability: f64,
    pub(crate) seed: u64,
}

impl InjectedFaults {
    fn inject(self, pool: Pool) -> anyhow::Result<Chaos<Pool>> {
        let seed = SeedTree::new(self.seed);
        Ok(Chaos::new(
            pool,
            self.delay,
            self.failure_probability,
            &seed,
        )?)
    }
}

impl Config {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let mut config: Self =
            toml::from_str(&text).with_context(|| format!("{} is not valid", path.display()))?;
        // `mixed` and `exact` are encoders without a file.
        // Relative paths are relative to the folder of the configuration.
        let folder = path.parent().unwrap_or(Path::new(""));
        for model in &mut config.models {
            let worker_files = model
                .workers
                .iter_mut()
                .filter_map(|worker| worker.file.as_mut());
            let encoder = model.code.encoder.as_mut();
            for file in worker_files.chain(encoder.filter(|e| e.components().count() > 0)) {
                if *file != Path::new("mixed") && *file != Path::new("exact") {
                    *file = folder.join(&*file);
                }
            }
        }
        Ok(config)
    }

    /// Builds the models and their engines on the pools that `wrap` returns. Waits up to ten seconds for the
    /// metadata of a remote model.
    async fn host<B: Backend>(
        &self,
        wrap: impl Fn(Pool) -> anyhow::Result<B>,
    ) -> anyhow::Result<Host<B>> {
        let mut served = Vec::new();
        for model in &self.models {
            let model = model
                .served(&wrap)
                .await
                .with_context(|| format!("the model `{}` cannot be served", model.name))?;
            served.push(model);
        }
        Ok(Host::new(served)?)
    }

    /// Serves until a stop signal. Calls `ready` once, with the addresses.
    /// [`Exit::Negative`] if clients were still waiting at the end.
    pub(crate) async fn serve(&self, ready: impl FnOnce(&Addresses)) -> anyhow::Result<Exit> {
        self.serve_on(Ok, ready).await
    }

    /// Serves with injected faults, for tests and demonstrations.
    pub(crate) async fn serve_with_faults(
        &self,
        faults: InjectedFaults,
        ready: impl FnOnce(&Addresses),
    ) -> anyhow::Result<Exit> {
        self.serve_on(|pool| faults.inject(pool), ready).await
    }

    async fn serve_on<B: Backend>(
        &self,
        wrap: impl Fn(Pool) -> anyhow::Result<B>,
        ready: impl FnOnce(&Addresses),
    ) -> anyhow::Result<Exit> {
        // Bind first: a port in use should not cost the time to load the models.
        let (listeners, addresses) = self.listen.bind().await?;
        let host = self.host(wrap).await?;
        ready(&addresses);
        let drain = Drain {
            delay: self.shutdown_delay.0,
            grace_period: self.grace_period.0,
        };
        let waiting = serve(host, listeners, drain, stop_signal()?).await?;
        if waiting > 0 {
            let grace_period = self.grace_period;
            warn(&format!(
                "{waiting} clients were still waiting after {grace_period}"
            ));
            return Ok(Exit::Negative);
        }
        Ok(Exit::Success)
    }
}

/// The addresses that a server listens on, with the actual ports.
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) grpc: Option<SocketAddr>,
    pub(crate) metrics: Option<SocketAddr>,
}

impl std::fmt::Display for Addresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http={}", self.http)?;
        if let Some(grpc) = self.grpc {
            write!(f, " grpc={grpc}")?;
        }
        if let Some(metrics) = self.metrics {
            write!(f, " metrics={metrics}")?;
        }
        Ok(())
    }
}

impl Listen {
    /// Opens the sockets.
    async fn bind(&self) -> anyhow::Result<(Listeners, Addresses)> {
        async fn bind(address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
            let listener = TcpListener::bind(address).await;
            let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
            let bound = listener.local_addr()?;
            Ok((listener, bound))
        }
        let (http, http_bound) = bind(self.http).await?;
        let grpc = match self.grpc {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let metrics = match self.metrics {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let bound = Addresses {
            http: http_bound,
            grpc: grpc.as_ref().map(|(_, bound)| *bound),
            metrics: metrics.as_ref().map(|(_, bound)| *bound),
        };
        let listeners = Listeners {
            http,
            grpc: grpc.map(|(listener, _)| listener),
            metrics: metrics.map(|(listener, _)| listener),
        };
        Ok((listeners, bound))
    }
}

/// Resolves when the process receives SIGTERM or Ctrl-C.
fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        let terminated = terminate.recv();
        #[cfg(not(unix))]
        let terminated = std::future::pending::<Option<()>>();
        tokio::select! {
            // On an error no later Ctrl-C could be received either, so it stops the server too.
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated => {}
        }
    })
}

impl ModelConfig {
    /// Builds the workers, the code and the engine of the model.
    async fn served<B: Backend>(
        &self,
        wrap: &impl Fn(Pool) -> anyhow::Result<B>,
    ) -> anyhow::Result<ServedModel<B>> {
        // The workers of all roles; the first local base model also serves to build the code.
        let mut workers = Vec::new();
        let mut is_base = Vec::new();
        let mut base: Option<LocalNetwork> = None;
        for worker in &self.workers {
            let made = worker.workers(&self.name)?;
            // The metadata and the cost of the code come from the first local base model, if any.
            if worker.role == "base" && base.is_none() {
                base = made.network;
            }
            is_base.extend(made.workers.iter().map(|_| worker.role == "base"));
            workers.extend(made.workers);
        }
        if workers.is_empty() {
            bail!("no worker is configured");
        }
        // Without a worker for its parity model or student, a code would silently protect nothing.
        let redundant = match self.code.kind {
            CodeKind::Parm => Some("parity"),
            CodeKind::Student => Some("student"),
            _ => None,
        };
        if let Some(role) = redundant
            && !self.workers.iter().any(|worker| worker.role == role)
        {
            let error = format!("the code needs a worker with the role `{role}`");
            return Err(Failure::usage(error).into());
        }
        let code = self.code.build(base.as_ref())?;
        // Otherwise a server of the base model provides the metadata.
        let metadata = match &base {
            Some(network) => network.metadata(&self.name),
            None => ModelMetadata {
                name: self.name.clone(),
                ..remote_metadata(&workers, &is_base).await?
            },
        };
        check_code(code.as_ref(), &metadata)?;
        let engine = &self.engine;
        let pool = Pool::new(workers).timeout(engine.worker_timeout.0);
        let mut builder = Engine::builder(code, wrap(pool)?)
            .policy(engine.reconstruct.0)
            .max_batch_delay(engine.max_batch_delay.0)
            .min_margin(engine.min_margin)
            .retry_budget(engine.retry_budget);
        if let Some(queries) = engine.max_queue_len {
            builder = builder.max_queue_len(queries);
        }
        if let Some(queries) = engine.shed_above {
            builder = builder.shed_above(queries);
        }
        // Written so that NaN is passed on, and rejected.
        if engine.hedge_budget != 0.0 {
            builder = builder.hedging(Hedging::new(0.95, engine.hedge_budget)?);
        }
        Ok(ServedModel {
            metadata,
            engine: builder.build()?,
            default_timeout: engine.default_timeout.0,
        })
    }
}

/// The maximum number of values of a query: larger requests are rejected.
const MAX_VALUES: usize = MAX_BODY_BYTES / 4;

/// Checks that the code can encode queries of the model, by encoding a group of zeros: the encoder may be for
/// another model.
fn check_code(code: &dyn Code, metadata: &ModelMetadata) -> anyhow::Result<()> {
    let shape = metadata.inputs.first().map(|input| input.shape.as_slice());
    let inner: Option<Vec<usize>> = shape
        .unwrap_or_default()
        .iter()
        .skip(1)
        .map(|&n| usize::try_from(n).ok())
        .collect();
    // A model with variable dimensions cannot be checked.
    let Some(inner) = inner else {
        return Ok(());
    };
    // One row: the batch dimension of a query is 1.
    let shape: Vec<usize> = std::iter::once(1).chain(inner).collect();
    let values = shape.iter().try_fold(1_usize, |all, &n| all.checked_mul(n));
    let values = values.filter(|&values| values <= MAX_VALUES);
    let values = values.with_context(|| format!("queries of the shape {shape:?} are too large"))?;
    let zeros = Tensor::new(shape.clone(), vec![0.0; values])?;
    let group = vec![zeros; code.shape().queries];
    let encoded = code.encode(&group);
    encoded.with_context(|| format!("the code cannot encode queries of the shape {shape:?}"))?;
    Ok(())
}

/// Requests the metadata of the base model from its servers until one answers. They may still be starting.
async fn remote_metadata(workers: &[Worker], is_base: &[bool]) -> anyhow::Result<ModelMetadata> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let mut last = None;
        let base = workers.iter().zip(is_base).filter(|(_, is_base)| **is_base);
        for (worker, _) in base {
            let ask = async {
                match worker {
                    Worker::Http(worker) => Some(worker.metadata().await),
                    Worker::Grpc(worker) => Some(worker.metadata().await),
                    _ => None,
                }
            };
            // A server that hangs must not block the others.
            match tokio::time::timeout(Duration::from_millis(500), ask).await {
                Ok(Some(Ok(metadata))) => return Ok(metadata),
                Ok(Some(Err(error))) => last = Some(error.to_string()),
                Ok(None) => {}
                Err(_) => last = Some("no response within 500 ms".to_owned()),
            }
        }
        if Instant::now() > end {
            match last {
                Some(error) => bail!("no server returns the metadata of the model: {error}"),
                None => bail!("no worker has the role `base`"),
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The workers built from one entry, and their network if they are local.
struct Built {
    workers: Vec<Worker>,
    network: Option<LocalNetwork>,
}

impl WorkerConfig {
    pub(crate) fn file(file: PathBuf) -> Self {
        Self {
            file: Some(file),
            url: None,
            model: None,
            role: base_role(),
            count: 1,
        }
    }

    pub(crate) fn server(url: String, model: Option<String>, role: &str) -> Self {
        Self {
            file: None,
            url: Some(url),
            model,
            role: role.to_owned(),
            count: 1,
        }
    }

    fn workers(&self, model: &str) -> anyhow::Result<Built> {
        let role = match self.role.as_str() {
            "base" => Model::Base,
            "parity" | "student" => Model::Redundant(self.role.as_str().into()),
            other => bail!("worker role: expected base, parity or student, found `{other}`"),
        };
        match (&self.file, &self.url) {
            (Some(file), None) => {
                let network = LocalNetwork::read(file)?;
                let start = || LocalWorker::new([(role.clone(), network.clone())]);
                let workers: Result<Vec<Worker>, _> =
                    (0..self.count).map(|_| start().map(Worker::from)).collect();
                Ok(Built {
                    workers: workers.context("cannot start a worker thread")?,
                    network: Some(network),
                })
            }
            (None, Some(url)) => {
                let name = self.model.clone().unwrap_or_else(|| model.to_owned());
                let names = match &role {
                    Model::Base => ModelNames::base(name),
                    Model::Redundant(role) => ModelNames {
                        base: None,
                        redundant: vec![(role.to_string(), name)],
                    },
                };
                // gRPC runs over HTTP; the scheme `grpc` only selects the protocol.
                let worker: Worker = match url.strip_prefix("grpc://") {
                    Some(rest) => GrpcWorker::new(&format!("http://{rest}"), names)?.into(),
                    None => HttpWorker::new(url, names)?.into(),
                };
                Ok(Built {
                    workers: vec![worker],
                    network: None,
                })
            }
            _ => bail!("a worker needs exactly one of `file` and `url`"),
        }
    }
}

/// Runs a task on a runtime with one thread per core.
pub(crate) fn on_all_cores<T>(task: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(task)
}
