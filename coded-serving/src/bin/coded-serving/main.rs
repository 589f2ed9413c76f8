//! `coded-serving`: prediction serving that survives failed and straggling workers.

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

/// Serves predictions through codes, so that a lost worker costs no answer
///
/// `coded-serving demo` shows it: it starts eleven workers, kills one, and keeps answering.
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
    /// Put a code in front of running inference servers
    Gateway(gateway::Arguments),
    /// Serve models from a configuration file, with workers of any kind and codes
    Serve(serve::Arguments),
    /// Train a network on images: an invertible one, an encoder, a parity model or a student
    Train(train::Arguments),
    /// Measure the accuracy of reconstructed answers
    Eval(eval::Arguments),
    /// Compare codes by latency in virtual time, with straggling workers
    Simulate(simulate::Arguments),
    /// Find the cheapest code that meets a latency target, in virtual time
    Plan(plan::Arguments),
    /// Load-test a server; compare codes and inject faults with real processes
    Bench(bench::Arguments),
    /// Export a network to ONNX, for other inference servers
    Convert(convert::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Servers log draining; commands with a result print only warnings beside it.
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
