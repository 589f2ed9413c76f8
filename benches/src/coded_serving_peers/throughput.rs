//! Our server beside `MLServer`: the same network, the same client, a fixed number of connections.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use rand::Rng;
use septet_coded_serving::Tensor;
use septet_coded_serving::network::{Array, Dense, Mlp, Tensors};
use septet_core::seed::SeedTree;
use serde::Serialize;
use tokio::task::JoinSet;

use super::client::Client;
use super::latencies::{Latencies, Quantiles};
use super::mlserver::{self, MlServer};
use super::server::{NAME, ServerProcess, one_thread};
use super::{Plan, WIDTH, images};
use crate::cache_peers::sample::Spread;

/// The widths of the network.
const WIDTHS: [usize; 4] = [WIDTH, 200, 100, 10];

/// What the servers did.
#[derive(Clone, Debug, Serialize)]
pub struct Throughput {
    /// Connections, each with one query under way.
    pub connections: usize,
    /// The version of `MLServer`.
    pub version: String,
    /// One a server.
    pub servers: Vec<Served>,
}

/// What one server did.
#[derive(Clone, Debug, Serialize)]
pub struct Served {
    /// The server.
    pub server: String,
    /// Whether it is ours.
    pub is_ours: bool,
    /// Answers a second in each repetition.
    pub rates: Vec<f64>,
    /// Latencies of all repetitions.
    pub latency: Quantiles,
}

impl Served {
    /// The median of the rates.
    #[must_use]
    pub fn rate(&self) -> f64 {
        Spread::of(self.rates.iter().copied()).map_or(0.0, |spread| spread.median)
    }
}

#[derive(Clone, Copy)]
enum Contender {
    Ours { binary: bool },
    MlServer { parallel_workers: Option<u32> },
}

const CONTENDERS: [(&str, Contender); 4] = [
    ("ours, JSON", Contender::Ours { binary: false }),
    ("ours, binary tensors", Contender::Ours { binary: true }),
    (
        "MLServer, JSON, default workers",
        Contender::MlServer {
            parallel_workers: None,
        },
    ),
    (
        "MLServer, JSON, no parallel workers",
        Contender::MlServer {
            parallel_workers: Some(0),
        },
    ),
];

pub(super) fn measure(
    plan: &Plan,
    seed: &SeedTree,
    log: &mut dyn FnMut(&str),
) -> anyhow::Result<Throughput> {
    let python = match &plan.python {
        Some(python) => python.clone(),
        None => mlserver::prepare(&plan.output.join("mlserver"), log)?,
    };
    let folder = plan.output.join("mlserver-model");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    // Both servers read their weights from one file; the answers of the network in this process are
    // what both have to give.
    let network = network(seed)?;
    let file = folder.join("network.safetensors");
    let mut tensors = Tensors::default();
    network.insert_into(&mut tensors, "");
    tensors.write(&file)?;
    let queries = images(64, seed)?;
    let expected: Result<Vec<Tensor>, _> = queries.iter().map(|x| network.answer(x)).collect();
    let expected = expected?;

    let runtime = one_thread()?;
    let mut seen = Vec::new();
    for _ in CONTENDERS {
        seen.push((Vec::new(), Latencies::new()?));
    }
    for repetition in 0..plan.repetitions {
        // The order reverses from repetition to repetition: a drift of the machine's speed favors
        // none.
        let mut order: Vec<usize> = (0..CONTENDERS.len()).collect();
        if repetition % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let (name, contender) = CONTENDERS[index];
            log(&format!(
                "{name}: repetition {} of {}",
                repetition + 1,
                plan.repetitions
            ));
            let client = |url: &str, binary| Client::new(url, NAME, &queries, binary);
            let (rate, latencies) = runtime.block_on(async {
                // A server runs only while it is measured, and starts afresh for each repetition.
                match contender {
                    Contender::Ours { binary } => {
                        let server = ServerProcess::start(&file)?;
                        load(plan, &client(&server.url, binary)?, &expected).await
                    }
                    Contender::MlServer { parallel_workers } => {
                        let server = start(&python, &file, &folder, parallel_workers);
                        let server = server.await?;
                        load(plan, &client(&server.url, false)?, &expected).await
                    }
                }
            })?;
            let (rates, all) = &mut seen[index];
            rates.push(rate);
            all.merge(&latencies)?;
        }
    }
    let served = CONTENDERS.iter().zip(seen);
    Ok(Throughput {
        connections: plan.connections,
        version: mlserver::VERSION.to_owned(),
        servers: served
            .map(|(&(name, contender), (rates, all))| Served {
                server: name.to_owned(),
                is_ours: matches!(contender, Contender::Ours { .. }),
                rates,
                latency: all.quantiles(),
            })
            .collect(),
    })
}

async fn start(
    python: &Path,
    file: &Path,
    folder: &Path,
    parallel_workers: Option<u32>,
) -> anyhow::Result<MlServer> {
    let mut server = MlServer::start(python, file, folder, parallel_workers)?;
    server.ready().await?;
    Ok(server)
}

/// Answers a second, and latencies, with a query under way on every connection.
async fn load(
    plan: &Plan,
    client: &Client,
    expected: &[Tensor],
) -> anyhow::Result<(f64, Latencies)> {
    client.check(expected).await?;
    // Closed loop: each connection sends its next query when it has an answer.
    let begin = Instant::now() + plan.warm_up;
    let end = begin + plan.measured;
    let mut connections = JoinSet::new();
    for connection in 0..plan.connections {
        connections.spawn(infer_until(client.clone(), connection, begin, end));
    }
    let mut all = Latencies::new()?;
    while let Some(ended) = connections.join_next().await {
        all.merge(&ended??)?;
    }
    Ok((all.count() as f64 / plan.measured.as_secs_f64(), all))
}

/// One connection: latencies of the answers that came between two points in time.
async fn infer_until(
    client: Client,
    connection: usize,
    begin: Instant,
    end: Instant,
) -> anyhow::Result<Latencies> {
    let mut latencies = Latencies::new()?;
    // Connections start at different queries.
    for number in connection.. {
        let sent = Instant::now();
        client.infer(number).await?;
        let arrived = Instant::now();
        // Counted by arrival: the rate is that of answers within the window.
        if arrived >= end {
            break;
        }
        if arrived >= begin {
            latencies.add(arrived - sent);
        }
    }
    Ok(latencies)
}

/// A network with weights of the usual size.
fn network(seed: &SeedTree) -> anyhow::Result<Mlp> {
    let mut rng = seed.child("weights").rng();
    let mut layers = Vec::new();
    for (index, pair) in WIDTHS.windows(2).enumerate() {
        let (inputs, outputs) = (pair[0], pair[1]);
        // He's uniform initialization.
        let bound = (6.0 / inputs as f32).sqrt();
        let mut array = |shape: Vec<usize>| {
            let count = shape.iter().product();
            let values = (0..count)
                .map(|_| rng.random_range(-bound..bound))
                .collect();
            Array { shape, values }
        };
        let weight = array(vec![outputs, inputs]);
        let bias = array(vec![outputs]);
        layers.push(Dense::new(&index.to_string(), &weight, &bias)?);
    }
    Ok(Mlp::new(layers)?)
}
