//! `sketch`: frequency sketches from the command line.

mod any_sketch;
mod build;
mod convert;
mod eval;
mod generate;
mod info;
mod input;
mod learned;
mod merge;
mod model;
mod output;
mod plan;
mod query;
mod size;
mod topk;
mod train;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Summarizes streams of keys in little memory, and asks the summaries how often a key occurred.
///
/// Streams are files in one of the formats lines, integers, csv:KEY or csv:KEY:COUNT, tsv likewise,
/// tuples13, lis, pcap, npy, npz:KEYS or npz:KEYS:COUNTS; those that end in .gz or .zst are
/// compressed. The file - is standard input or output.
///
/// Exit codes: 0 done, 2 a file is missing, malformed or does not fit, 3 wrong arguments.
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
    /// Add sketches up to one.
    Merge(merge::Arguments),
    /// Print what a sketch is like.
    Info(info::Arguments),
    /// Write a sketch in another format.
    Convert(convert::Arguments),
    /// Train an oracle on a stream.
    Train(train::Arguments),
    /// Measure the errors of a sketch against a stream that is counted exactly.
    Eval(eval::Arguments),
    /// Print how to divide a budget of bytes for a stream like this one.
    Plan(plan::Arguments),
    /// Generate a stream.
    #[command(subcommand)]
    Gen(generate::Arguments),
}

/// A wrong argument that the parser of arguments cannot know.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

const BAD_DATA: u8 = 2;
const USAGE: u8 = 3;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // When the output is closed, the exit code alone tells.
            let _ = error.print();
            return match error.use_stderr() {
                true => ExitCode::from(USAGE),
                false => ExitCode::SUCCESS,
            };
        }
    };
    let result = match arguments.command {
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
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads the output has seen enough: `sketch .. | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let mut message = format!("sketch: {error}");
            for cause in error.chain().skip(1) {
                let cause = cause.to_string();
                // Some errors already say what their causes say.
                if !message.contains(&cause) {
                    message.push_str("\n  ");
                    message.push_str(&cause);
                }
            }
            let _ = writeln!(io::stderr(), "{message}");
            let is_usage = error.chain().any(|cause| {
                cause.is::<Usage>()
                    || matches!(
                        cause.downcast_ref(),
                        Some(septet_sketch::SketchError::Parameter { .. })
                    )
            });
            ExitCode::from(if is_usage { USAGE } else { BAD_DATA })
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
