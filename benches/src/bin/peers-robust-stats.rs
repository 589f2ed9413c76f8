//! Compares the private mechanisms with pure-ldp and multi-freq-ldpy:
//! `cargo xtask bench robust-stats --peers`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use septet_benches::robust_stats_peers::{Plan, run};
use septet_core::cli::{self, named_path};

/// Compares the private mechanisms with pure-ldp and multi-freq-ldpy: CPU time and errors
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Sizes of the domain
    #[arg(long, value_delimiter = ',', default_values_t = [128, 1024])]
    domains: Vec<usize>,
    /// The privacy parameter
    #[arg(long, default_value_t = 1.0)]
    epsilon: f64,
    /// Reports of a sample of a Python library
    #[arg(long, default_value_t = 1_000)]
    reports: usize,
    /// Samples of each contender
    #[arg(long, default_value_t = 7)]
    repetitions: u64,
    /// A Python that has the libraries; without it, an environment is made
    #[arg(long)]
    python: Option<PathBuf>,
    /// Not used: the values are generated
    #[arg(long, hide = true)]
    data: Option<PathBuf>,
    /// Where the environment and the samples go
    #[arg(long, default_value = "target/septet/bench", value_parser = named_path())]
    out: PathBuf,
}

fn main() -> ExitCode {
    cli::run(|_| None, compare)
}

fn compare(arguments: Arguments) -> anyhow::Result<()> {
    cli::exit_on_interrupt();
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("cannot make {}", arguments.out.display()))?;
    let plan = Plan {
        domains: arguments.domains,
        epsilon: arguments.epsilon,
        reports: arguments.reports.max(1),
        repetitions: arguments.repetitions.max(1),
        python: arguments.python,
        output: arguments.out,
    };
    print!("{}", run(&plan, &mut |line| eprintln!("{line}"))?);
    Ok(())
}
