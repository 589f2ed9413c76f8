//! `sketch merge`

use std::path::PathBuf;

use anyhow::{Context, Result};
use septet_core::cli::Report;

use crate::open::OpenOptions;
use crate::output::Output;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The files of the sketches, two or more.
    #[arg(required = true, num_args = 2..)]
    sketches: Vec<PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    open: OpenOptions,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (first, others) = arguments
        .sketches
        .split_first()
        .context("clap requires two sketches")?;
    // Merge one file at a time into the first: memory for two sketches suffices.
    let mut merged = arguments.open.open(first)?;
    for path in others {
        let other = arguments.open.open(path)?;
        merged
            .sketch
            .merge_from(other.sketch.as_ref())
            .with_context(|| {
                format!(
                    "{} cannot be merged into {}",
                    path.display(),
                    first.display()
                )
            })?;
        // Files that disagree about the type of keys leave it unspecified.
        if merged.key_type != other.key_type {
            merged.key_type = None;
        }
    }
    let options = arguments.output.options().key_type(merged.key_type);
    arguments
        .output
        .write(&merged.sketch.to_native_bytes(&options)?)?;
    let report = Report::default()
        .field("kind", merged.sketch.kind())
        .field("merged", arguments.sketches.len());
    let report = merged.sketch.describe(report);
    arguments.output.report(arguments.json, &report)
}
