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
    /// Output file; - is standard output.
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
    /// Maximum number of requests, which bounds the memory that a few arguments can claim.
    #[arg(long, value_name = "REQUESTS", default_value_t = 1 << 28)]
    max_records: usize,
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

/// Maximum number of phases, all repetitions together: they are held in memory.
const MAX_PHASES: usize = 1 << 20;

/// The length of the trace, checked before anything is generated.
fn total_requests(arguments: &Arguments) -> Result<usize, String> {
    let phases = arguments.phases.len();
    if arguments.repeat > MAX_PHASES / phases {
        return Err(format!(
            "--repeat: expected at most {} repetitions of {phases} phases, found {}",
            MAX_PHASES / phases,
            arguments.repeat
        ));
    }
    let once = arguments
        .phases
        .iter()
        .try_fold(0_usize, |sum, phase| sum.checked_add(phase.requests));
    let count = once.and_then(|once| once.checked_mul(arguments.repeat));
    // A trace numbers its requests with 32 bits.
    let max = arguments.max_records.min(u32::MAX as usize - 1);
    count
        .filter(|&count| count <= max)
        .ok_or_else(|| format!("too many requests: expected at most {max} (see --max-records)"))
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let format = input::resolve_format(&arguments.output, arguments.format)?;
    let seed = SeedTree::new(arguments.seed);
    let count = total_requests(arguments).map_err(Failure::usage)?;
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
