//! What is written in a format is read back from it.

use proptest::prelude::*;
use septet_cache::CacheError;
use septet_cache::trace::{
    self, NextAccess, ReadOptions, Reader, Record, Trace, TraceFormat, write_to,
};

/// Requests of a few ids among all 64-bit numbers, with or without times, sizes, program counters
/// and the future.
fn traces() -> impl Strategy<Value = Trace> {
    let ids = prop::collection::vec(any::<u64>(), 1..20);
    let requests = prop::collection::vec((0..20_usize, any::<u32>(), any::<u32>()), 0..3000);
    let columns = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (ids, requests, columns).prop_map(|(ids, requests, (times, sizes, pcs, future))| {
        let records = requests.into_iter().map(|(page, time, size)| {
            Ok(Record {
                time: if times { u64::from(time) } else { 0 },
                size: if sizes { size } else { 1 },
                pc: pcs.then_some(u64::from(time) << 20 | u64::from(size)),
                ..Record::from_id(ids[page % ids.len()])
            })
        });
        let mut trace = Trace::from_records(records).expect("a short trace");
        if future {
            trace.annotate();
        }
        trace
    })
}

fn written(format: TraceFormat, trace: &Trace) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_to(&mut bytes, format, trace).expect("the format holds the trace");
    bytes
}

fn read(format: TraceFormat, bytes: &[u8]) -> Vec<Record> {
    Reader::new(bytes, format, &ReadOptions::default())
        .collect::<Result<_, _>>()
        .expect("what was written is well-formed")
}

/// The records of the trace, as far as a format holds them.
fn expected(trace: &Trace, keep: impl Fn(Record) -> Record) -> Vec<Record> {
    (0..trace.len())
        .map(|index| keep(trace.record_at(index)))
        .collect()
}

/// A record without what none of the formats but csv holds together.
fn plain(record: Record) -> Record {
    Record {
        pc: None,
        next: NextAccess::Unknown,
        ..record
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn oracle_general_and_lcs_hold_the_future(trace in traces()) {
        let mut annotated = trace.clone();
        annotated.annotate();
        let expected = expected(&annotated, |record| Record { pc: None, ..record });
        for format in [TraceFormat::OracleGeneral, TraceFormat::Lcs] {
            prop_assert_eq!(&read(format, &written(format, &trace)), &expected);
        }
    }

    #[test]
    fn csv_holds_everything(trace in traces()) {
        let records = read(TraceFormat::Csv, &written(TraceFormat::Csv, &trace));
        prop_assert_eq!(&records, &expected(&trace, |record| record));
        let again = Trace::from_records(records.into_iter().map(Ok)).expect("a short trace");
        // A trace without requests has no first record to tell its columns.
        prop_assert!(again == trace || trace.is_empty());
    }

    #[test]
    fn vscsi_and_time_id_size_hold_sizes(trace in traces()) {
        for format in [TraceFormat::Vscsi, TraceFormat::TimeIdSize] {
            let records = read(format, &written(format, &trace));
            prop_assert_eq!(records, expected(&trace, plain));
        }
    }

    #[test]
    fn txt_holds_ids(trace in traces()) {
        let records = read(TraceFormat::Txt, &written(TraceFormat::Txt, &trace));
        prop_assert_eq!(records, expected(&trace, |record| Record::from_id(record.id)));
    }

    #[test]
    fn pc_address_holds_program_counters(trace in traces()) {
        let records = read(TraceFormat::PcAddress, &written(TraceFormat::PcAddress, &trace));
        let keep = |record: Record| Record {
            pc: Some(record.pc.unwrap_or(0)),
            ..Record::from_id(record.id)
        };
        prop_assert_eq!(records, expected(&trace, keep));
    }

    /// Compressed or not, a file gives back the trace.
    #[cfg(feature = "compression")]
    #[test]
    fn files_are_compressed_by_their_name(trace in traces()) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let expected = read(TraceFormat::Csv, &written(TraceFormat::Csv, &trace));
        for name in ["trace.csv", "trace.csv.gz", "trace.csv.zst", "trace.csv.xz"] {
            let path = folder.path().join(name);
            trace::write(&path, TraceFormat::Csv, &trace).expect("the folder is writable");
            let reader = trace::open(&path, TraceFormat::Csv, &ReadOptions::default());
            let records: Result<Vec<_>, _> = reader.expect("the file is there").collect();
            prop_assert_eq!(&records.expect("what was written is well-formed"), &expected);
        }
        let files = folder.path().read_dir().expect("the folder is readable").count();
        prop_assert_eq!(files, 4, "temporary files are left over");
    }
}

#[test]
fn a_value_without_room_is_refused_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.oracleGeneral");
    let record = |time| {
        Ok(Record {
            time,
            ..Record::from_id(7)
        })
    };
    let trace = Trace::from_records([record(5), record(1 << 32)]).unwrap();
    let error = trace::write(&path, TraceFormat::OracleGeneral, &trace).unwrap_err();
    assert_eq!(
        error.to_string(),
        "oracleGeneral trace: time 4294967296 of request 1 exceeds 4294967295"
    );
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn a_file_in_the_way_is_replaced_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.txt");
    std::fs::write(&path, "1\n2\n3\n").unwrap();
    trace::write(&path, TraceFormat::Txt, &Trace::from_ids([9])).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "9\n");
}

#[test]
fn formats_that_are_only_read_are_named() {
    let error = write_to(Vec::new(), TraceFormat::Arc, &Trace::from_ids([1])).unwrap_err();
    assert!(matches!(error, CacheError::UnknownName { .. }));
    assert!(error.to_string().contains("oracleGeneral"), "{error}");
}

/// Without the codecs, a compressed file is refused with the name of the feature.
#[cfg(not(feature = "compression"))]
#[test]
fn compression_is_a_feature() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.txt.zst");
    let error = trace::write(&path, TraceFormat::Txt, &Trace::from_ids([9])).unwrap_err();
    assert!(error.to_string().contains("`compression`"), "{error}");
    std::fs::write(&path, "1\n").unwrap();
    let error = trace::open(&path, TraceFormat::Txt, &ReadOptions::default()).unwrap_err();
    assert!(
        matches!(error, CacheError::MissingFeature { .. }),
        "{error}"
    );
}
