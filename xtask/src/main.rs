//! The runner of Septet: `cargo xtask <command>`.
//!
//! A dispatcher and one module a command. The runner links no system; it spawns their programs
//! through cargo, so that it compiles in seconds and asks for nothing that a command does not use.

#![expect(clippy::print_stderr, reason = "a program for the terminal")]

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

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use outcome::{CommandError, Outcome};
use terminal::say;

/// Runs the papers' experiments and the checks of the workspace
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reproduces one paper or all: `reproduce cache`, `reproduce all`, `reproduce --list`
    Reproduce(reproduce::Arguments),
    /// Builds the page and the figures of a run again from its report.json
    Report(report::Arguments),
    /// The data sets: which there are, where they lie, whether they are the right bytes
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
    if std::env::args_os().len() == 1 {
        say!("{}", CommandLine::command().render_help());
        return Outcome::Success.into();
    }
    let command = match CommandLine::try_parse() {
        Ok(line) => line.command,
        Err(error) => return explain(&error).into(),
    };
    match dispatch(command) {
        Ok(outcome) => outcome.into(),
        Err(CommandError { outcome, source }) => {
            eprintln!("error: {source:#}");
            outcome.into()
        }
    }
}

fn dispatch(command: Command) -> Result<Outcome, CommandError> {
    cargo::outlive_control_c()?;
    match command {
        Command::Reproduce(arguments) => reproduce::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Data(action) => data::run(&action),
        Command::Ci(arguments) => ci::run(&arguments),
        Command::Doctor(arguments) => Ok(doctor::run(&arguments)),
    }
}

/// Prints clap's message: help on standard output, a mistake on standard error.
fn explain(error: &clap::Error) -> Outcome {
    // Nothing is left to tell the user if even the terminal is gone.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Outcome::Success,
        _ => Outcome::Usage,
    }
}
