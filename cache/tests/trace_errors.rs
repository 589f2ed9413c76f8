//! Malformed traces: each is refused with the position where it goes wrong.

use septet_cache::CacheError;
use septet_cache::error::Position;
use septet_cache::trace::{ReadOptions, Reader, Record, TraceFormat};

/// Reads to the first error: the number of good records before it, its position and its text.
#[track_caller]
fn fails(format: TraceFormat, bytes: &[u8]) -> (usize, Position, String) {
    fails_with(format, bytes, &ReadOptions::default())
}

#[track_caller]
fn fails_with(
    format: TraceFormat,
    bytes: &[u8],
    options: &ReadOptions,
) -> (usize, Position, String) {
    let mut good = 0;
    let mut reader = Reader::new(bytes, format, options);
    for record in reader.by_ref() {
        match record {
            Ok(_) => good += 1,
            Err(error) => {
                let text = error.to_string();
                let CacheError::TraceFormat { position, .. } = error else {
                    panic!("{format}: {text}");
                };
                assert!(reader.next().is_none(), "{format}: records after an error");
                return (good, position, text);
            }
        }
    }
    panic!(
        "{format}: accepted {good} records of {}",
        bytes.escape_ascii()
    );
}

#[track_caller]
fn reads(format: TraceFormat, bytes: &[u8]) -> Vec<Record> {
    Reader::new(bytes, format, &ReadOptions::default())
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{error}"))
}

fn ids(format: TraceFormat, bytes: &[u8]) -> Vec<u64> {
    reads(format, bytes)
        .iter()
        .map(|record| record.id)
        .collect()
}

/// An oracleGeneral record.
fn oracle(id: u64, next: i64) -> Vec<u8> {
    let mut bytes = 7_u32.to_le_bytes().to_vec();
    bytes.extend(id.to_le_bytes());
    bytes.extend(512_u32.to_le_bytes());
    bytes.extend(next.to_le_bytes());
    bytes
}

const EVERY_FORMAT: [TraceFormat; 14] = TraceFormat::ALL;

#[test]
fn formats_are_known_by_their_names() {
    for format in TraceFormat::ALL {
        let name = format.to_string();
        assert_eq!(name.parse::<TraceFormat>().unwrap(), format);
        assert_eq!(name.to_uppercase().parse::<TraceFormat>().unwrap(), format);
    }
    let error = "oracle".parse::<TraceFormat>().unwrap_err().to_string();
    assert!(error.contains("cloud-physics"), "{error}");
    for (path, format) in [
        ("w1.oracleGeneral.bin.zst", Some(TraceFormat::OracleGeneral)),
        ("dir.csv/w1.oracleGeneral", Some(TraceFormat::OracleGeneral)),
        ("w1.lcs.xz", Some(TraceFormat::Lcs)),
        ("w1.vscsi", Some(TraceFormat::Vscsi)),
        ("OLTP.lis.gz", Some(TraceFormat::Arc)),
        ("ids.TXT", Some(TraceFormat::Txt)),
        ("a.csv", Some(TraceFormat::Csv)),
        ("spec2000_mcf.address.gz", Some(TraceFormat::Address)),
        ("w106.trace.xz", None),
        ("trace.gz", None),
        ("", None),
    ] {
        assert_eq!(TraceFormat::detect(path.as_ref()), format, "{path}");
    }
}

#[test]
fn nothing_is_an_empty_trace_except_for_lcs() {
    for format in EVERY_FORMAT {
        if format == TraceFormat::Lcs {
            let (good, position, _) = fails(format, b"");
            assert_eq!((good, position), (0, Position::Byte(0)));
        } else {
            assert_eq!(reads(format, b""), [], "{format}");
        }
    }
}

#[test]
fn truncated_binary_records() {
    let trace = [oracle(1, 3), oracle(2, -1), oracle(1, -1)].concat();
    let (good, position, text) = fails(TraceFormat::OracleGeneral, &trace[..60]);
    assert_eq!((good, position), (2, Position::Byte(48)));
    assert_eq!(
        text,
        "oracleGeneral trace, byte 48: expected a record of 24 bytes, found end of input after 12 bytes"
    );
    for (format, length) in [
        (TraceFormat::CloudPhysics, 4),
        (TraceFormat::Cache2k, 4),
        (TraceFormat::Corda, 8),
        (TraceFormat::Scarab, 8),
    ] {
        let (good, position, _) = fails(format, &[0; 19]);
        let whole = 19 / length;
        assert_eq!(
            (good, position),
            (whole, Position::Byte((whole * length) as u64)),
            "{format}"
        );
    }
}

#[test]
fn a_record_in_two_blocks_is_whole() {
    // 24 does not divide the block of the reader, and a source may give single bytes.
    struct Drip<'a>(&'a [u8]);
    impl std::io::Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.0.len().min(buffer.len()).min(1);
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }
    let trace: Vec<u8> = (0..30_000).flat_map(|id| oracle(id, -1)).collect();
    let whole = reads(TraceFormat::OracleGeneral, &trace);
    assert!(whole.iter().map(|record| record.id).eq(0..30_000));
    let options = ReadOptions::default();
    let dripped: Vec<_> = Reader::new(Drip(&trace), TraceFormat::OracleGeneral, &options)
        .map(|record| record.unwrap())
        .collect();
    assert_eq!(dripped, whole);

    let lines: String = (0..100_000).map(|id| format!("{id}\n")).collect();
    assert!(
        ids(TraceFormat::Txt, lines.as_bytes())
            .into_iter()
            .eq(0..100_000)
    );
}

#[test]
fn next_accesses_lie_ahead() {
    for next in [0, 1, -2, i64::MIN] {
        let trace = [oracle(1, 3), oracle(2, next)].concat();
        let (good, position, text) = fails(TraceFormat::OracleGeneral, &trace);
        assert_eq!((good, position), (1, Position::Byte(24)), "{next}");
        assert!(text.contains(&next.to_string()), "{text}");
    }
    let never = [oracle(1, -1), oracle(1, i64::MAX)].concat();
    assert_eq!(reads(TraceFormat::OracleGeneral, &never).len(), 2);

    let (good, position, _) = fails(TraceFormat::Csv, b"id,next\n5,2\n6,1\n");
    assert_eq!((good, position), (1, Position::Line(3)));
}

#[test]
fn lcs_headers() {
    let magic = 0x1234_5678_9abc_def0_u64.to_le_bytes();
    let header = |length: usize, version: u64| {
        let mut header = vec![0; length];
        header[..8].copy_from_slice(&magic);
        header[8..16].copy_from_slice(&version.to_le_bytes());
        header[length - 8..].copy_from_slice(&magic);
        header
    };
    let (_, position, text) = fails(TraceFormat::Lcs, &vec![0; 9000]);
    assert_eq!(position, Position::Byte(0));
    assert!(text.contains("magic number"), "{text}");
    let (_, position, _) = fails(TraceFormat::Lcs, &header(8192, 1)[..8000]);
    assert_eq!(position, Position::Byte(0));
    let mut without_end = header(8192, 1);
    without_end[8190] = 0;
    assert_eq!(
        fails(TraceFormat::Lcs, &without_end).1,
        Position::Byte(8184)
    );
    for version in [0, 9, u64::MAX] {
        let (_, position, text) = fails(TraceFormat::Lcs, &header(8192, version));
        assert_eq!(position, Position::Byte(8));
        assert!(text.contains(&version.to_string()), "{text}");
    }

    // Versions 1 and 2 with either header; 3 and later have longer sizes and features behind.
    for (header, length) in [
        (header(8192, 1), 24),
        (header(1024, 1), 24),
        (header(8192, 2), 28),
        (header(1024, 2), 28),
        (header(8192, 3), 36),
        (header(8192, 4), 40),
        (header(8192, 8), 100),
    ] {
        let mut record = vec![0; length];
        record[..4].copy_from_slice(&9_u32.to_le_bytes());
        record[4..12].copy_from_slice(&u64::MAX.to_le_bytes());
        record[12..16].copy_from_slice(&4096_u32.to_le_bytes());
        let next = match length {
            24 => 16,
            28 => 20,
            _ => 28,
        };
        record[next..next + 8].copy_from_slice(&(-1_i64).to_le_bytes());
        let trace = [&header[..], &record, &record].concat();
        let records = reads(TraceFormat::Lcs, &trace);
        assert_eq!(records.len(), 2, "{length}");
        let Record { time, id, size, .. } = records[1];
        assert_eq!((time, id, size), (9, u64::MAX, 4096), "{length}");

        let (good, position, _) = fails(TraceFormat::Lcs, &trace[..trace.len() - 1]);
        let expected = Position::Byte((header.len() + length) as u64);
        assert_eq!((good, position), (1, expected), "{length}");
    }
    // A size of 64 bits that does not fit.
    let mut record = vec![0; 36];
    record[12..20].copy_from_slice(&(1_i64 << 32).to_le_bytes());
    record[28..36].copy_from_slice(&(-1_i64).to_le_bytes());
    let (_, position, text) = fails(TraceFormat::Lcs, &[header(8192, 3), record].concat());
    assert_eq!(position, Position::Byte(8192));
    assert!(text.contains("4294967296"), "{text}");
}

#[test]
fn lcs_headers_that_describe_the_record() {
    let magic = 0x1234_5678_9abc_def0_u64.to_le_bytes();
    let describe = |description: &[u8], fields: [u8; 3], length: u32| {
        let mut header = vec![0; 1024];
        header[..8].copy_from_slice(&magic);
        header[8..8 + description.len()].copy_from_slice(description);
        header[248..251].copy_from_slice(&fields);
        header[1004..1008].copy_from_slice(&length.to_le_bytes());
        header[1016..].copy_from_slice(&magic);
        header
    };
    // Id, size and time are fields 3, 2 and 1.
    let header = describe(b"<HBi", [3, 2, 1], 7);
    let trace = [&header[..], &[1, 2, 3, 0xff, 0xff, 0xff, 0xff]].concat();
    let expected = Record {
        time: 0x201,
        size: 3,
        ..Record::from_id(u64::MAX)
    };
    assert_eq!(reads(TraceFormat::Lcs, &trace), [expected]);
    for header in [
        describe(b"<HBi", [0, 2, 1], 7),
        describe(b"<HBi", [4, 2, 1], 7),
        describe(b"<HBi", [3, 2, 1], 8),
        describe(b"<HBf", [3, 2, 1], 7),
        describe(b"<HBx", [3, 2, 1], 7),
        describe(b"<", [3, 2, 1], 0),
    ] {
        assert_eq!(fails(TraceFormat::Lcs, &header).1, Position::Byte(8));
    }
}

#[test]
fn vscsi_versions() {
    let (_, position, text) = fails(TraceFormat::Vscsi, &[0; 80]);
    assert_eq!(position, Position::Byte(0));
    assert!(text.contains("version 1 or 2"), "{text}");
    let mut record = [0; 40];
    record[3] = 2;
    record[8] = 200;
    record[16] = 5;
    record[26] = 0x10; // 2^20 microseconds
    let expected = Record {
        time: 1,
        size: 200,
        ..Record::from_id(5)
    };
    assert_eq!(reads(TraceFormat::Vscsi, &record), [expected]);
    assert_eq!(
        reads(TraceFormat::Vscsi, &[record, record, record].concat()),
        [expected; 3]
    );
    let mut other = record;
    other[3] = 3;
    let (good, position, _) = fails(TraceFormat::Vscsi, &[record, record, other].concat());
    assert_eq!((good, position), (2, Position::Byte(80)));
}

#[test]
fn arc_ranges() {
    assert_eq!(
        ids(TraceFormat::Arc, b"7 3 0 0\r\n\n9 1 0 1\n4 0 0 2"),
        [7, 8, 9, 9]
    );
    let last = format!("{} 2 0 0\n", u64::MAX - 1);
    assert_eq!(
        ids(TraceFormat::Arc, last.as_bytes()),
        [u64::MAX - 1, u64::MAX]
    );
    let behind = format!("1 1 0 0\n{} 2 0 0\n", u64::MAX);
    let (good, position, text) = fails(TraceFormat::Arc, behind.as_bytes());
    assert_eq!((good, position), (1, Position::Line(2)));
    assert!(text.contains("2^64"), "{text}");
    for line in [
        "1 2 0",
        "1 2 0 3 4",
        "1 x 0 0",
        "-1 2 0 0",
        "18446744073709551616 1 0 0",
        "\u{e9}",
    ] {
        assert_eq!(
            fails(TraceFormat::Arc, line.as_bytes()).1,
            Position::Line(1),
            "{line}"
        );
    }
}

#[test]
fn the_number_of_records_is_bounded() {
    let endless = format!("0 {} 0 0\n", u64::MAX);
    let options = ReadOptions::default().max_records(100_000);
    let mut reader = Reader::new(endless.as_bytes(), TraceFormat::Arc, &options);
    assert_eq!(
        reader.by_ref().take(100_000).filter(Result::is_ok).count(),
        100_000
    );
    let error = reader.next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the trace has more than 100000 requests");
    assert!(reader.next().is_none());

    // Exactly as many are accepted.
    let options = ReadOptions::default().max_records(3);
    let reader = Reader::new(&b"1\n2\n3\n"[..], TraceFormat::Txt, &options);
    assert_eq!(reader.filter(Result::is_ok).count(), 3);
}

#[test]
fn lines_are_bounded() {
    let mut text = b"1\n".to_vec();
    text.extend(std::iter::repeat_n(b'7', 70_000));
    let (good, position, message) = fails(TraceFormat::Txt, &text);
    assert_eq!((good, position), (1, Position::Line(2)));
    assert!(message.contains("65536"), "{message}");
    let long = vec![b'x'; 65_536];
    assert_eq!(reads(TraceFormat::Txt, &long).len(), 1);
}

#[test]
fn ids_are_numbers_or_names() {
    let text = b"17\n 0x11 \r\n\nfile.html\nfile.html\n18446744073709551616\n";
    let ids = ids(TraceFormat::Txt, text);
    assert_eq!(ids[..2], [17, 17]);
    assert_eq!(ids[2], ids[3]);
    assert_eq!(ids.len(), 5);
    let (good, position, text) = fails(TraceFormat::Txt, b"1\nfile\xff\n");
    assert_eq!((good, position), (1, Position::Line(2)));
    assert!(
        text.contains("UTF-8") && text.contains(r"file\xff"),
        "{text}"
    );
}

#[test]
fn lines_of_the_other_text_formats() {
    assert_eq!(ids(TraceFormat::Lirs, b"5\r\n*\r\n6\n\n"), [5, 6]);
    assert_eq!(
        ids(TraceFormat::Address, b"l 0x1f 2\ns 0x20 1\n"),
        [0x1f, 0x20]
    );
    let record = Record {
        time: 12,
        size: 77,
        ..Record::from_id(3)
    };
    assert_eq!(
        reads(TraceFormat::TimeIdSize, b"12.9 3 77\n12\t3\t77\tmore"),
        [record, record]
    );
    let record = Record {
        pc: Some(0xab),
        ..Record::from_id(0xcd)
    };
    assert_eq!(
        reads(TraceFormat::PcAddress, b"0xab,0xcd\n0xAB, 0xCD\n"),
        [record, record]
    );
    for (format, line) in [
        (TraceFormat::Lirs, "0x5"),
        (TraceFormat::Lirs, "**"),
        (TraceFormat::Lirs, "18446744073709551616"),
        (TraceFormat::Address, "x 0x1f 2"),
        (TraceFormat::Address, "l 1f 2"),
        (TraceFormat::Address, "l 0x1f"),
        (TraceFormat::Address, "l 0x11111111111111111 2"),
        (TraceFormat::TimeIdSize, "1 2"),
        (TraceFormat::TimeIdSize, "-1 2 3"),
        (TraceFormat::TimeIdSize, "1.x 2 3"),
        (TraceFormat::TimeIdSize, "1 2 4294967296"),
        (TraceFormat::PcAddress, "0xab"),
        (TraceFormat::PcAddress, "ab,cd"),
        (TraceFormat::PcAddress, "0xab,0xcd,0xef"),
    ] {
        assert_eq!(
            fails(format, line.as_bytes()).1,
            Position::Line(1),
            "{format}: {line}"
        );
    }
}

/// The records of a csv trace with these options in the notation of libCacheSim.
#[track_caller]
fn csv(options: &str, text: &str) -> Vec<Record> {
    let options = ReadOptions::default().csv(options.parse().expect("legal options"));
    Reader::new(text.as_bytes(), TraceFormat::Csv, &options)
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn csv_columns() {
    let record = Record {
        time: 5,
        size: 512,
        ..Record::from_id(42)
    };
    let text = "version,time,op,size,lbn\n1,5,2a,512,42\n";
    let by_number = "time-col=2, obj-id-col=5, obj-size-col=4, delimiter=,, has-header=true";
    assert_eq!(csv(by_number, text), [record]);
    assert_eq!(
        csv("time-col=time,obj-id-col=lbn,size-col=size", text),
        [record]
    );
    assert_eq!(csv("", text), [record], "columns by their usual names");
    assert_eq!(csv("obj-id-col=5", text), [Record::from_id(42)]);
    assert_eq!(
        csv("time-col=1,obj-id-col=2,obj-size-col=3", "5.7,42,512\n"),
        [record]
    );
    assert_eq!(
        csv(
            "time-col=1,obj-id-col=2,obj-size-col=3,delimiter=\\t",
            "5\t42\t512"
        ),
        [record]
    );
    assert_eq!(
        csv("obj-id-col=2", "\t42\n\t42\n").len(),
        2,
        "an empty first column"
    );
    assert_eq!(csv("", "\u{feff}id;size;time\n42;512;5\n"), [record]);
    let quoted = "obj-id-col=2,has-header=false";
    assert_eq!(
        csv(quoted, "\"a,b\",\"say \"\"x\"\"\"\nq,\"42\"\n"),
        [
            csv("obj-id-col=1,has-header=false,delimiter=;", "say \"x\"")[0],
            Record::from_id(42)
        ]
    );
    // A tab is both white space and a delimiter.
    let tabs = "obj-id-col=2,obj-size-col=3,has-header=false,delimiter=\\t";
    assert_eq!(
        csv(
            tabs,
            "\"a\"\t\"42\"\t512\n\t\"42\" \t512\n \"a\" \t42\t\"512\""
        ),
        [Record {
            size: 512,
            ..Record::from_id(42)
        }; 3]
    );
    let future = csv("", "id,next,pc\n7,2,0x1a\n7,-1,26\n");
    assert_eq!(future[0].pc, future[1].pc);
    assert_ne!(future[0].next, future[1].next);
}

#[test]
fn csv_errors() {
    for (options, text, line) in [
        ("", "a,b\n1,2\n", 1),
        ("", "1,2\n3,4\n", 1),
        ("obj-id-col=key2", "key,size\n1,2\n", 1),
        ("obj-id-col=key,has-header=false", "key,size\n1,2\n", 1),
        ("obj-id-col=1,size-col=1", "1,2\n", 1),
        ("obj-id-col=1,size-col=5000", "1,2\n", 1),
        ("obj-id-col=1,size-col=2", "1,2\n\n1\n", 3),
        ("obj-id-col=1,size-col=2", "1,2\n1,-2\n", 2),
        ("obj-id-col=1,size-col=2", "1,2\n1,4294967296\n", 2),
        ("obj-id-col=1,obj-id-is-num=true", "1,2\nx,2\n", 2),
        ("obj-id-col=2,has-header=false", "a,\"open\nb,c\n", 1),
        ("obj-id-col=2,has-header=false", "\"a\"x,b\n", 1),
    ] {
        let options = ReadOptions::default().csv(options.parse().unwrap());
        let (_, position, text) = fails_with(TraceFormat::Csv, text.as_bytes(), &options);
        assert_eq!(position, Position::Line(line), "{text}");
    }
}

#[test]
fn csv_parameters() {
    for wrong in [
        "time-col",
        "time-col=0",
        "time-col=",
        "color=3",
        "delimiter=ab",
        "delimiter=\"",
        "has-header=perhaps",
    ] {
        let parsed = wrong.parse::<septet_cache::trace::CsvOptions>();
        assert!(parsed.is_err(), "{wrong}: {parsed:?}");
    }
}

/// Compressed files that end early, or that ask for gigabytes, are errors that name the file.
#[cfg(feature = "compression")]
#[test]
fn damaged_compression() {
    use septet_cache::trace::{self, Trace};

    let folder = tempfile::tempdir().unwrap();
    let open = |path: &std::path::Path| -> Result<Trace, CacheError> {
        let reader = trace::open(path, TraceFormat::Txt, &ReadOptions::default())?;
        Trace::from_records(reader)
    };
    for suffix in ["gz", "zst", "xz"] {
        let path = folder.path().join(format!("trace.txt.{suffix}"));
        trace::write(&path, TraceFormat::Txt, &Trace::from_ids(0..5000)).unwrap();
        assert_eq!(open(&path).unwrap().len(), 5000);
        let bytes = std::fs::read(&path).unwrap();
        for damaged in [
            &bytes[..bytes.len() / 2],
            &bytes[..bytes.len() - 1],
            b"1\n2\n",
        ] {
            std::fs::write(&path, damaged).unwrap();
            let error = open(&path).unwrap_err();
            assert!(
                matches!(error, CacheError::File { .. }),
                "{suffix}: {error}"
            );
            assert!(error.to_string().contains(suffix), "{error}");
        }
        // Files one after the other are one stream.
        std::fs::write(&path, bytes.repeat(2)).unwrap();
        assert_eq!(open(&path).unwrap().len(), 10_000, "{suffix}");
    }
    // The header of a bare lzma stream with a dictionary of 4 GiB.
    let path = folder.path().join("bomb.txt.xz");
    std::fs::write(
        &path,
        b"\x5d\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0",
    )
    .unwrap();
    assert!(matches!(open(&path), Err(CacheError::File { .. })));
}
