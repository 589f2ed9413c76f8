//! `coded-serving`: prediction serving that answers although workers fail or straggle.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]
#![expect(clippy::print_stderr, reason = "errors go to standard error")]

mod bench;
mod client;
mod config;
mod convert;
mod demo;
mod eval;
mod faults;
mod gateway;
mod images;
mod latency;
mod plan;
mod process;
mod quantity;
mod serve;
mod simulate;
mod train;
mod worker;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::filter::LevelFilter;

/// Serves predictions through codes, so that one lost worker costs no answer.
///
/// `coded-serving demo` shows it: it starts eleven workers, kills one, and goes on answering.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start eleven workers and a gateway, kill a worker, and watch the answers
    Demo(demo::Arguments),
    /// Serve one model from a file over HTTP and gRPC, as one worker
    Worker(worker::Arguments),
    /// Put a code in front of inference servers that run already
    Gateway(gateway::Arguments),
    /// Serve what a configuration file describes: models, workers of any kind, codes
    Serve(serve::Arguments),
    /// Train a network on images: an invertible one, an encoder, a parity model or a student
    Train(train::Arguments),
    /// Measure how many lost answers come back right
    Eval(eval::Arguments),
    /// Compare codes by latency in virtual time, with workers that straggle
    Simulate(simulate::Arguments),
    /// Find the cheapest code for a latency goal, in virtual time
    Plan(plan::Arguments),
    /// Load a server and tell latencies; compare codes, and try faults, with real processes
    Bench(bench::Arguments),
    /// Write a network as ONNX, for other servers
    Convert(convert::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Servers tell when they drain; what shows a result is not interrupted.
    let level = match arguments.command {
        Command::Worker(_) | Command::Gateway(_) | Command::Serve(_) => LevelFilter::INFO,
        _ => LevelFilter::WARN,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let result = match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Worker(arguments) => worker::run(&arguments),
        Command::Gateway(arguments) => gateway::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Train(arguments) => train::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Convert(arguments) => convert::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the output has gone: nothing is wrong.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  because: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.any(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
