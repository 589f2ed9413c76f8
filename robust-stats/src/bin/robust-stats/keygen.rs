//! `robust-stats keygen`: the server's assignment key.

use std::path::PathBuf;

use rand_chacha::rand_core::RngCore;
use septet_core::cli::{Exit, Failure, Report};
use septet_core::io::hex;
use septet_robust_stats::mechanism::client_generator;

use crate::files;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Output file, which must not exist
    #[arg(long)]
    out: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Exit> {
    // Reports are only valid under the key that assigned their groups: never replace one.
    if arguments.out.exists() {
        let message = format!("{}: exists already", arguments.out.display());
        return Err(Failure::usage(message).into());
    }
    let mut key = [0; 16];
    client_generator()?.fill_bytes(&mut key);
    let text = format!("{}\n", hex::encode(&key));
    files::write_private(&arguments.out, text.as_bytes())?;
    Report::default()
        .field("key_file", arguments.out.display().to_string())
        .print(json)?;
    Ok(Exit::Success)
}
