//! Compares the cache simulator with libCacheSim: `cargo xtask bench cache --peers`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use septet_benches::cache_peers::{self, POLICIES, Plan, replay, table};
use septet_core::cli::{self, named_path};

/// Compares the cache simulator with libCacheSim: CPU time, peak memory and misses
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Policies to compare, separated by semicolons
    #[arg(long, value_delimiter = ';', default_values_t = POLICIES.map(String::from))]
    policies: Vec<String>,
    /// Traces to replay: OLTP, P3, cloudPhysicsIO, zipf-1.0; without it, those that are there
    #[arg(long, value_delimiter = ',')]
    traces: Vec<String>,
    /// Samples of each contender
    #[arg(long, default_value_t = 5)]
    repetitions: usize,
    /// The folder of the data sets; without it, the one that `SEPTET_DATA` names
    #[arg(long)]
    data: Option<PathBuf>,
    /// Where the Python environment, the converted traces and the samples go
    #[arg(long, default_value = "target/septet/bench", value_parser = named_path())]
    out: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replays one trace with our simulator and prints a sample (used by the comparison)
    #[command(hide = true)]
    Replay {
        trace: PathBuf,
        policy: String,
        capacity: u64,
    },
}

fn main() -> ExitCode {
    cli::run(|_| None, run)
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    cli::exit_on_interrupt();
    // The comparison starts this program again for each sample, and reads the sample from its
    // output.
    if let Some(Command::Replay {
        trace,
        policy,
        capacity,
    }) = arguments.command
    {
        let sample = replay::replay(&trace, &policy, capacity)?;
        println!("{}", serde_json::to_string(&sample)?);
        return Ok(());
    }
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("cannot make {}", arguments.out.display()))?;
    let plan = Plan {
        policies: arguments.policies,
        repetitions: arguments.repetitions.max(1),
        data: arguments
            .data
            .or_else(|| std::env::var_os("SEPTET_DATA").map(PathBuf::from)),
        traces: arguments.traces,
        output: arguments.out,
    };
    let record = cache_peers::run(&plan, &mut |line| eprintln!("{line}"))?;
    print!("{}", table::render(&record));
    println!(
        "samples: {}",
        plan.output.join("cache-peers.json").display()
    );
    Ok(())
}
