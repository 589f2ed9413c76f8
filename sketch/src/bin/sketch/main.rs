//! `sketch`: frequency sketches from the command line.

mod any_sketch;
mod build;
mod convert;
mod eval;
mod generate;
mod info;
mod input;
mod key_estimate;
mod learned;
mod merge;
mod model;
mod open;
mod output;
mod plan;
mod query;
mod topk;
mod train;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use septet_core::cli::{self, Exit};
#[cfg(feature = "train")]
use septet_core::nn::NnError;
use septet_sketch::SketchError;

/// Summarizes streams of keys in little memory and estimates how often each key occurred.
///
/// Streams are files in one of the formats lines, integers, csv:KEY or csv:KEY:COUNT, tsv likewise,
/// tuples13, lis, pcap, npy, npz:KEYS or npz:KEYS:COUNTS. Files compressed with gzip, xz or zstd are
/// decompressed. The file - is standard input or output.
///
/// Exit codes: 0 success, 3 wrong arguments, 4 a file is missing, invalid or incompatible, 5 internal
/// error, 130 interrupted.
#[derive(Parser)]
#[command(name = "sketch", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Count a stream into a sketch.
    Build(build::Arguments),
    /// Print how often keys occurred.
    Query(query::Arguments),
    /// Print the most frequent keys.
    Topk(topk::Arguments),
    /// Merge sketches.
    Merge(merge::Arguments),
    /// Print the parameters of a sketch.
    Info(info::Arguments),
    /// Write a sketch in another format.
    Convert(convert::Arguments),
    /// Train an oracle on a stream.
    Train(train::Arguments),
    /// Measure the errors of a sketch against exact counts.
    Eval(eval::Arguments),
    /// Plan the division of a memory budget for similar streams.
    Plan(plan::Arguments),
    /// Generate a stream.
    #[command(subcommand)]
    Gen(generate::Arguments),
}

fn main() -> ExitCode {
    cli::run(class, run)
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    cli::exit_on_interrupt();
    match arguments.command {
        Command::Build(arguments) => build::run(&arguments),
        Command::Query(arguments) => query::run(&arguments),
        Command::Topk(arguments) => topk::run(&arguments),
        Command::Merge(arguments) => merge::run(&arguments),
        Command::Info(arguments) => info::run(&arguments),
        Command::Convert(arguments) => convert::run(&arguments),
        Command::Train(arguments) => train::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Gen(arguments) => generate::run(&arguments),
    }
}

/// The exit code of a library error: parameters come from the command line.
fn class(cause: &(dyn Error + 'static)) -> Option<Exit> {
    match cause.downcast_ref()? {
        SketchError::Parameter { .. } | SketchError::NeedsFeature { .. } => Some(Exit::Usage),
        // Its text is that of the cause, so the chain of causes does not show it.
        #[cfg(feature = "train")]
        SketchError::Tensor(NnError::Parameter { .. }) => Some(Exit::Usage),
        _ => Some(Exit::Data),
    }
}
