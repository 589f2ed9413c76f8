//! `worker`: serves one model from a file.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use septet_coded_serving::load::Delay;
use septet_core::cli::Exit;

use crate::config::{
    Addresses, CodeConfig, Config, EngineConfig, InjectedFaults, Listen, ModelConfig, WorkerConfig,
    on_all_cores,
};
use crate::process::Parent;
use crate::quantity::Time;

#[derive(Args)]
pub(crate) struct Arguments {
    /// A network in a safetensors file, or an ONNX model
    file: PathBuf,
    /// The name of the model [default: the name of the file]
    #[arg(long)]
    name: Option<String>,
    /// The address for HTTP; port 0 for any free port
    #[arg(long, default_value = "127.0.0.1:8000")]
    http: SocketAddr,
    /// The address for gRPC [default: none]
    #[arg(long)]
    grpc: Option<SocketAddr>,
    /// The maximum number of queued queries; more are rejected
    #[arg(long, default_value_t = 64)]
    max_queue_len: usize,
    /// The number of tasks that run in parallel
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Time to add to every task
    #[arg(long, default_value = "0s")]
    service_time: Time,
    /// The additional time of a straggling task
    #[arg(long, default_value = "0s")]
    delay: Time,
    /// The probability that a task straggles
    #[arg(long, default_value_t = 0.0)]
    delay_probability: f64,
    /// The probability that a task fails
    #[arg(long, default_value_t = 0.0)]
    failure_probability: f64,
    /// The seed of the injected delays and failures
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How long to accept requests after a stop signal, while reporting not ready
    #[arg(long, default_value = "0s")]
    shutdown_delay: Time,
    #[command(flatten)]
    parent: Parent,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    arguments.parent.watch();
    let stem = arguments.file.file_stem().unwrap_or_default();
    let name = arguments
        .name
        .clone()
        .unwrap_or_else(|| stem.to_string_lossy().into_owned());
    let delay = Delay::constant(arguments.service_time.0)
        .with_stragglers(arguments.delay_probability, arguments.delay.0)?;
    let config = Config {
        listen: Listen {
            http: arguments.http,
            grpc: arguments.grpc,
            metrics: None,
        },
        shutdown_delay: arguments.shutdown_delay,
        grace_period: Time::milliseconds(10_000),
        models: vec![ModelConfig {
            name,
            code: CodeConfig::default(),
            engine: EngineConfig {
                max_queue_len: Some(arguments.max_queue_len),
                // A retry would go to the same model on the same machine; the client can retry elsewhere.
                retry_budget: 0.0,
                ..EngineConfig::default()
            },
            workers: vec![WorkerConfig {
                count: arguments.threads,
                ..WorkerConfig::file(arguments.file.clone())
            }],
        }],
    };
    let faults = InjectedFaults {
        delay,
        failure_probability: arguments.failure_probability,
        seed: arguments.seed,
    };
    // Without faults to inject, the pool is used as it is.
    let injects = !arguments.service_time.0.is_zero()
        || arguments.delay_probability != 0.0
        || arguments.failure_probability != 0.0;
    let ready = |addresses: &Addresses| println!("ready {addresses}");
    if injects {
        on_all_cores(config.serve_with_faults(faults, ready))
    } else {
        on_all_cores(config.serve(ready))
    }
}
