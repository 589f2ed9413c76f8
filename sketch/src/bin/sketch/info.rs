//! `sketch info`

use std::path::PathBuf;

use anyhow::Result;
use septet_core::cli::Report;
use septet_core::io::ByteSize;

use crate::open::OpenOptions;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The file of the sketch.
    sketch: PathBuf,
    #[command(flatten)]
    open: OpenOptions,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let opened = arguments.open.open(&arguments.sketch)?;
    let mut report = Report::default()
        .field("kind", opened.sketch.kind())
        .field("format", opened.format);
    if let Some(keys) = opened.key_type {
        report = report.field("keys", keys.to_string());
    }
    let size = opened.bytes.len();
    let report = opened.sketch.describe(report).field_as(
        "file_bytes",
        size,
        ByteSize(size as u64).to_string(),
    );
    Ok(report.print(arguments.json)?)
}
