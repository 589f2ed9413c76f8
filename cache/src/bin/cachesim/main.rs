//! `cachesim`: cache simulation from the command line.

mod analyze;
mod annotate;
mod convert;
mod curve;
mod generate;
mod input;
mod simulate;
mod sizes;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use septet_cache::CacheError;
use septet_core::cli::{self, Exit};

/// Simulates cache replacement policies on traces; generates, converts and analyzes traces.
///
/// As in libCacheSim, a trace is given by its file and its format. Files with the suffix .gz, .zst
/// or .xz are compressed.
///
/// Exit codes: 0 success, 3 usage, 4 missing or damaged data, 5 internal error, 130 interrupted.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print summary statistics of a trace: counts, popularity, reuse.
    Analyze(analyze::Arguments),
    /// Add next accesses to a trace.
    Annotate(annotate::Arguments),
    /// Convert a trace to another format.
    Convert(convert::Arguments),
    /// Generate a trace.
    Gen(generate::Arguments),
    /// Compute miss-ratio curves.
    Mrc(curve::Arguments),
    /// Simulate policies at several cache sizes.
    Sim(simulate::Arguments),
}

fn main() -> ExitCode {
    cli::run(class, run)
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    cli::exit_on_interrupt();
    match arguments.command {
        Command::Analyze(arguments) => analyze::run(&arguments),
        Command::Annotate(arguments) => annotate::run(&arguments),
        Command::Convert(arguments) => convert::run(&arguments),
        Command::Gen(arguments) => generate::run(&arguments),
        Command::Mrc(arguments) => curve::run(&arguments),
        Command::Sim(arguments) => simulate::run(&arguments),
    }
}

/// The exit code of a library error. A policy that requires what the trace lacks is an error of the
/// arguments.
fn class(cause: &(dyn Error + 'static)) -> Option<Exit> {
    Some(match cause.downcast_ref()? {
        CacheError::Argument { .. }
        | CacheError::MissingFeature { .. }
        | CacheError::UnknownName { .. }
        | CacheError::NeedsFuture { .. }
        | CacheError::NeedsPredictions { .. }
        | CacheError::NeedsUnitSizes { .. } => Exit::Usage,
        _ => Exit::Data,
    })
}
