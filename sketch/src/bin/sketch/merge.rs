//! `sketch merge`

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::any_sketch::Reading;
use crate::output::{Output, Row};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The files of the sketches, two or more.
    #[arg(required = true, num_args = 2..)]
    sketches: Vec<PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    reading: Reading,
    /// Print what came out as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (first, others) = arguments
        .sketches
        .split_first()
        .context("there is at least one sketch")?;
    let mut merged = arguments.reading.open(first)?;
    for path in others {
        let other = arguments.reading.open(path)?;
        merged
            .sketch
            .take_in(other.sketch.as_ref())
            .with_context(|| {
                format!("{} cannot be added to {}", path.display(), first.display())
            })?;
        if merged.keys != other.keys {
            merged.keys = None;
        }
    }
    let options = arguments.output.options().key_type(merged.keys);
    arguments.output.write(&merged.sketch.stored(&options)?)?;
    let mut rows = vec![
        Row::new("kind", merged.sketch.kind()),
        Row::new("merged", arguments.sketches.len()),
    ];
    rows.extend(merged.sketch.describe());
    arguments.output.say(arguments.json, &rows)
}
