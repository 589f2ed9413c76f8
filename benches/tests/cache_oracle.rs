//! Our policies beside libCacheSim's miss counts, which `oracle/make_oracle.py` recorded.
//!
//! The traces are not part of the repository: without `SEPTET_DATA` the tests say so and pass.

#![expect(clippy::print_stderr, reason = "says which comparisons were skipped")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use septet_cache::trace::{self, ReadOptions, Trace, TraceFormat};
use septet_cache::{PolicySpec, SeedTree};
use serde::Deserialize;

#[derive(Deserialize)]
struct Oracle {
    version: String,
    /// How many runs the counts of policies that draw at random are means of.
    mean_of_runs: BTreeMap<String, u64>,
    unit_sizes: Vec<Row>,
    byte_sizes: Vec<Row>,
}

/// The misses of every policy on one trace with one capacity.
#[derive(Deserialize)]
struct Row {
    trace: String,
    requests: u64,
    pages: u64,
    capacity: u64,
    misses: BTreeMap<String, u64>,
    /// Sum of the sizes of the requests; absent when every size is 1.
    bytes: Option<u64>,
}

fn oracle() -> Oracle {
    let text = include_str!("../oracle/libcachesim-0.3.5.json");
    let oracle: Oracle = serde_json::from_str(text).expect("the recorded counts");
    assert_eq!(oracle.version, "0.3.5");
    oracle
}

fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("SEPTET_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: SEPTET_DATA does not name the data folder");
    }
    folder
}

/// A trace of the data folder; `None`, visibly, when it is not there.
fn load(data: &Path, name: &str) -> Option<Trace> {
    let (file, format) = match name {
        "OLTP" | "P3" => (format!("{name}.lis.zst"), TraceFormat::Arc),
        "w106" => ("w106.trace.xz".into(), TraceFormat::CloudPhysics),
        "tencentBlock" => (
            "tencentBlock.ns1326.sample.csv.zst".into(),
            TraceFormat::TimeIdSize,
        ),
        "cloudPhysicsIO" => (
            "libcachesim/cloudPhysicsIO.oracleGeneral.bin".into(),
            TraceFormat::OracleGeneral,
        ),
        _ => (format!("lirs/{name}.trace.gz"), TraceFormat::Lirs),
    };
    let path = data.join("cache").join(file);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    let records = trace::open(&path, format, &ReadOptions::default()).expect("a trace");
    Some(Trace::from_records(records).expect("a trace"))
}

/// How far our misses may be from theirs, in points of the miss ratio.
#[derive(Clone, Copy, Debug)]
enum Agreement {
    Exact,
    /// Either way.
    Within(f64),
    /// Ours may be lower by any amount.
    WithinOrBetter(f64),
}

impl Agreement {
    fn holds(self, ours: u64, row: &Row, theirs: u64) -> bool {
        let points = (ours as f64 - theirs as f64) / row.requests as f64 * 100.0;
        match self {
            Self::Exact => ours == theirs,
            Self::Within(tolerance) => points.abs() <= tolerance,
            Self::WithinOrBetter(tolerance) => points <= tolerance,
        }
    }
}

/// How far each policy may be when every size is 1; `None` for what is not compared.
fn with_unit_sizes(policy: &str) -> Option<Agreement> {
    Some(match policy {
        "LRU" | "FIFO" | "CLOCK" | "SIEVE" | "Belady" | "LFU" | "GDSF" => Agreement::Exact,
        "ARC" | "2Q" | "LIRS" | "SLRU" | "S3-FIFO" | "LeCaR" => Agreement::Within(0.5),
        "W-TinyLFU" => Agreement::WithinOrBetter(1.5),
        // BeladySize samples there and is exact here. Random there draws a bucket of a hash table
        // first, so that pages that share a bucket live longer; here it is uniform.
        _ => return None,
    })
}

/// How far each policy may be with sizes in bytes; `None` for what is not compared.
fn with_byte_sizes(policy: &str) -> Option<Agreement> {
    Some(match policy {
        "LRU" | "FIFO" | "CLOCK" | "SIEVE" | "LFU" | "GDSF" => Agreement::Exact,
        // Objects that are never requested again are tied, and ties matter when sizes differ.
        "Belady" | "S3-FIFO" => Agreement::Within(0.5),
        "W-TinyLFU" => Agreement::WithinOrBetter(1.5),
        _ => return None,
    })
}

/// The misses of a policy, the mean of some runs.
fn misses(policy: &str, capacity: u64, trace: &Trace, runs: u64) -> u64 {
    let spec: PolicySpec = policy.parse().expect("a policy of ours");
    let misses = |run| {
        let seed = SeedTree::new(0).index(run);
        let mut policy = spec.build(capacity, &seed).expect("a capacity from 1");
        let tally = policy.replay(trace).expect("the trace has what it needs");
        tally.misses
    };
    (0..runs).map(misses).sum::<u64>() / runs
}

/// Replays the rows of a trace and fails with the list of the policies that disagree.
fn compare(
    data: &Path,
    name: &str,
    rows: &[Row],
    runs: &BTreeMap<String, u64>,
    agreement: fn(&str) -> Option<Agreement>,
) {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.trace == name).collect();
    assert!(!rows.is_empty(), "no counts were recorded for {name}");
    let Some(mut trace) = load(data, name) else {
        return;
    };
    if rows.iter().all(|row| row.bytes.is_none()) {
        trace.ignore_sizes();
    }
    trace.annotate();
    let mut compared = 0;
    let mut disagreements = Vec::new();
    for row in rows {
        assert_eq!(trace.len() as u64, row.requests);
        assert_eq!(trace.page_count() as u64, row.pages);
        let sizes = trace.sizes().unwrap_or_default();
        let bytes: u64 = sizes.iter().map(|&size| u64::from(size)).sum();
        assert_eq!(bytes, row.bytes.unwrap_or(0));
        for (policy, &theirs) in &row.misses {
            let Some(agreement) = agreement(policy) else {
                continue;
            };
            // On a long trace one run is close enough to the mean.
            let runs = runs.get(policy).filter(|_| row.requests < 1_000_000);
            let ours = misses(policy, row.capacity, &trace, runs.copied().unwrap_or(1));
            compared += 1;
            if !agreement.holds(ours, row, theirs) {
                disagreements.push(format!(
                    "{policy} with {}: {ours} misses, libCacheSim {theirs} ({:+.3} points): \
                     expected {agreement:?}",
                    row.capacity,
                    (ours as f64 - theirs as f64) / row.requests as f64 * 100.0,
                ));
            }
        }
    }
    assert!(
        disagreements.is_empty(),
        "{name}: {} of {compared} miss counts disagree\n{}",
        disagreements.len(),
        disagreements.join("\n")
    );
    eprintln!("{name}: {compared} miss counts agree with libCacheSim's");
}

fn unit_sizes(names: &[&str]) {
    let Some(data) = data() else { return };
    let oracle = oracle();
    for name in names {
        let (rows, runs) = (&oracle.unit_sizes, &oracle.mean_of_runs);
        compare(&data, name, rows, runs, with_unit_sizes);
    }
}

// One test a group of traces, so that they run in parallel.

#[test]
fn lirs_traces_agree_with_libcachesim() {
    unit_sizes(&["loop", "gli", "multi1", "multi3", "sprite", "2_pools"]);
}

#[test]
fn cloud_physics_traces_agree_with_libcachesim() {
    unit_sizes(&["cloudPhysicsIO", "w106"]);
}

#[test]
fn oltp_agrees_with_libcachesim() {
    unit_sizes(&["OLTP"]);
}

#[test]
fn p3_agrees_with_libcachesim() {
    unit_sizes(&["P3"]);
}

#[test]
fn byte_sizes_agree_with_libcachesim() {
    let Some(data) = data() else { return };
    let oracle = oracle();
    for name in ["cloudPhysicsIO", "tencentBlock"] {
        let (rows, runs) = (&oracle.byte_sizes, &oracle.mean_of_runs);
        compare(&data, name, rows, runs, with_byte_sizes);
    }
}
