//! `sketch info`

use std::path::PathBuf;

use anyhow::Result;

use crate::any_sketch::Reading;
use crate::output::{Row, print};
use crate::size;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The file of the sketch.
    sketch: PathBuf,
    #[command(flatten)]
    reading: Reading,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let opened = arguments.reading.open(&arguments.sketch)?;
    let mut rows = vec![
        Row::new("kind", opened.sketch.kind()),
        Row::new("format", opened.format),
    ];
    rows.extend(opened.keys.map(|keys| Row::new("keys", keys.to_string())));
    rows.extend(opened.sketch.describe());
    rows.push(Row::new("file bytes", opened.bytes.len()).shown(size::shown(opened.bytes.len())));
    print(arguments.json, &rows)
}
