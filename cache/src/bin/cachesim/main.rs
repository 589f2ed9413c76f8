//! `cachesim`: cache simulation from the command line.

mod analyze;
mod annotate;
mod convert;
mod curve;
mod generate;
mod input;
mod simulate;
mod sizes;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Simulates cache replacement policies on traces; generates, converts and analyzes traces.
///
/// As in libCacheSim, a trace is given by its file and its format. Files with the suffix .gz, .zst
/// or .xz are compressed.
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
    let result = match Arguments::parse().command {
        Command::Analyze(arguments) => analyze::run(&arguments),
        Command::Annotate(arguments) => annotate::run(&arguments),
        Command::Convert(arguments) => convert::run(&arguments),
        Command::Gen(arguments) => generate::run(&arguments),
        Command::Mrc(arguments) => curve::run(&arguments),
        Command::Sim(arguments) => simulate::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the output has exited: `cachesim .. | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed, only the exit code remains.
            let _ = writeln!(io::stderr(), "cachesim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
