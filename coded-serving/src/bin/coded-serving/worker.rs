//! `worker`: one model, one task at a time.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use septet_coded_serving::load::Delay;

use crate::config::{
    CodeConfig, Config, Disturbance, EngineConfig, Listen, ModelConfig, WorkerConfig, on_all_cores,
};
use crate::quantity::Time;

#[derive(Args)]
pub(crate) struct Arguments {
    /// A network in a safetensors file, or an ONNX model
    file: PathBuf,
    /// The name of the model [default: the name of the file]
    #[arg(long)]
    name: Option<String>,
    /// Where to listen for HTTP; port 0 for any that is free
    #[arg(long, default_value = "127.0.0.1:8000")]
    http: SocketAddr,
    /// Where to listen for gRPC [default: nowhere]
    #[arg(long)]
    grpc: Option<SocketAddr>,
    /// How many queries may wait; more are turned away
    #[arg(long, default_value_t = 64)]
    most_waiting: usize,
    /// How many tasks are worked on side by side
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Take so much longer than the model for every task
    #[arg(long, default_value = "0s")]
    service: Time,
    /// Hold a task up for so long ...
    #[arg(long, default_value = "0s")]
    delay: Time,
    /// ... with this probability
    #[arg(long, default_value_t = 0.0)]
    delay_probability: f64,
    /// Fail tasks with this probability
    #[arg(long, default_value_t = 0.0)]
    fail_probability: f64,
    /// The seed of delays and failures
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How long to go on answering after a signal to stop
    #[arg(long, default_value = "0s")]
    linger: Time,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let stem = arguments.file.file_stem().unwrap_or_default();
    let name = arguments
        .name
        .clone()
        .unwrap_or_else(|| stem.to_string_lossy().into_owned());
    let delay = Delay::constant(arguments.service.0)
        .or_more(arguments.delay_probability, arguments.delay.0)?;
    let config = Config {
        listen: Listen {
            http: arguments.http,
            grpc: arguments.grpc,
            metrics: None,
        },
        linger: arguments.linger,
        grace: Time::milliseconds(10_000),
        models: vec![ModelConfig {
            name,
            code: CodeConfig::default(),
            engine: EngineConfig {
                most_waiting: Some(arguments.most_waiting),
                // Whoever asks may do so again: here there is one worker alone.
                retries: 0.0,
                ..EngineConfig::default()
            },
            workers: vec![WorkerConfig {
                count: arguments.threads,
                ..WorkerConfig::file(arguments.file.clone())
            }],
        }],
    };
    let disturbance = Disturbance {
        delay,
        failures: arguments.fail_probability,
        seed: arguments.seed,
    };
    on_all_cores(config.serve(disturbance, |bound| println!("ready {bound}")))
}
