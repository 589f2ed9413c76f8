//! The runner of Septet: `cargo xtask <command>`.
//!
//! A dispatcher and one module a command. The runner links no system; it spawns their programs
//! through cargo, so that it compiles in seconds and asks for nothing that a command does not use.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

mod bench;
mod cargo;
mod ci;
mod conformance;
mod data;
mod doctor;
#[cfg(feature = "fetch")]
mod fetch;
mod outcome;
mod packages;
mod report;
mod reproduce;
mod summary;
mod system;
mod terminal;
mod tool;

use std::error::Error;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use septet_core::cli::{self, Exit};

/// Runs the papers' experiments and the checks of the workspace
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reproduces one paper or all: `reproduce cache`, `reproduce all`, `reproduce --list`
    Reproduce(reproduce::Arguments),
    /// Builds the page and the figures of a run again from its report.json
    Report(report::Arguments),
    /// The data sets: which there are, where they are stored, whether their hashes match
    #[command(subcommand)]
    Data(data::Action),
    /// Runs the comparisons with other implementations: `bench cache --peers`
    Bench(bench::Arguments),
    /// Runs the checks that every change passes: formatting, lints, tests, docs, reproductions
    Ci(ci::Arguments),
    /// Says what this machine has, what is missing, and what it is needed for
    Doctor(doctor::Arguments),
}

fn main() -> ExitCode {
    cli::run(internal, |line: CommandLine| match line.command {
        Some(command) => dispatch(command),
        // Without a command the help is the answer, not a usage error: newcomers type this first.
        None => {
            println!("{}", CommandLine::command().render_help());
            Ok(Exit::Success)
        }
    })
}

/// An error that no `Failure` classifies is an internal error of the runner.
fn internal(_: &(dyn Error + 'static)) -> Option<Exit> {
    Some(Exit::Internal)
}

fn dispatch(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Reproduce(arguments) => reproduce::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Data(action) => data::run(&action),
        Command::Ci(arguments) => ci::run(&arguments),
        Command::Doctor(arguments) => Ok(doctor::run(&arguments)),
    }
}
