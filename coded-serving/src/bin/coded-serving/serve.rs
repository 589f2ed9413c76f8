//! `serve`: what a configuration file describes.

use std::path::PathBuf;

use clap::Args;

use crate::config::{Config, Disturbance, on_all_cores};

/// A configuration names models, and for each its workers and its code:
///
///     [listen]                        # without it: HTTP 8000, gRPC 8001, metrics 8002
///     http = "127.0.0.1:8000"
///
///     [[model]]
///     name = "digits"
///     code = { kind = "coded-invnet", group = 10, encoder = "encoder.safetensors" }
///     engine = { reconstruct = "40ms", fill = "2ms" }
///
///     [[model.worker]]
///     file = "base.safetensors"
///     count = 4
///
///     [[model.worker]]
///     url = "http://10.0.0.7:8000"
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The configuration, in TOML; files in it are named from where it lies
    #[arg(long)]
    config: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config = Config::read(&arguments.config)?;
    on_all_cores(config.serve(Disturbance::NONE, |bound| println!("ready {bound}")))
}
