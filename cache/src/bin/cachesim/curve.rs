//! `cachesim mrc`

use std::io::{self, Write};

use anyhow::Result;
use rayon::prelude::*;
use septet_cache::miss_ratio_curve::{LruCurve, sampled_miss_ratios};
use septet_cache::trace::Trace;
use septet_cache::{PolicySpec, SeedTree};
use septet_core::cli::Failure;
use serde::Serialize;

use crate::input::Input;
use crate::simulate::Policies;
use crate::sizes;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    policies: Policies,
    /// Cache sizes, as for `sim`. Default: 30 sizes from 1/1000 of the working set to all of it.
    sizes: Option<String>,
    /// Sampling rate of objects (SHARDS); lower is faster and less accurate. At 1, LRU on unit
    /// sizes takes one exact pass.
    #[arg(long, default_value_t = 1.0)]
    rate: f64,
    /// Print a JSON array.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Point {
    policy: String,
    size: u64,
    miss_ratio: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    // 1. Load the trace and resolve the sizes, which may be fractions of its working set.
    let mut trace = arguments.input.load()?;
    let list = arguments.sizes.clone().unwrap_or_else(default_sizes);
    let mut sizes = sizes::parse(&list, &trace)?;
    sizes.sort_unstable();
    sizes.dedup();
    // 2. Compute predictions once for all sizes, which requires that they do not depend on the size.
    let largest = sizes.last().copied().unwrap_or(1);
    if arguments.policies.depend_on_capacity() && sizes.len() != 1 {
        let message = "belady-bits depends on the cache size: give one size, or use sim";
        return Err(Failure::usage(message).into());
    }
    arguments.policies.prepare(&mut trace, largest)?;
    let seed = arguments.policies.seed();
    // 3. One curve per policy, in parallel.
    let points: Result<Vec<Vec<Point>>> = arguments
        .policies
        .specs()
        .par_iter()
        .map(|spec| points(spec, &trace, &sizes, arguments.rate, &seed))
        .collect();
    let points: Vec<Point> = points?.into_iter().flatten().collect();
    let mut out = io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &points).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{:>14}  {:>10}  policy", "size", "miss ratio")?;
        for point in &points {
            let (size, ratio) = (point.size, point.miss_ratio);
            writeln!(out, "{size:>14}  {ratio:>10.4}  {}", point.policy)?;
        }
    }
    Ok(())
}

fn points(
    spec: &PolicySpec,
    trace: &Trace,
    sizes: &[u64],
    rate: f64,
    seed: &SeedTree,
) -> Result<Vec<Point>> {
    // LRU on unit sizes is a stack algorithm: one pass gives the exact curve.
    let exact = spec.to_string() == "LRU" && trace.sizes().is_none() && rate == 1.0;
    let ratios = if exact {
        let curve = LruCurve::new(trace);
        sizes.iter().map(|&size| curve.miss_ratio(size)).collect()
    } else {
        sampled_miss_ratios(trace, rate, sizes, |size| spec.build(size, seed))?
    };
    let point = |(&size, miss_ratio)| Point {
        policy: spec.to_string(),
        size,
        miss_ratio,
    };
    Ok(sizes.iter().zip(ratios).map(point).collect())
}

/// 30 fractions of the working set, log-spaced.
fn default_sizes() -> String {
    let fractions: Vec<String> = (0..30)
        .map(|step| {
            let fraction = 0.001_f64.powf(1.0 - f64::from(step) / 29.0);
            format!("{:.6}", fraction.min(0.999_999))
        })
        .collect();
    fractions.join(",")
}
