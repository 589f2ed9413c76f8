//! `cargo xtask bench`: runs the comparisons with other implementations.

use std::ffi::OsString;

use clap::Args;

use crate::cargo::Program;
use crate::outcome::{CommandError, Outcome};
use crate::system::System;
use crate::terminal::say;

/// What to compare.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The crate [default: every crate that has benchmarks]
    #[arg(value_name = "CRATE", hide_possible_values = true)]
    system: Option<System>,

    /// Runs beside other implementations; without it, the benchmarks are listed
    #[arg(long)]
    peers: bool,

    /// Arguments for the benchmark's program, after `--`
    #[arg(last = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

/// A program of `septet-benches`.
#[derive(Debug)]
struct Comparison {
    system: System,
    program: &'static str,
    what: &'static str,
}

const COMPARISONS: [Comparison; 1] = [Comparison {
    system: System::Cache,
    program: "peers-cache",
    what: "the simulator beside libCacheSim: CPU time, peak memory, misses (needs python3)",
}];

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, CommandError> {
    let chosen: Vec<_> = COMPARISONS
        .iter()
        .filter(|comparison| {
            arguments
                .system
                .is_none_or(|system| system == comparison.system)
        })
        .collect();
    if let (Some(system), true) = (arguments.system, chosen.is_empty()) {
        return Err(CommandError::usage(format!(
            "`{}` has no benchmarks yet; `cargo xtask bench` lists those there are",
            system.folder()
        )));
    }
    let mut worst = Outcome::Success;
    for comparison in chosen {
        if !arguments.peers {
            say!(
                "cargo xtask bench {} --peers\n    {}",
                comparison.system.folder(),
                comparison.what
            );
            continue;
        }
        let program = Program {
            package: "septet-benches".to_owned(),
            features: None,
            name: comparison.program.to_owned(),
        };
        worst = worst.max(program.run(&arguments.arguments)?);
        if crate::cargo::interrupted() {
            return Ok(Outcome::Interrupted);
        }
    }
    Ok(worst)
}
