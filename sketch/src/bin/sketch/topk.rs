//! `sketch topk`

use std::path::PathBuf;

use anyhow::Result;
use septet_core::cli::Failure;
use septet_sketch::AnyKey;
use septet_sketch::stream::StreamFormat;
use serde_json::json;

use crate::input::{self, Input};
use crate::open::OpenOptions;
use crate::output::{number, print_json, print_table};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The file of the sketch.
    sketch: PathBuf,
    /// The number of keys to print.
    #[arg(short, default_value_t = 10)]
    k: usize,
    /// Rank the keys of this stream, for sketches that do not store keys.
    #[arg(long, value_name = "STREAM")]
    candidates: Option<PathBuf>,
    /// The format of the candidates.
    #[arg(long, short, value_parser = input::parse_format, requires = "candidates")]
    format: Option<StreamFormat>,
    #[command(flatten)]
    open: OpenOptions,
    /// Print a JSON array.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let opened = arguments.open.open(&arguments.sketch)?;
    let top: Vec<(AnyKey, f64)> = match &arguments.candidates {
        Some(path) => {
            let input = Input {
                streams: vec![path.clone()],
                format: arguments.format.clone(),
            };
            // Distinct candidates in the order of their keys; the sort by estimate is stable.
            let counts = input.counts("reading candidates")?;
            let keys: Vec<AnyKey> = counts.into_iter().map(|(key, _)| key).collect();
            let estimates = opened.sketch.estimates(&keys)?;
            let mut top: Vec<_> = keys.into_iter().zip(estimates).collect();
            top.sort_by(|left, right| right.1.total_cmp(&left.1));
            top.truncate(arguments.k);
            top
        }
        None => opened.sketch.top(arguments.k).ok_or_else(|| {
            Failure::usage(format!(
                "a {} does not store keys: build it with --top, ss or mg, or set --candidates",
                opened.sketch.kind()
            ))
        })?,
    };
    if arguments.json {
        let rows = top
            .iter()
            .map(|(key, estimate)| json!({"key": key.to_string(), "estimate": estimate}));
        return print_json(&rows.collect());
    }
    let rows: Vec<Vec<String>> = top
        .iter()
        .zip(1..)
        .map(|((key, estimate), rank)| vec![rank.to_string(), number(*estimate), key.to_string()])
        .collect();
    print_table(&["rank", "estimate", "key"], &rows)
}
