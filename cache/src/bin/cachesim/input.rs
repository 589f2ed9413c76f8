//! The trace that a command reads.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use septet_cache::CacheError;
use septet_cache::trace::{self, CsvOptions, ReadOptions, Trace, TraceFormat};

/// The arguments that name a trace.
#[derive(Args)]
pub(crate) struct Input {
    /// The file.
    trace: PathBuf,
    /// Its format, or `auto` to tell it by the file's name.
    #[arg(value_parser = parse_format, help = format_help())]
    format: Format,
    /// The columns of a csv trace: for example
    /// "time-col=1, obj-id-col=2, obj-size-col=3, delimiter=,, has-header=true".
    #[arg(short = 't', long = "trace-type-params", default_value = "")]
    columns: CsvOptions,
    /// Let every object count 1.
    #[arg(long, num_args = 0..=1, default_value = "false", default_missing_value = "true", value_parser = parse_truth)]
    ignore_obj_size: bool,
    /// Refuse traces with more requests than this, so that a small file cannot fill the memory.
    #[arg(long, value_name = "REQUESTS", default_value_t = 1 << 28)]
    max_records: u64,
}

/// A format, if it was told.
pub(crate) type Format = Option<TraceFormat>;

/// Reads the name of a format, or `auto`.
pub(crate) fn parse_format(name: &str) -> Result<Format, CacheError> {
    match name {
        "auto" => Ok(None),
        name => name.parse().map(Some),
    }
}

fn format_help() -> String {
    let names = TraceFormat::ALL.map(TraceFormat::name).join(", ");
    format!("Its format, or `auto` to tell it by the file's name [formats: {names}]")
}

/// `true` or `false`, or 1 or 0 as libCacheSim has it.
fn parse_truth(text: &str) -> Result<bool, &'static str> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("expected true, false, 1 or 0"),
    }
}

/// The format that was told, or that the name of the file tells.
pub(crate) fn format_of(path: &Path, told: Format) -> Result<TraceFormat> {
    told.or_else(|| TraceFormat::detect(path)).with_context(|| {
        let names = TraceFormat::ALL.map(TraceFormat::name).join(", ");
        let path = path.display();
        format!("{path}: the name does not tell the format; give one of {names}")
    })
}

impl Input {
    /// Reads the trace, with a progress bar on a terminal.
    pub(crate) fn load(&self) -> Result<Trace> {
        let format = format_of(&self.trace, self.format)?;
        let mut options = ReadOptions::default().csv(self.columns.clone());
        options.max_records = Some(self.max_records);
        let mut reader = trace::open(&self.trace, format, &options)?;
        let length = reader.progress().map_or(0, |(_, length)| length);
        let template = "{msg} {wide_bar} {bytes}/{total_bytes} {eta:>4} left";
        let bar = ProgressBar::new(length)
            .with_style(ProgressStyle::with_template(template)?)
            .with_message(format!("reading {}", self.trace.display()));
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
        bar.finish_and_clear();
        if self.ignore_obj_size {
            trace.ignore_sizes();
        }
        Ok(trace)
    }
}

/// Writes a trace, with a sign of life on a terminal.
pub(crate) fn write(path: &Path, format: TraceFormat, trace: &Trace) -> Result<()> {
    const TICK: std::time::Duration = std::time::Duration::from_millis(200);
    let spinner = ProgressBar::new_spinner().with_message(format!("writing {}", path.display()));
    spinner.enable_steady_tick(TICK);
    trace::write(path, format, trace)?;
    spinner.finish_and_clear();
    Ok(())
}
