//! `sketch eval`

use std::path::PathBuf;

use anyhow::Result;
use septet_core::cli::Report;
use septet_sketch::AnyKey;
use septet_sketch::metrics::{
    average_absolute_frequency_error, average_relative_error, root_square_error_per_occurrence,
};
use septet_sketch::stream::StreamFormat;

use crate::input::{self, Input};
use crate::open::OpenOptions;

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
    let report = Report::default()
        .field("kind", opened.sketch.kind())
        .field("keys", keys.len())
        .field("occurrences", counts.iter().sum::<u64>())
        .field_as(
            "average_absolute_frequency_error",
            aafe,
            format!("{aafe:.4}"),
        )
        .field_as(
            "root_square_error_per_occurrence",
            square,
            format!("{square:.4}"),
        )
        .field_as("average_relative_error", relative, format!("{relative:.4}"))
        .field_as("largest_error", worst, crate::output::number(worst))
        .field(
            "exact",
            pairs()
                .filter(|(count, estimate)| count == *estimate)
                .count(),
        )
        .field(
            "too_large",
            pairs().filter(|(count, estimate)| count < estimate).count(),
        )
        .field(
            "too_small",
            pairs().filter(|(count, estimate)| count > estimate).count(),
        );
    Ok(report.print(arguments.json)?)
}
