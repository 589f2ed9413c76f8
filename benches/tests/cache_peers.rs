//! The comparison with libCacheSim, as far as it goes without libCacheSim.

use septet_benches::cache_peers::replay::replay;
use septet_benches::cache_peers::sample::Comparison;
use septet_benches::cache_peers::{POLICIES, Record, table, workload};

#[test]
fn without_data_a_generated_trace_stands_in() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut lines = Vec::new();
    let mut log = |line: &str| lines.push(line.to_owned());
    let workloads = workload::prepare(None, &[], folder.path(), &mut log).expect("a workload");
    assert_eq!(workloads.len(), 1);
    let zipf = &workloads[0];
    assert_eq!(zipf.name, "zipf-1.0");
    let skipped = lines
        .iter()
        .filter(|line| line.starts_with("skipped: "))
        .count();
    assert_eq!(skipped, 3, "{lines:?}");

    let mut samples = Vec::new();
    for policy in POLICIES {
        let sample = replay(&zipf.path, policy, zipf.capacity).expect("a sample");
        assert_eq!(sample.requests, 1_000_000);
        assert!(
            sample.misses < 500_000,
            "{policy}: {} misses",
            sample.misses
        );
        samples.push((policy, sample));
    }
    let comparisons = samples.into_iter().map(|(policy, sample)| Comparison {
        policy: policy.to_owned(),
        trace: zipf.name.clone(),
        capacity: zipf.capacity,
        ours: vec![sample],
        tuned: Vec::new(),
        as_installed: Vec::new(),
    });
    let record = Record {
        schema: 1,
        peer: "libcachesim".to_owned(),
        processors: 4,
        load: [Some(0.1), Some(3.0)],
        comparisons: comparisons.collect(),
    };
    let text = table::render(&record);
    for policy in POLICIES {
        assert!(text.contains(policy), "{policy} is not in the table");
    }
    assert!(text.contains("the load was 3.0 on 4 processors"), "{text}");
}

#[test]
fn what_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let prepare = |name: &str| {
        workload::prepare(None, &[name.to_owned()], folder.path(), &mut |_| {})
            .expect_err("no such trace")
            .to_string()
    };
    let unknown = prepare("OLPT");
    assert!(
        unknown.contains("\"OLPT\"") && unknown.contains("OLTP"),
        "{unknown}"
    );
    let missing = prepare("OLTP");
    assert!(missing.contains("SEPTET_DATA"), "{missing}");
    let unreadable = replay(&folder.path().join("nothing.bin"), "LRU", 10).expect_err("no file");
    assert!(
        unreadable.to_string().contains("nothing.bin"),
        "{unreadable}"
    );
}
