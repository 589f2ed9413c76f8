//! `cachesim gen`

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Result, ensure};
use septet_cache::SeedTree;
use septet_cache::trace::Trace;
use septet_cache::trace::generate::{self, LogNormalSizes, Pattern, Phase};
use septet_core::cli::Failure;
use septet_core::telemetry::Progress;

use crate::input::{self, Format};

/// Generate a trace.
///
/// Patterns: Zipf(objects, alpha), DriftingZipf(objects, alpha, period), Scan(pages),
/// StackDistance(alpha, pages), TwoPools(hot, cold), Uniform(pages). With addresses and program
/// counters: mcf-like(lines), libquantum-like(lines), lbm-like(lines), astar-like(lines).
///
/// Parameters are named and have defaults: "Zipf(objects=1000, alpha=0.9):50000".
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Output file.
    output: PathBuf,
    /// Output format, or `auto` to detect it by file name.
    #[arg(value_parser = input::parse_format)]
    format: Format,
    /// The phases of the trace, each as PATTERN:REQUESTS.
    #[arg(required = true, value_name = "PATTERN:REQUESTS", value_parser = parse_phase)]
    phases: Vec<Phase>,
    /// Number of repetitions of the phases.
    #[arg(long, default_value_t = 1)]
    repeat: usize,
    /// Random seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Assign log-normal object sizes with this median in bytes.
    #[arg(long, value_name = "BYTES")]
    median_size: Option<f64>,
    /// The standard deviation of the natural logarithm of the sizes.
    #[arg(long, default_value_t = 1.0, requires = "median_size")]
    size_sigma: f64,
}

fn parse_phase(text: &str) -> Result<Phase> {
    let (pattern, requests) = text.rsplit_once(':').unwrap_or((text, ""));
    let requests = requests.parse::<usize>();
    ensure!(requests.is_ok(), "expected PATTERN:REQUESTS");
    Ok(Phase {
        pattern: Pattern::from_str(pattern)?,
        requests: requests?,
    })
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let format = input::resolve_format(&arguments.output, arguments.format)?;
    let seed = SeedTree::new(arguments.seed);
    // Check the total length before generating anything.
    let once = arguments
        .phases
        .iter()
        .try_fold(0_usize, |sum, phase| sum.checked_add(phase.requests));
    let count = once
        .and_then(|once| once.checked_mul(arguments.repeat))
        .filter(|&count| count < u32::MAX as usize && arguments.repeat < u32::MAX as usize);
    let Some(count) = count else {
        let message = format!("too many requests: expected fewer than {}", u32::MAX);
        return Err(Failure::usage(message).into());
    };
    let phases = arguments.phases.repeat(arguments.repeat);
    let mut requests: generate::Requests =
        Box::new(generate::phases(&phases, &seed.child("requests"))?);
    if let Some(median) = arguments.median_size {
        let sigma = arguments.size_sigma;
        requests = LogNormalSizes { median, sigma }.assign(requests, &seed.child("sizes"))?;
    }
    let bar = Progress::new("generating", count);
    // Update the bar every 65536 requests: each would dominate the fast patterns.
    const STEP: usize = 1 << 16;
    let requests = requests.enumerate().map(|(index, request)| {
        if index % STEP == STEP - 1 {
            bar.advance(STEP);
        }
        Ok(request)
    });
    let trace = Trace::from_records(requests)?;
    drop(bar);
    input::write(&arguments.output, format, &trace)
}
