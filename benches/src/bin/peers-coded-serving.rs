//! Measures the serving system and compares it with `MLServer`:
//! `cargo xtask bench coded-serving --peers`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use septet_benches::coded_serving_peers::{Part, Plan, render, run, serve_file};
use septet_core::cli::{self, Failure, named_path};

/// Measures coding and the gateway, and compares the server with `MLServer`
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// What is measured, separated by commas
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_values_t = [Part::Coding, Part::Gateway, Part::Servers]
    )]
    parts: Vec<Part>,
    /// Queries a second to the gateway, and to its workers
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// Queries to each in one repetition
    #[arg(long, default_value_t = 2_000)]
    requests: u64,
    /// Milliseconds that a group of the gateway stays open
    #[arg(long, default_value_t = 100)]
    fill: u64,
    /// Connections to the servers
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Seconds of load on a server in one repetition, after one second uncounted
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Repetitions of gateway and servers
    #[arg(long, default_value_t = 3)]
    repetitions: u32,
    /// The seed of all that is generated
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// A Python that has `MLServer`; without it, an environment is made
    #[arg(long)]
    python: Option<PathBuf>,
    /// Not used: the queries are generated
    #[arg(long, hide = true)]
    data: Option<PathBuf>,
    /// Where the environment and the figures go
    #[arg(long, default_value = "target/septet/bench", value_parser = named_path())]
    out: PathBuf,
    /// How this program starts a server in a process of its own
    #[arg(long, hide = true)]
    serve: Option<PathBuf>,
}

fn main() -> ExitCode {
    cli::run(|_| None, compare)
}

fn compare(arguments: Arguments) -> anyhow::Result<()> {
    cli::exit_on_interrupt();
    // The comparison starts this program again as the server.
    if let Some(file) = arguments.serve {
        return serve_file(&file);
    }
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("cannot make {}", arguments.out.display()))?;
    let measured = Duration::try_from_secs_f64(arguments.seconds)
        .map_err(|error| Failure::usage(format!("--seconds: {error}")))?
        .max(Duration::from_millis(100));
    let plan = Plan {
        parts: arguments.parts,
        rate: arguments.rate,
        requests: arguments.requests.max(1),
        fill: Duration::from_millis(arguments.fill),
        connections: arguments.connections.max(1),
        measured,
        warm_up: Duration::from_secs(1),
        repetitions: arguments.repetitions.max(1),
        seed: arguments.seed,
        python: arguments.python,
        output: arguments.out,
    };
    let record = run(&plan, &mut |line| eprintln!("{line}"))?;
    print!("{}", render(&record));
    println!(
        "figures: {}",
        plan.output.join("coded-serving-peers.json").display()
    );
    Ok(())
}
