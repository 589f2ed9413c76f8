//! `sketch info`

use std::path::PathBuf;

use anyhow::Result;
use septet_core::io::ByteSize;

use crate::open::OpenOptions;
use crate::output::{Row, print};

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
    let mut rows = vec![
        Row::new("kind", opened.sketch.kind()),
        Row::new("format", opened.format),
    ];
    rows.extend(
        opened
            .key_type
            .map(|keys| Row::new("keys", keys.to_string())),
    );
    rows.extend(opened.sketch.describe());
    rows.push(
        Row::new("file bytes", opened.bytes.len())
            .display(ByteSize(opened.bytes.len() as u64).to_string()),
    );
    print(arguments.json, &rows)
}
