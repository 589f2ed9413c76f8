//! The cache simulator beside libCacheSim.
//!
//! The contenders replay the same `oracleGeneral` files, each sample in a process of its own:
//!
//! - *ours*: [`replay::replay`];
//! - *libCacheSim as installed*: the wheel with its default parameters;
//! - *libCacheSim tuned*: the same with a hash table that fits the capacity. The default table has
//!   2^24 buckets, 128 MiB, and nearly every look-up in it misses the processor's caches; a fitting
//!   one makes small caches up to five times as fast.
//!
//! Two times are compared. *With reading* is everything from opening the file to the last request.
//! *Replay* is the simulation alone. Ours is the loop over the loaded trace. libCacheSim cannot
//! hold a trace in memory; its fastest way is the memory-mapped file in the page cache, decoded
//! record by record within the loop. So the time of a pass over the same, already mapped, file with
//! a cache of capacity 0 in an eight-kilobyte hash table is subtracted from the time of its replay.
//! That is a little more than the cost of reading, in favor of libCacheSim: the pass also looks
//! every object up. Both libraries are measured with an empty cache at the start and include making
//! the cache.

pub mod contender;
pub mod environment;
pub mod replay;
pub mod sample;
pub mod table;
pub mod workload;

use std::path::PathBuf;

use anyhow::Context;
use serde::Serialize;

use contender::{Contender, Programs};
use sample::{Comparison, Sample};
use workload::Workload;

use crate::record::{self, load_average};

/// The policies that both libraries have, and the combinations that only ours has.
pub const POLICIES: [&str; 10] = [
    "LRU",
    "FIFO",
    "CLOCK",
    "SIEVE",
    "S3-FIFO",
    "ARC",
    "LIRS",
    "W-TinyLFU",
    "D(SIEVE, LRU)",
    "D(FtP, LRU)",
];

/// What to compare.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Policies, of [`POLICIES`].
    pub policies: Vec<String>,
    /// Samples of each contender for each policy and trace.
    pub repetitions: usize,
    /// The folder of the data sets; without it a generated trace stands in.
    pub data: Option<PathBuf>,
    /// Traces by name; all when empty.
    pub traces: Vec<String>,
    /// Where the environment, the converted traces and the samples go.
    pub output: PathBuf,
}

/// What a run leaves behind: every sample, and where it was taken.
#[derive(Debug, Serialize)]
pub struct Record {
    /// Version of this layout.
    pub schema: u32,
    /// The peer and its version.
    pub peer: String,
    /// Number of logical processors.
    pub processors: usize,
    /// Load averages over one minute before and after.
    pub load: [Option<f64>; 2],
    /// The comparisons in the order of the table.
    pub comparisons: Vec<Comparison>,
}

/// Runs the plan, printing progress lines with `log`; writes the samples as JSON and returns them.
///
/// # Errors
/// When Python or the network is missing, when a trace cannot be converted, or when a contender
/// fails.
pub fn run(plan: &Plan, log: &mut dyn FnMut(&str)) -> anyhow::Result<Record> {
    // Traces first: a wrong name is no reason to install anything.
    let workloads = workload::prepare(plan.data.as_deref(), &plan.traces, &plan.output, log)?;
    let python = environment::prepare(&plan.output.join("libcachesim"), log)?;
    let programs = Programs {
        ours: std::env::current_exe().context("cannot find this program")?,
        python,
        script: environment::write_script(&plan.output)?,
    };
    // The load on both sides of the measurement shows whether other work disturbed it.
    let before = load_average();
    let mut comparisons = Vec::new();
    for workload in &workloads {
        for policy in &plan.policies {
            comparisons.push(compare(plan, &programs, workload, policy, log)?);
        }
    }
    let record = Record {
        schema: 1,
        peer: format!("libcachesim {}", environment::VERSION),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        load: [before, load_average()],
        comparisons,
    };
    record::write(&record, &plan.output.join("cache-peers.json"))?;
    Ok(record)
}

/// Takes the samples of one policy on one trace, in the order A B C, C B A, A B C, and so on, so
/// that a drift of the machine's speed hits every contender alike.
fn compare(
    plan: &Plan,
    programs: &Programs,
    workload: &Workload,
    policy: &str,
    log: &mut dyn FnMut(&str),
) -> anyhow::Result<Comparison> {
    log(&format!(
        "{policy} on {} ({})",
        workload.name, workload.capacity
    ));
    let mut contenders = Contender::all(policy);
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); Contender::COUNT];
    for _ in 0..plan.repetitions {
        for &contender in &contenders {
            let sample = contender
                .measure(programs, workload, policy)
                .with_context(|| format!("{contender}, {policy} on {}", workload.name))?;
            // Indexed by contender, since the order of turns reverses.
            samples[contender as usize].push(sample);
        }
        contenders.reverse();
    }
    let mut of = |contender: Contender| std::mem::take(&mut samples[contender as usize]);
    Ok(Comparison {
        policy: policy.to_owned(),
        trace: workload.name.clone(),
        capacity: workload.capacity,
        ours: of(Contender::Ours),
        tuned: of(Contender::Tuned),
        as_installed: of(Contender::AsInstalled),
    })
}
