//! `cachesim annotate`

use std::path::PathBuf;

use anyhow::Result;

use crate::input::{self, Format, Input};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    input: Input,
    /// Output file; - is standard output.
    output: PathBuf,
    /// Output format, which must have a next-access field.
    #[arg(value_parser = parse_format, default_value = "oracleGeneral")]
    output_format: Format,
}

/// The formats with a next-access field.
const FORMATS: [&str; 3] = ["oracleGeneral", "lcs", "csv"];

fn parse_format(name: &str) -> Result<Format, String> {
    if !FORMATS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return Err(format!("expected one of {}", FORMATS.join(", ")));
    }
    input::parse_format(name).map_err(|error| error.to_string())
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let format = input::resolve_format(&arguments.output, arguments.output_format)?;
    let mut trace = arguments.input.load()?;
    trace.annotate();
    input::write(&arguments.output, format, &trace)
}
