//! One sample of ours.

use std::path::Path;

use rustix::time::{ClockId, clock_gettime};
use septet_cache::predict::{Popularity, predictions};
use septet_cache::trace::{self, ReadOptions, Record, Trace, TraceFormat};
use septet_cache::{PolicySpec, SeedTree};

use super::sample::Sample;

/// Reads an `oracleGeneral` file and replays it through one of [`super::POLICIES`].
///
/// # Errors
/// When the file cannot be read or the policy is not known.
pub fn replay(path: &Path, policy: &str, capacity: u64) -> anyhow::Result<Sample> {
    // Before the trace is opened: what the program itself takes.
    let baseline_bytes = peak_bytes();
    let begin = cpu_seconds();
    let mut trace = read(path)?;
    let reading = cpu_seconds() - begin;

    if policy.contains("FtP") {
        // Predictions are an input of the policy, as the trace is.
        let predicted = predictions(&mut Popularity::default(), &trace);
        trace.set_predictions(predicted)?;
    }
    let spec: PolicySpec = policy.parse()?;
    // Making the cache is part of the replay, for both libraries.
    let begin = cpu_seconds();
    let tally = spec.build(capacity, &SeedTree::new(0))?.replay(&trace)?;
    let replay_seconds = cpu_seconds() - begin;

    Ok(Sample {
        requests: tally.requests,
        misses: tally.misses,
        replay_seconds,
        with_reading_seconds: reading + replay_seconds,
        peak_bytes: peak_bytes(),
        baseline_bytes,
    })
}

fn read(path: &Path) -> anyhow::Result<Trace> {
    let reader = trace::open(path, TraceFormat::OracleGeneral, &ReadOptions::default())?;
    // What no policy here looks at is not kept.
    let records = reader.map(|record| record.map(|record| Record::from_id(record.id)));
    Ok(Trace::from_records(records)?)
}

/// CPU time of this process, in user and system mode.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Peak resident memory of this process. What `getrusage` reports includes the process that
/// started this one; the high-water mark of Linux does not.
fn peak_bytes() -> u64 {
    let high_water_mark = || {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes * 1024)
    };
    high_water_mark().unwrap_or(0)
}
