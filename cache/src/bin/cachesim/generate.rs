//! `cachesim gen`

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use septet_cache::SeedTree;
use septet_cache::trace::Trace;
use septet_cache::trace::generate::{self, LogNormalSizes, Pattern, Phase};

use crate::input::{self, Format};

/// Patterns: Zipf(objects, alpha), DriftingZipf(objects, alpha, period), Scan(pages),
/// StackDistance(alpha, pages), TwoPools(hot, cold), Uniform(pages), and with addresses and program
/// counters mcf-like(lines), libquantum-like(lines), lbm-like(lines), astar-like(lines).
///
/// Parameters are given by name, and have defaults: "Zipf(objects=1000, alpha=0.9):50000".
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The file to write.
    output: PathBuf,
    /// Its format, or `auto` to tell it by the file's name.
    #[arg(value_parser = input::parse_format)]
    format: Format,
    /// The phases of the trace, each as PATTERN:REQUESTS.
    #[arg(required = true, value_name = "PATTERN:REQUESTS", value_parser = parse_phase)]
    phases: Vec<Phase>,
    /// Go through the phases this many times.
    #[arg(long, default_value_t = 1)]
    repeat: usize,
    /// The seed of all draws.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Give the objects log-normal sizes with this median in bytes.
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
    let format = input::format_of(&arguments.output, arguments.format)?;
    let seed = SeedTree::new(arguments.seed);
    let once = arguments
        .phases
        .iter()
        .try_fold(0_usize, |sum, phase| sum.checked_add(phase.requests));
    let count = once
        .and_then(|once| once.checked_mul(arguments.repeat))
        .filter(|&count| count < u32::MAX as usize && arguments.repeat < u32::MAX as usize);
    let Some(count) = count else {
        bail!("a trace has fewer than {} requests", u32::MAX);
    };
    let phases = arguments.phases.repeat(arguments.repeat);
    let mut requests: generate::Requests =
        Box::new(generate::phases(&phases, &seed.child("requests"))?);
    if let Some(median) = arguments.median_size {
        let sigma = arguments.size_sigma;
        requests = LogNormalSizes { median, sigma }.give(requests, &seed.child("sizes"))?;
    }
    let template = "generating {wide_bar} {human_pos}/{human_len} {eta:>4} left";
    let bar = ProgressBar::new(count as u64).with_style(ProgressStyle::with_template(template)?);
    let trace = Trace::from_records(bar.wrap_iter(requests).map(Ok))?;
    bar.finish_and_clear();
    input::write(&arguments.output, format, &trace)
}
