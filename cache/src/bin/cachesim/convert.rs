//! `cachesim convert`

use std::path::PathBuf;

use anyhow::Result;
use septet_cache::trace::TraceFormat;

use crate::input::{self, Format, Input};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    input: Input,
    /// Output file; - is standard output.
    output: PathBuf,
    #[arg(value_parser = input::parse_format, default_value = "auto", help = format_help())]
    output_format: Format,
}

fn format_help() -> String {
    let names = TraceFormat::WRITABLE.map(TraceFormat::name).join(", ");
    format!("Output format, or `auto` to detect it by file name [formats: {names}]")
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let format = input::resolve_format(&arguments.output, arguments.output_format)?;
    let trace = arguments.input.load()?;
    input::write(&arguments.output, format, &trace)
}
