//! `serve`: models from a configuration file.

use std::path::PathBuf;

use clap::Args;
use septet_core::cli::Exit;

use crate::config::{Config, on_all_cores};

/// The configuration lists models, each with its workers and its code:
///
///     [listen]                        # without it: HTTP 8000, gRPC 8001, metrics 8002
///     http = "127.0.0.1:8000"
///
///     [[model]]
///     name = "digits"
///     code = { kind = "coded-invnet", group = 10, encoder = "encoder.safetensors" }
///     engine = { reconstruct = "40ms", max_batch_delay = "2ms" }
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
    /// The configuration, in TOML; paths in it are relative to its folder
    #[arg(long)]
    config: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let config = Config::read(&arguments.config)?;
    on_all_cores(config.serve(|addresses| println!("ready {addresses}")))
}
