//! `gateway`: a code in front of servers that run already.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::config::{
    CodeConfig, CodeKind, Config, Disturbance, EngineConfig, Listen, ModelConfig, Policy,
    WorkerConfig, on_all_cores,
};
use crate::quantity::Time;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The name of the model, here and on the servers
    #[arg(long)]
    name: String,
    /// A server: http://host:port, or grpc://host:port; give each one
    #[arg(long = "worker", required = true)]
    workers: Vec<String>,
    /// A server with the parity model or the student of the code
    #[arg(long = "redundant-worker")]
    redundant_workers: Vec<String>,
    /// The name of that model on its servers [default: `parity` or `student`]
    #[arg(long)]
    redundant_name: Option<String>,
    /// The code
    #[arg(long, value_enum, default_value = "coded-invnet")]
    code: CodeKind,
    /// Queries of a group
    #[arg(long, default_value_t = 10)]
    group: usize,
    /// Redundant tasks of a group
    #[arg(long, default_value_t = 1)]
    redundant: usize,
    /// A file with a trained encoder; `mixed` for the mean of the queries
    #[arg(long)]
    encoder: Option<PathBuf>,
    /// When reconstructed answers are given out: first, never, a delay or a quantile
    #[arg(long, default_value = "first")]
    reconstruct: Policy,
    /// How long a group stays open
    #[arg(long, default_value = "2ms")]
    fill: Time,
    /// Late queries that are sent twice, as a share of all
    #[arg(long, default_value_t = 0.0)]
    hedges: f64,
    /// How many queries may wait; more are turned away [default: 16 for each worker]
    #[arg(long)]
    most_waiting: Option<usize>,
    /// How long a query waits whose client names no time
    #[arg(long, default_value = "30s")]
    patience: Time,
    /// Where to listen for HTTP
    #[arg(long, default_value = "127.0.0.1:8000")]
    http: SocketAddr,
    /// Where to listen for gRPC [default: nowhere]
    #[arg(long)]
    grpc: Option<SocketAddr>,
    /// Where to listen for /metrics besides the port of HTTP
    #[arg(long)]
    metrics: Option<SocketAddr>,
    /// How long to go on answering after a signal to stop
    #[arg(long, default_value = "0s")]
    linger: Time,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let role = match arguments.code {
        CodeKind::Student => "student",
        _ => "parity",
    };
    let base = arguments
        .workers
        .iter()
        .map(|url| WorkerConfig::server(url.clone(), None, "base"));
    let name = arguments.redundant_name.as_deref().unwrap_or(role);
    let redundant = arguments
        .redundant_workers
        .iter()
        .map(|url| WorkerConfig::server(url.clone(), Some(name.to_owned()), role));
    let config = Config {
        listen: Listen {
            http: arguments.http,
            grpc: arguments.grpc,
            metrics: arguments.metrics,
        },
        linger: arguments.linger,
        grace: Time::milliseconds(10_000),
        models: vec![ModelConfig {
            name: arguments.name.clone(),
            code: CodeConfig {
                kind: arguments.code,
                group: arguments.group,
                redundant: arguments.redundant,
                encoder: arguments.encoder.clone(),
            },
            engine: EngineConfig {
                reconstruct: arguments.reconstruct,
                fill: arguments.fill,
                hedges: arguments.hedges,
                most_waiting: arguments.most_waiting,
                patience: arguments.patience,
                ..EngineConfig::default()
            },
            workers: base.chain(redundant).collect(),
        }],
    };
    on_all_cores(config.serve(Disturbance::NONE, |bound| println!("ready {bound}")))
}
