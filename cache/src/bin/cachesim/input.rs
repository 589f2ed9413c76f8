//! Input and output traces of the commands.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use septet_cache::CacheError;
use septet_cache::trace::{self, CsvOptions, ReadOptions, Trace, TraceFormat};
use septet_core::cli::Failure;
use septet_core::io::{WholeFile, is_stdio};
use septet_core::telemetry::Progress;

/// The arguments of the input trace.
#[derive(Args)]
pub(crate) struct Input {
    /// Input file.
    trace: PathBuf,
    /// Input format.
    #[arg(value_parser = parse_format, help = format_help())]
    format: Format,
    /// Columns of a csv trace, for example
    /// "time-col=1, obj-id-col=2, obj-size-col=3, delimiter=,, has-header=true".
    #[arg(short = 't', long = "trace-type-params", default_value = "")]
    columns: CsvOptions,
    /// Treat every object as of size 1.
    #[arg(long, num_args = 0..=1, default_value = "false", default_missing_value = "true", value_parser = parse_bool)]
    ignore_obj_size: bool,
    /// Maximum number of requests, which bounds the memory that a small file can claim.
    #[arg(long, value_name = "REQUESTS", default_value_t = 1 << 28)]
    max_records: u64,
}

/// A format; `None` to detect it by file name.
pub(crate) type Format = Option<TraceFormat>;

/// Parses the name of a format, or `auto`.
pub(crate) fn parse_format(name: &str) -> Result<Format, CacheError> {
    match name {
        "auto" => Ok(None),
        name => name.parse().map(Some),
    }
}

fn format_help() -> String {
    let names = TraceFormat::ALL.map(TraceFormat::name).join(", ");
    format!("Input format, or `auto` to detect it by file name [formats: {names}]")
}

/// Parses `true`, `false`, or 1 and 0 as in libCacheSim.
fn parse_bool(text: &str) -> Result<bool, &'static str> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("expected true, false, 1 or 0"),
    }
}

/// The given format, or the one detected by file name.
pub(crate) fn resolve_format(path: &Path, format: Format) -> Result<TraceFormat> {
    format.or_else(|| TraceFormat::detect(path)).ok_or_else(|| {
        let names = TraceFormat::ALL.map(TraceFormat::name).join(", ");
        let path = path.display();
        Failure::usage(format!(
            "{path}: cannot detect the format by file name; specify one of {names}"
        ))
        .into()
    })
}

impl Input {
    /// Reads the trace, with a progress bar on a terminal.
    pub(crate) fn load(&self) -> Result<Trace> {
        let format = resolve_format(&self.trace, self.format)?;
        let mut options = ReadOptions::default().csv(self.columns.clone());
        options.max_records = Some(self.max_records);
        let mut reader = trace::open(&self.trace, format, &options)?;
        let length = reader.progress().map(|(_, length)| length);
        let bar = Progress::bytes(&format!("reading {}", self.trace.display()), length);
        // Update the bar every 65536 records: asking for each would dominate fast formats.
        let mut until_shown = 0_u32;
        let records = std::iter::from_fn(|| {
            if until_shown == 0 {
                until_shown = 1 << 16;
                if let Some((read, _)) = reader.progress() {
                    bar.set_position(read);
                }
            }
            until_shown -= 1;
            reader.next()
        });
        let mut trace = Trace::from_records(records)?;
        drop(bar);
        if self.ignore_obj_size {
            trace.ignore_sizes();
        }
        Ok(trace)
    }
}

/// Writes a trace, with a spinner on a terminal; to standard output when the path is `-`.
pub(crate) fn write(path: &Path, format: TraceFormat, trace: &Trace) -> Result<()> {
    if is_stdio(path) {
        let mut out = WholeFile::create_or_stdout(path)?;
        trace::write_to(&mut out, format, trace)?;
        return Ok(out.finish()?);
    }
    let _spinner = Progress::spinner(&format!("writing {}", path.display()));
    Ok(trace::write(path, format, trace)?)
}
