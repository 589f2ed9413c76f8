//! `gateway`: a code in front of running inference servers.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use septet_core::cli::Exit;

use crate::config::{
    CodeConfig, CodeKind, Config, EngineConfig, Listen, ModelConfig, Policy, WorkerConfig,
    on_all_cores,
};
use crate::process::Parent;
use crate::quantity::Time;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The name of the model, here and on the servers
    #[arg(long)]
    name: String,
    /// A server: http://host:port or grpc://host:port; repeat for each server
    #[arg(long = "worker", required = true)]
    workers: Vec<String>,
    /// A server of the parity model or student; repeat for each server
    #[arg(long = "redundant-worker")]
    redundant_workers: Vec<String>,
    /// The name of that model on its servers [default: `parity` or `student`]
    #[arg(long)]
    redundant_name: Option<String>,
    /// The code
    #[arg(long, value_enum, default_value = "coded-invnet")]
    code: CodeKind,
    /// Queries per group
    #[arg(long, default_value_t = 10)]
    group: usize,
    /// Redundant tasks per group
    #[arg(long, default_value_t = 1)]
    redundant: usize,
    /// A file with a trained encoder; `mixed` for the mean of the queries
    #[arg(long)]
    encoder: Option<PathBuf>,
    /// When reconstructed answers are released: first, never, a delay or a latency quantile
    #[arg(long, default_value = "first")]
    reconstruct: Policy,
    /// The maximum time that a group stays open after its first query
    #[arg(long, default_value = "2ms")]
    max_batch_delay: Time,
    /// The maximum fraction of queries that are hedged, after the 95th percentile of latency
    #[arg(long, default_value_t = 0.0)]
    hedge_budget: f64,
    /// The maximum number of queued queries; more are rejected [default: 16 per worker]
    #[arg(long)]
    max_queue_len: Option<usize>,
    /// The timeout of requests without a parameter `timeout`
    #[arg(long, default_value = "30s")]
    default_timeout: Time,
    /// The address for HTTP
    #[arg(long, default_value = "127.0.0.1:8000")]
    http: SocketAddr,
    /// The address for gRPC [default: none]
    #[arg(long)]
    grpc: Option<SocketAddr>,
    /// A separate address for /metrics, which the HTTP port serves too
    #[arg(long)]
    metrics: Option<SocketAddr>,
    /// How long to accept requests after a stop signal, while reporting not ready
    #[arg(long, default_value = "0s")]
    shutdown_delay: Time,
    #[command(flatten)]
    parent: Parent,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    arguments.parent.watch();
    // The worker role follows from the code: only a student code has students.
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
    // The same path as `serve --config`, with one model.
    let config = Config {
        listen: Listen {
            http: arguments.http,
            grpc: arguments.grpc,
            metrics: arguments.metrics,
        },
        shutdown_delay: arguments.shutdown_delay,
        grace_period: Time::milliseconds(10_000),
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
                max_batch_delay: arguments.max_batch_delay,
                hedge_budget: arguments.hedge_budget,
                max_queue_len: arguments.max_queue_len,
                default_timeout: arguments.default_timeout,
                ..EngineConfig::default()
            },
            workers: base.chain(redundant).collect(),
        }],
    };
    on_all_cores(config.serve(|addresses| println!("ready {addresses}")))
}
