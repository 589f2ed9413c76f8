//! Compares the sketches with other crates: `cargo xtask bench sketch --peers`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use septet_benches::sketch_peers::{self, Plan, table};
use septet_core::cli::{self, named_path};

/// Compares the sketches with other crates: CPU time, errors and bytes
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// KiB of a summary, separated by commas
    #[arg(long, value_delimiter = ',', default_values_t = [256, 2048, 32768])]
    kib: Vec<usize>,
    /// Arrivals of the stream
    #[arg(long, default_value_t = 10_000_000)]
    arrivals: usize,
    /// Samples of each contender
    #[arg(long, default_value_t = 7)]
    repetitions: usize,
    /// The folder of the data sets; the stream is generated, so that it is not needed
    #[arg(long)]
    data: Option<PathBuf>,
    /// Where the samples go
    #[arg(long, default_value = "target/septet/bench", value_parser = named_path())]
    out: PathBuf,
}

fn main() -> ExitCode {
    cli::run(|_| None, run)
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    cli::exit_on_interrupt();
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("cannot make {}", arguments.out.display()))?;
    let plan = Plan {
        bytes: arguments.kib.iter().map(|kib| kib * 1024).collect(),
        arrivals: arguments.arrivals.max(1),
        repetitions: arguments.repetitions.max(1),
        output: arguments.out,
    };
    let record = sketch_peers::run(&plan, &mut |line| eprintln!("{line}"))?;
    print!("{}", table::render(&record));
    println!(
        "samples: {}",
        plan.output.join("sketch-peers.json").display()
    );
    Ok(())
}
