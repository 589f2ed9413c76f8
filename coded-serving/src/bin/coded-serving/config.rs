//! What is served: models, their workers, and the code between.

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
use septet_coded_serving::engine::{Engine, ReconstructionPolicy};
use septet_coded_serving::load::Delay;
use septet_coded_serving::network::{ExactInverse, SetEncoder, Tensors};
use septet_coded_serving::protocol::ModelMetadata;
use septet_coded_serving::server::http::MOST_BYTES;
use septet_coded_serving::server::{Drain, Host, Listeners, ServedModel, serve};
use septet_core::seed::SeedTree;

use crate::quantity::Time;

/// A whole configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(default = "Listen::all")]
    pub(crate) listen: Listen,
    /// How long requests are answered after a signal to stop, while saying `not ready`.
    #[serde(default = "no_time")]
    pub(crate) linger: Time,
    /// How long requests that were begun may take after that.
    #[serde(default = "ten_seconds")]
    pub(crate) grace: Time,
    #[serde(rename = "model")]
    pub(crate) models: Vec<ModelConfig>,
}

const fn no_time() -> Time {
    Time::milliseconds(0)
}

const fn ten_seconds() -> Time {
    Time::milliseconds(10_000)
}

/// Where to listen: at the ports of Triton on the loopback when nothing is said, else where it is said.
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

/// Which code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CodeKind {
    /// No redundancy: retries and hedging at most
    #[default]
    None,
    /// Copies of each query
    Replication,
    /// A student model beside the model, for each query
    Student,
    /// The sum of the queries, for a parity model
    Parm,
    /// Parity queries that the model itself answers
    CodedInvnet,
    /// Mixtures of the queries, any model; every answer is approximate
    Approxifer,
    /// As `approxifer`, with smoothing splines
    Nercc,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CodeConfig {
    pub(crate) kind: CodeKind,
    /// Queries of a group.
    pub(crate) group: usize,
    /// Redundant tasks of a group, or copies of each query.
    pub(crate) redundant: usize,
    /// A file with a trained encoder; `mixed` for the mean of the queries, which suits linear models;
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
    /// The code, for a base model when it is in this process.
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
            bail!("`redundant` is {redundant}: expected 1, the only one that this code has");
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

    fn invnet(&self, base: Option<&LocalNetwork>) -> anyhow::Result<Arc<dyn Code>> {
        let (group, parities) = (self.group, self.redundant);
        let Some(encoder) = &self.encoder else {
            bail!("coded-invnet needs an encoder: a file, `mixed` or `exact`");
        };
        if encoder == Path::new("mixed") {
            return Ok(Arc::new(InvNet::new(group, parities, MixedQueries)?));
        }
        if encoder == Path::new("exact") {
            let Some(network) = base.and_then(LocalNetwork::invertible) else {
                bail!("the encoder `exact` needs an invertible base model in this process");
            };
            let inverse = ExactInverse::new(Arc::new(network.bijection().clone()));
            return Ok(Arc::new(InvNet::new(group, parities, inverse)?));
        }
        let tensors = Tensors::read(encoder)?;
        let encoder = SetEncoder::from_tensors(&tensors)
            .with_context(|| format!("{} is no encoder", encoder.display()))?;
        Ok(Arc::new(InvNet::new(group, parities, encoder)?))
    }
}

/// How the engine behaves.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EngineConfig {
    /// When reconstructed answers are given out.
    pub(crate) reconstruct: Policy,
    /// How long a group stays open.
    pub(crate) fill: Time,
    /// How many queries may wait; more are turned away.
    pub(crate) most_waiting: Option<usize>,
    /// With more waiting queries no redundant tasks are made.
    pub(crate) shed_above: Option<usize>,
    /// The smallest margin of a reconstructed answer.
    pub(crate) least_margin: f32,
    /// Failed queries that are sent again, as a share of all.
    pub(crate) retries: f64,
    /// Late queries that are sent twice, as a share of all: those later than the quantile 0.95.
    pub(crate) hedges: f64,
    /// How long a query waits whose client names no time.
    pub(crate) patience: Time,
    /// How long a worker may take for a task.
    pub(crate) worker_timeout: Time,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            reconstruct: Policy(ReconstructionPolicy::FirstWins),
            fill: Time::milliseconds(2),
            most_waiting: None,
            shed_above: None,
            least_margin: 0.0,
            retries: 0.1,
            hedges: 0.0,
            patience: Time::milliseconds(30_000),
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

/// Some workers of the same kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkerConfig {
    /// A file with a network, for workers in this process.
    pub(crate) file: Option<PathBuf>,
    /// A server: `http://host:port`, or `grpc://host:port`.
    pub(crate) url: Option<String>,
    /// The model's name on that server, if it is another one.
    pub(crate) model: Option<String>,
    /// What it is for: `base`, `parity` or `student`.
    #[serde(default = "base_role")]
    pub(crate) role: String,
    /// How many of them, in this process.
    #[serde(default = "one")]
    pub(crate) count: usize,
}

fn base_role() -> String {
    "base".to_owned()
}

const fn one() -> usize {
    1
}

/// What holds up and fails tasks on purpose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disturbance {
    pub(crate) delay: Delay,
    pub(crate) failures: f64,
    pub(crate) seed: u64,
}

impl Disturbance {
    pub(crate) const NONE: Self = Self {
        delay: Delay::NONE,
        failures: 0.0,
        seed: 0,
    };
}

impl Config {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let mut config: Self =
            toml::from_str(&text).with_context(|| format!("{} is not valid", path.display()))?;
        // Files are named from where the configuration lies.
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

    /// The models with their engines. Waits up to ten seconds for a server to say what it serves.
    pub(crate) async fn host(&self, disturbance: Disturbance) -> anyhow::Result<Host<Chaos<Pool>>> {
        let mut served = Vec::new();
        for model in &self.models {
            let model = model
                .served(disturbance)
                .await
                .with_context(|| format!("the model `{}` cannot be served", model.name))?;
            served.push(model);
        }
        Ok(Host::new(served)?)
    }

    /// Serves until a signal to stop; `told` is called once with the addresses.
    pub(crate) async fn serve(
        &self,
        disturbance: Disturbance,
        told: impl FnOnce(&Bound),
    ) -> anyhow::Result<()> {
        let (listeners, bound) = self.listen.bind().await?;
        let host = self.host(disturbance).await?;
        told(&bound);
        let drain = Drain {
            linger: self.linger.0,
            grace: self.grace.0,
        };
        let waiting = serve(host, listeners, drain, stop_signal()?).await?;
        if waiting > 0 {
            bail!("{waiting} clients were still waiting after {}", self.grace);
        }
        Ok(())
    }
}

/// The addresses that a server listens at.
pub(crate) struct Bound {
    pub(crate) http: SocketAddr,
    pub(crate) grpc: Option<SocketAddr>,
    pub(crate) metrics: Option<SocketAddr>,
}

impl std::fmt::Display for Bound {
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
    async fn bind(&self) -> anyhow::Result<(Listeners, Bound)> {
        async fn bind(address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
            let listener = TcpListener::bind(address).await;
            let listener = listener.with_context(|| format!("cannot listen at {address}"))?;
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
        let bound = Bound {
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

/// Over when the process is asked to stop.
fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        let terminated = terminate.recv();
        #[cfg(not(unix))]
        let terminated = std::future::pending::<Option<()>>();
        tokio::select! {
            // Whatever it says, there is no way to hear of a later one.
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated => {}
        }
    })
}

impl ModelConfig {
    async fn served(&self, disturbance: Disturbance) -> anyhow::Result<ServedModel<Chaos<Pool>>> {
        let mut workers = Vec::new();
        let mut is_base = Vec::new();
        let mut base: Option<LocalNetwork> = None;
        for worker in &self.workers {
            let made = worker.workers(&self.name)?;
            if worker.role == "base" && base.is_none() {
                base = made.network;
            }
            is_base.extend(made.workers.iter().map(|_| worker.role == "base"));
            workers.extend(made.workers);
        }
        if workers.is_empty() {
            bail!("it has no worker");
        }
        let redundant = match self.code.kind {
            CodeKind::Parm => Some("parity"),
            CodeKind::Student => Some("student"),
            _ => None,
        };
        if let Some(role) = redundant
            && !self.workers.iter().any(|worker| worker.role == role)
        {
            bail!("its code needs a worker with the role `{role}`, and there is none");
        }
        let code = self.code.build(base.as_ref())?;
        let metadata = match &base {
            Some(network) => network.metadata(&self.name),
            None => ModelMetadata {
                name: self.name.clone(),
                ..remote_metadata(&workers, &is_base).await?
            },
        };
        fits(code.as_ref(), &metadata)?;
        let engine = &self.engine;
        let pool = Pool::new(workers).timeout(engine.worker_timeout.0);
        let seed = SeedTree::new(disturbance.seed);
        let pool = Chaos::new(pool, disturbance.delay, disturbance.failures, &seed);
        let mut builder = Engine::builder(code, pool)
            .policy(engine.reconstruct.0)
            .fill_deadline(engine.fill.0)
            .least_margin(engine.least_margin)
            .retries(engine.retries);
        if let Some(queries) = engine.most_waiting {
            builder = builder.most_waiting(queries);
        }
        if let Some(queries) = engine.shed_above {
            builder = builder.shed_above(queries);
        }
        if engine.hedges > 0.0 {
            builder = builder.hedging(Hedging::new(0.95, engine.hedges)?);
        }
        Ok(ServedModel {
            metadata,
            engine: builder.build(),
            patience: engine.patience.0,
        })
    }
}

/// The most numbers of a query: no larger request is read.
const MOST_VALUES: usize = MOST_BYTES / 4;

/// That the code can encode queries of the model: an encoder may be one for another model.
fn fits(code: &dyn Code, metadata: &ModelMetadata) -> anyhow::Result<()> {
    let shape = metadata.inputs.first().map(|input| input.shape.as_slice());
    let inner: Option<Vec<usize>> = shape
        .unwrap_or_default()
        .iter()
        .skip(1)
        .map(|&n| usize::try_from(n).ok())
        .collect();
    // Where the model takes many shapes, nothing can be said.
    let Some(inner) = inner else {
        return Ok(());
    };
    let shape: Vec<usize> = std::iter::once(1).chain(inner).collect();
    let values = shape.iter().try_fold(1_usize, |all, &n| all.checked_mul(n));
    let values = values.filter(|&values| values <= MOST_VALUES);
    let values = values.with_context(|| format!("queries of the shape {shape:?} are too large"))?;
    let zeros = Tensor::new(shape.clone(), vec![0.0; values])?;
    let group = vec![zeros; code.shape().queries];
    let encoded = code.encode(&group);
    encoded.with_context(|| format!("its code takes no queries of the shape {shape:?}"))?;
    Ok(())
}

/// What one of the servers with the base model says of it. They may still be starting.
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
            // One that hangs must not keep the others from being asked.
            match tokio::time::timeout(Duration::from_millis(500), ask).await {
                Ok(Some(Ok(metadata))) => return Ok(metadata),
                Ok(Some(Err(error))) => last = Some(error.to_string()),
                Ok(None) => {}
                Err(_) => last = Some("a server does not answer".to_owned()),
            }
        }
        if Instant::now() > end {
            match last {
                Some(error) => bail!("no server says what it serves: {error}"),
                None => bail!("it has no base worker"),
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

struct Made {
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

    fn workers(&self, model: &str) -> anyhow::Result<Made> {
        let role = match self.role.as_str() {
            "base" => Model::Base,
            "parity" | "student" => Model::Redundant(self.role.as_str().into()),
            other => bail!("a worker has the role `{other}`: expected base, parity or student"),
        };
        match (&self.file, &self.url) {
            (Some(file), None) => {
                let network = LocalNetwork::read(file)?;
                let start = || LocalWorker::new([(role.clone(), network.clone())]);
                let workers: Result<Vec<Worker>, _> =
                    (0..self.count).map(|_| start().map(Worker::from)).collect();
                Ok(Made {
                    workers: workers.context("a thread cannot be started")?,
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
                let worker: Worker = match url.strip_prefix("grpc://") {
                    Some(rest) => GrpcWorker::new(&format!("http://{rest}"), names)?.into(),
                    None => HttpWorker::new(url, names)?.into(),
                };
                Ok(Made {
                    workers: vec![worker],
                    network: None,
                })
            }
            _ => bail!("a worker needs either `file` or `url`"),
        }
    }
}

/// Runs a server on all cores.
pub(crate) fn on_all_cores<T>(task: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no threads can be started")?
        .block_on(task)
}
