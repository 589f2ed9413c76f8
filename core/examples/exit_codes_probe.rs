//! A program that ends in every way, for the test of exit codes.

#![expect(
    clippy::print_stdout,
    reason = "the panic of `println!` is part of the test"
)]

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use septet_core::cli::{self, Exit, Failure};
use septet_core::io::{PositionedReader, ReadError, WholeFile};

#[derive(Parser)]
struct Arguments {
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prints the sum of the numbers in a file, one a line.
    Sum { file: PathBuf },
    /// Prints numbers with `println!`.
    Count { to: u64 },
    /// Prints numbers with `writeln!`, whose error has causes.
    Write { to: u64 },
    /// Starts a file, says so, and finishes it at the end of standard input.
    Copy { to: PathBuf },
    /// Ends with a verdict.
    Verdict { positive: Option<bool> },
    /// Panics.
    Panic,
    /// Loses a connection while standard output is open.
    Disconnect,
}

fn main() -> ExitCode {
    cli::run(class, run)
}

fn class(cause: &(dyn Error + 'static)) -> Option<Exit> {
    cause
        .is::<std::num::TryFromIntError>()
        .then_some(Exit::Usage)
}

fn run(arguments: Arguments) -> anyhow::Result<Exit> {
    cli::exit_on_interrupt();
    match arguments.command {
        Command::Sum { file } => {
            let mut reader = PositionedReader::new(septet_core::io::open(file)?);
            println!("{}", sum(&mut reader)?);
        }
        Command::Count { to } => {
            let to = u32::try_from(to)?;
            (0..to).for_each(|number| println!("{number}"));
        }
        Command::Write { to } => {
            let mut out = io::stdout().lock();
            for number in 0..to {
                let written = writeln!(out, "{number}");
                written.map_err(|error| anyhow::Error::new(error).context("writing numbers"))?;
            }
        }
        Command::Copy { to } => {
            let file = WholeFile::create_or_stdout(&to);
            let mut file = file.with_context(|| format!("cannot write {}", to.display()))?;
            println!("started");
            io::copy(&mut io::stdin(), &mut file)?;
            file.finish()?;
        }
        Command::Verdict { positive: None } => return Ok(Exit::Inconclusive),
        Command::Verdict { positive } => {
            let is_positive = positive == Some(true);
            return Ok(if is_positive {
                Exit::Success
            } else {
                Exit::Negative
            });
        }
        Command::Panic => panic!("as asked for"),
        Command::Disconnect => return Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
    }
    Ok(Exit::Success)
}

fn sum(reader: &mut PositionedReader<'_>) -> anyhow::Result<u64> {
    let mut sum = 0;
    while let Some(line) = reader.read_line()? {
        let number = std::str::from_utf8(line)
            .ok()
            .and_then(|line| line.parse::<u64>().ok());
        match number {
            Some(number) => sum += number,
            None => {
                let error = ReadError::from(reader.unexpected_line("a number"));
                return Err(Failure::data(error).into());
            }
        }
    }
    // A stream that ended leaves nothing.
    debug_assert_eq!(reader.read(&mut [0])?, 0);
    Ok(sum)
}
