//! `cachesim convert`

use std::path::PathBuf;

use anyhow::Result;
use septet_cache::trace::TraceFormat;

use crate::input::{self, Format, Input};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    input: Input,
    /// The file to write.
    output: PathBuf,
    #[arg(value_parser = input::parse_format, default_value = "auto", help = format_help())]
    output_format: Format,
}

fn format_help() -> String {
    let names = TraceFormat::WRITABLE.map(TraceFormat::name).join(", ");
    format!("Its format, or `auto` to tell it by the file's name [formats: {names}]")
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let format = input::format_of(&arguments.output, arguments.output_format)?;
    let trace = arguments.input.load()?;
    input::write(&arguments.output, format, &trace)
}
