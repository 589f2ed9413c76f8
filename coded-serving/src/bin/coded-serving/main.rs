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

use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use septet_coded_serving::CodeError;
use septet_coded_serving::backend::ConnectError;
use septet_coded_serving::engine::BuildError;
use septet_coded_serving::load::LoadError;
use septet_coded_serving::train::TrainError;
use septet_core::cli::{self, Exit};
use septet_core::nn::NnError;
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
    cli::run(class, run)
}

fn run(arguments: Arguments) -> anyhow::Result<Exit> {
    // Servers drain on Ctrl-C and log it; the other commands end at once, and print only warnings
    // beside their result.
    let is_server = matches!(
        arguments.command,
        Command::Worker(_) | Command::Gateway(_) | Command::Serve(_)
    );
    if !is_server {
        cli::exit_on_interrupt();
    }
    let level = if is_server {
        LevelFilter::INFO
    } else {
        LevelFilter::WARN
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match arguments.command {
        Command::Demo(arguments) => return demo::run(&arguments),
        Command::Worker(arguments) => return worker::run(&arguments),
        Command::Gateway(arguments) => return gateway::run(&arguments),
        Command::Serve(arguments) => return serve::run(&arguments),
        Command::Train(arguments) => train::run(&arguments)?,
        Command::Eval(arguments) => eval::run(&arguments)?,
        Command::Simulate(arguments) => simulate::run(&arguments)?,
        Command::Plan(arguments) => plan::run(&arguments)?,
        Command::Bench(arguments) => bench::run(&arguments)?,
        Command::Convert(arguments) => convert::run(&arguments)?,
    }
    Ok(Exit::Success)
}

/// The class of an error of the library. Parameters and addresses come from the arguments or from a
/// configuration; everything else is about data.
fn class(cause: &(dyn Error + 'static)) -> Option<Exit> {
    let is_usage = matches!(cause.downcast_ref(), Some(CodeError::Parameter { .. }))
        || matches!(
            cause.downcast_ref(),
            Some(TrainError::Parameter { .. } | TrainError::Tensor(NnError::Parameter { .. }))
        )
        || matches!(cause.downcast_ref(), Some(ConnectError::Address { .. }))
        || cause.is::<LoadError>()
        || cause.is::<BuildError>();
    is_usage.then_some(Exit::Usage)
}
