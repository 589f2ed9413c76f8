//! Facts about published traces. They are read from the folder that `SEPTET_DATA` names; without
//! it the tests say so and pass.

#![cfg(feature = "compression")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::path::PathBuf;

use septet_cache::trace::{self, Archive, ReadOptions, Reader, Record, Trace, TraceFormat};

/// The path of a file in the data folder, if there is one.
fn data(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("SEPTET_DATA") else {
        println!("skipped: SEPTET_DATA is not set, so {name} cannot be read");
        return None;
    };
    Some(PathBuf::from(folder).join("cache").join(name))
}

fn open(name: &str, format: TraceFormat) -> Option<Reader<'static>> {
    let path = data(name)?;
    Some(trace::open(&path, format, &ReadOptions::default()).unwrap())
}

/// The records of a file.
fn records(name: &str, format: TraceFormat, options: &ReadOptions) -> Option<Vec<Record>> {
    let path = data(name)?;
    let reader = trace::open(&path, format, options).unwrap();
    Some(reader.map(|record| record.unwrap()).collect())
}

/// Checks the number of requests, and of distinct ids where it is known.
#[track_caller]
fn check(name: &str, format: TraceFormat, requests: usize, pages: Option<usize>) {
    let Some(reader) = open(name, format) else {
        return;
    };
    let trace = Trace::from_records(reader).unwrap();
    assert_eq!(trace.len(), requests, "requests of {name}");
    if let Some(pages) = pages {
        assert_eq!(trace.page_count(), pages, "pages of {name}");
    }
}

#[test]
fn arc_traces() {
    check("OLTP.lis.zst", TraceFormat::Arc, 914_145, Some(186_880));
    check("P3.lis.zst", TraceFormat::Arc, 3_912_296, Some(762_543));
}

#[test]
fn lirs_traces() {
    for (name, requests, pages) in [
        ("2_pools", 100_000, 9_939),
        ("gli", 6_015, 2_529),
        ("loop", 505_500, 1_011),
        ("multi3", 30_241, 7_454),
        ("sprite", 133_996, 7_075),
    ] {
        let name = format!("lirs/{name}.trace.gz");
        check(&name, TraceFormat::Lirs, requests, Some(pages));
    }
}

#[test]
fn instrumented_programs() {
    for (name, requests) in [
        ("bzip2", 1_000_000),
        ("mcf-like", 144_272),
        ("libq-like", 335_872),
        ("lbm-like", 110_358),
        ("astar-like", 106_910),
    ] {
        let name = format!("instrumented/{name}.csv.zst");
        check(&name, TraceFormat::PcAddress, requests, None);
    }
}

#[test]
fn page_lists_in_an_archive() {
    let Some(path) = data("brightkite_citibike.zip") else {
        return;
    };
    let mut archive = Archive::open(&path).unwrap();
    let names = archive.names().unwrap();
    for (prefix, instances, requests) in [("data/bk", 100, 2_100), ("data/citi", 12, 25_000)] {
        let names: Vec<_> = names
            .iter()
            .filter(|name| name.starts_with(prefix))
            .collect();
        assert_eq!(names.len(), instances, "{prefix}");
        for name in names {
            let reader = archive
                .reader(name, TraceFormat::Txt, &ReadOptions::default())
                .unwrap();
            let records: Vec<Record> = reader.map(Result::unwrap).collect();
            assert_eq!(records.len(), requests, "{name}");
        }
    }
}

#[test]
fn binary_ids() {
    check("w106.trace.xz", TraceFormat::CloudPhysics, 5_292_456, None);
    check("web07.trace.xz", TraceFormat::Cache2k, 76_118, None);
}

#[test]
fn objects_with_sizes() {
    let name = "tencentBlock.ns1326.sample.csv.zst";
    let Some(records) = records(name, TraceFormat::TimeIdSize, &ReadOptions::default()) else {
        return;
    };
    assert!(
        (99_000..101_000).contains(&records.len()),
        "{}",
        records.len()
    );
    assert!(records.iter().any(|record| record.size == 65_536));
    check(
        "adapt_size_request.trace.xz",
        TraceFormat::TimeIdSize,
        66_987,
        None,
    );
}

#[test]
fn addresses() {
    check(
        "spec2000_mcf.address.gz",
        TraceFormat::Address,
        727_230,
        None,
    );
}

/// One trace in four encodings.
#[test]
fn four_encodings_agree() {
    let columns = "time-col=time, obj-id-col=lbn, obj-size-col=size"
        .parse()
        .unwrap();
    let options = ReadOptions::default().csv(columns);
    let read = |name: &str, format| {
        records(
            &format!("libcachesim/cloudPhysicsIO.{name}"),
            format,
            &options,
        )
    };
    let Some(oracle) = read("oracleGeneral.bin", TraceFormat::OracleGeneral) else {
        return;
    };
    let vscsi = read("vscsi.zst", TraceFormat::Vscsi).unwrap();
    let csv = read("csv.zst", TraceFormat::Csv).unwrap();
    let txt = read("txt.zst", TraceFormat::Txt).unwrap();

    assert_eq!(oracle.len(), 113_872);
    // The program that made the oracleGeneral file gave every object one size.
    let time_and_id = |record: &Record| (record.time, record.id);
    assert!(
        oracle
            .iter()
            .map(time_and_id)
            .eq(vscsi.iter().map(time_and_id))
    );
    assert_eq!(vscsi, csv);
    assert!(
        oracle
            .iter()
            .map(|record| Record::from_id(record.id))
            .eq(txt)
    );

    // What the file says of the future is what annotating finds.
    let trace = Trace::from_records(oracle.into_iter().map(Ok)).unwrap();
    assert_eq!(trace.page_count(), 48_974);
    let mut annotated = trace.clone();
    annotated.annotate();
    assert_eq!(trace.next(), annotated.next());
}

/// Reading and writing an oracleGeneral file of libCacheSim gives the same bytes, next accesses
/// included.
#[test]
fn oracle_general_is_libcachesims() {
    let Some(path) = data("libcachesim/cloudPhysicsIO.oracleGeneral.bin") else {
        return;
    };
    let format = TraceFormat::OracleGeneral;
    let reader = trace::open(&path, format, &ReadOptions::default()).unwrap();
    let mut trace = Trace::from_records(reader).unwrap();
    trace.clear_future();
    let mut written = Vec::new();
    trace::write_to(&mut written, format, &trace).unwrap();
    assert!(written == std::fs::read(&path).unwrap());
}
