//! `sketch eval`

use std::path::PathBuf;

use anyhow::Result;
use septet_sketch::AnyKey;
use septet_sketch::metrics::{
    average_absolute_frequency_error, average_relative_error, root_square_error_per_occurrence,
};
use septet_sketch::stream::StreamFormat;

use crate::input::{self, Input};
use crate::open::OpenOptions;
use crate::output::{Row, print};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The file of the sketch.
    sketch: PathBuf,
    /// The stream that the sketch has counted, or its keys with their counts (csv:KEY:COUNT). All
    /// distinct keys are held in memory.
    #[arg(long, value_name = "STREAM")]
    truth: PathBuf,
    /// The format of the stream.
    #[arg(long, short, value_parser = input::parse_format)]
    format: Option<StreamFormat>,
    #[command(flatten)]
    open: OpenOptions,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let opened = arguments.open.open(&arguments.sketch)?;
    let truth = Input {
        streams: vec![arguments.truth.clone()],
        format: arguments.format.clone(),
    };
    let (keys, counts): (Vec<AnyKey>, Vec<u64>) = truth.counts("counting")?.into_iter().unzip();
    // Errors over the distinct keys of the truth; estimates of absent keys are not evaluated.
    let estimates = opened.sketch.estimates(&keys)?;
    let pairs = || counts.iter().map(|&count| count as f64).zip(&estimates);
    let worst = pairs()
        .map(|(count, estimate)| (estimate - count).abs())
        .fold(0.0, f64::max);
    let aafe = average_absolute_frequency_error(&counts, &estimates);
    let square = root_square_error_per_occurrence(&counts, &estimates);
    let relative = average_relative_error(&counts, &estimates);
    let rows = [
        Row::new("kind", opened.sketch.kind()),
        Row::new("keys", keys.len()),
        Row::new("occurrences", counts.iter().sum::<u64>()),
        Row::new("average absolute frequency error", aafe).display(format!("{aafe:.4}")),
        Row::new("root square error per occurrence", square).display(format!("{square:.4}")),
        Row::new("average relative error", relative).display(format!("{relative:.4}")),
        Row::new("largest error", worst).display(crate::output::number(worst)),
        Row::new(
            "exact",
            pairs()
                .filter(|(count, estimate)| count == *estimate)
                .count(),
        ),
        Row::new(
            "too large",
            pairs().filter(|(count, estimate)| count < estimate).count(),
        ),
        Row::new(
            "too small",
            pairs().filter(|(count, estimate)| count > estimate).count(),
        ),
    ];
    print(arguments.json, &rows)
}
