//! The serving system of `coded-serving` against its budgets, and beside `MLServer`.
//!
//! Three parts, all on generated data: what coding and bookkeeping take for a group of ten queries; what
//! a gateway adds to the latency of a query; and how many queries a second our server and `MLServer`
//! answer with the same network, queried by the same client.

mod client;
mod coding;
mod gateway;
mod latencies;
mod mlserver;
mod server;
mod table;
mod throughput;

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use rand::Rng;
use septet_coded_serving::Tensor;
use septet_core::seed::SeedTree;
use serde::Serialize;

pub use coding::Coding;
pub use gateway::Gateway;
pub use latencies::Quantiles;
pub use server::serve_file;
pub use table::render;
pub use throughput::{Served, Throughput};

/// Numbers of a query: the pixels of an image of 28 times 28.
const WIDTH: usize = 784;

/// Queries of a group.
const GROUP: usize = 10;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Encoding, decoding and the bookkeeping of the engine
    Coding,
    /// The latency that a gateway adds
    Gateway,
    /// Throughput and latency beside `MLServer`
    Servers,
}

/// What to measure, and how long.
#[derive(Debug)]
pub struct Plan {
    /// The parts.
    pub parts: Vec<Part>,
    /// Queries a second to the gateway, and to its workers.
    pub rate: f64,
    /// Queries to each in one repetition.
    pub requests: u64,
    /// How long a group of the gateway stays open.
    pub fill: Duration,
    /// Connections to the servers.
    pub connections: usize,
    /// How long a server is under load in one repetition.
    pub measured: Duration,
    /// How long the load lasts before that, uncounted.
    pub warm_up: Duration,
    /// Repetitions of the last two parts.
    pub repetitions: u32,
    /// The seed of all that is generated.
    pub seed: u64,
    /// A Python that has `MLServer`; without it an environment is made.
    pub python: Option<PathBuf>,
    /// Where the environment, the network and the figures go.
    pub output: PathBuf,
}

/// What was measured.
#[derive(Debug, Default, Serialize)]
pub struct Record {
    /// By code.
    pub coding: Vec<Coding>,
    /// The gateway.
    pub gateway: Option<Gateway>,
    /// The servers.
    pub servers: Option<Throughput>,
}

/// Runs the plan, printing progress lines with `log`; the figures are written as JSON too.
///
/// # Errors
///
/// When a server cannot be started or answers wrongly, or Python or the network is missing.
pub fn run(plan: &Plan, log: &mut dyn FnMut(&str)) -> anyhow::Result<Record> {
    let seed = SeedTree::new(plan.seed);
    let mut record = Record::default();
    if plan.parts.contains(&Part::Coding) {
        log("coding and bookkeeping");
        record.coding = coding::measure(&seed)?;
    }
    if plan.parts.contains(&Part::Gateway) {
        record.gateway = Some(gateway::measure(plan, &seed, log)?);
    }
    if plan.parts.contains(&Part::Servers) {
        record.servers = Some(throughput::measure(plan, &seed, log)?);
    }
    crate::record::write(&record, &plan.output.join("coded-serving-peers.json"))?;
    Ok(record)
}

/// Images of noise, as rows: gray levels from 0 to 1 in steps of 1/255, as image files have them.
fn images(count: usize, seed: &SeedTree) -> anyhow::Result<Vec<Tensor>> {
    let mut rng = seed.child("images").rng();
    (0..count)
        .map(|_| {
            let levels = (0..WIDTH).map(|_| f32::from(rng.random::<u8>()) / 255.0);
            Ok(Tensor::new(vec![1, WIDTH], levels.collect())?)
        })
        .collect()
}
