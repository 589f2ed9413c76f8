//! `cargo xtask bench`: runs the comparisons with other implementations.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use septet_core::cli::Exit;

use crate::cargo::{Build, build_and_run};
use crate::reproduce::default_output;

/// What to compare.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The crate [default: every crate that has benchmarks]
    #[arg(value_name = "CRATE", value_parser = COMPARISONS.map(|comparison| comparison.system), hide_possible_values = true)]
    system: Option<String>,

    /// Runs beside other implementations; without it, the benchmarks are listed
    #[arg(long)]
    peers: bool,

    /// Where the data sets are [default: `$SEPTET_DATA`]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// The folder for what the run makes [default: target/septet/bench]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Further arguments for the benchmark's program, after `--`
    #[arg(last = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

/// A program of `septet-benches`.
#[derive(Clone, Copy, Debug)]
struct Comparison {
    system: &'static str,
    program: &'static str,
    features: Option<&'static str>,
    what: &'static str,
}

const COMPARISONS: [Comparison; 5] = [
    Comparison {
        system: "cache",
        program: "peers-cache",
        features: None,
        what: "the simulator beside libCacheSim: CPU time, peak memory, misses (needs python3)",
    },
    Comparison {
        system: "coded-serving",
        program: "peers-coded-serving",
        features: Some("coded-serving-peers"),
        what: "prediction serving: coding and gateway overhead, throughput beside MLServer (needs python3)",
    },
    Comparison {
        system: "core",
        program: "peers-core",
        features: Some("core-peers"),
        what: "operators and a training step beside PyTorch: CPU time (needs a Python with torch)",
    },
    Comparison {
        system: "robust-stats",
        program: "peers-robust-stats",
        features: Some("robust-stats-peers"),
        what: "private mechanisms beside pure-ldp and multi-freq-ldpy: CPU time, errors (needs python3)",
    },
    Comparison {
        system: "sketch",
        program: "peers-sketch",
        features: Some("sketch-peers"),
        what: "the sketches beside datasketches, heavykeeper and others: CPU time, errors, bytes",
    },
];

impl Arguments {
    fn for_program(&self) -> Vec<OsString> {
        let default_output = || default_output().join("bench");
        let out = self.out.clone().unwrap_or_else(default_output);
        let mut passed: Vec<OsString> = vec!["--out".into(), out.into()];
        if let Some(data) = &self.data {
            passed.extend(["--data".into(), data.into()]);
        }
        passed.extend(self.arguments.iter().cloned());
        passed
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let name = arguments.system.as_deref();
    let chosen = COMPARISONS
        .iter()
        .filter(|comparison| name.is_none_or(|name| name == comparison.system));
    let mut worst = Exit::Success;
    for comparison in chosen {
        // The list needs no build: peers are large, and some need a network.
        if !arguments.peers {
            println!(
                "cargo xtask bench {} --peers\n    {}",
                comparison.system, comparison.what
            );
            continue;
        }
        let program = comparison.program;
        // Only the feature of this comparison: the peers of the others are not compiled.
        let build = Build::program("septet-benches", program, comparison.features);
        let outcome = build_and_run(&build, program, arguments.for_program())?;
        worst = crate::outcome::worse(worst, outcome);
        if outcome == Exit::Interrupted || crate::cargo::interrupted() {
            return Ok(Exit::Interrupted);
        }
    }
    Ok(worst)
}
