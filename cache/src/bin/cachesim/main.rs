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

/// Simulates replacement policies on traces, and works on the traces.
///
/// Traces are named as libCacheSim does: a file, then its format. Files that end in .gz, .zst or
/// .xz are compressed.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print what a trace is like: counts, popularity, reuse.
    Analyze(analyze::Arguments),
    /// Add to a trace when each page is requested next.
    Annotate(annotate::Arguments),
    /// Write a trace in another format.
    Convert(convert::Arguments),
    /// Generate a trace.
    Gen(generate::Arguments),
    /// Print miss-ratio curves.
    Mrc(curve::Arguments),
    /// Simulate policies at cache sizes.
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
        // Who reads the output has seen enough: `cachesim .. | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // When standard error is closed, the exit code alone tells.
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
