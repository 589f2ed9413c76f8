//! Streams of every format: what is read, and what is said about bytes that do not follow it.

#![cfg(all(
    feature = "compression",
    feature = "csv",
    feature = "npz",
    feature = "pcap"
))]

use std::io::Write;
use std::path::Path;

use septet_sketch::error::Position;
use septet_sketch::stream::{Records, StreamFormat, Writer};
use septet_sketch::{AnyKey, FlowKey, KeyType, SketchError};

mod samples;
use samples::{ETHERNET, Packet, npy, npz, pcap, pcapng};

fn format(text: &str) -> StreamFormat {
    text.parse().expect("a legal format")
}

/// The keys and counts of a well-formed stream.
#[track_caller]
fn read(bytes: &[u8], name: &str) -> Vec<(String, u64)> {
    Records::new(bytes, &format(name))
        .expect("a legal header")
        .map(|record| {
            let record = record.expect("a well-formed stream");
            (record.key.to_string(), record.count)
        })
        .collect()
}

/// Where a stream is wrong, and the whole message.
#[track_caller]
fn refused(bytes: &[u8], name: &str) -> (Position, String) {
    let records = match Records::new(bytes, &format(name)) {
        Ok(records) => records,
        Err(error) => return position(error),
    };
    let mut errors = records.filter_map(Result::err);
    let error = errors.next().expect("an error");
    assert!(errors.next().is_none(), "a second error");
    position(error)
}

#[track_caller]
fn position(error: SketchError) -> (Position, String) {
    match error {
        SketchError::Stream { position, .. } => (position, error.to_string()),
        error => panic!("not an error of the format: {error}"),
    }
}

fn ones(keys: &[&str]) -> Vec<(String, u64)> {
    keys.iter().map(|&key| (key.to_owned(), 1)).collect()
}

#[test]
fn lines_are_keys() {
    let text = b"one\r\n\ntwo words\nlast";
    assert_eq!(read(text, "lines"), ones(&["one", "", "two words", "last"]));
    assert_eq!(read(b"", "lines"), []);
    let long = [b'x'; 65_536];
    assert_eq!(read(&long, "lines").len(), 1);
    let longer = [&b"first\n"[..], &long, b"x\n"].concat();
    let (position, message) = refused(&longer, "lines");
    assert_eq!(position, Position::Line(2));
    assert_eq!(
        message,
        "lines, line 2: expected a line of at most 65536 bytes, found a longer one"
    );
}

#[test]
fn integers_are_decimal() {
    let text = b" 7\n\n18446744073709551615\n";
    assert_eq!(read(text, "integers"), ones(&["7", "18446744073709551615"]));
    for (text, line) in [("-1", 1), ("1\n18446744073709551616", 2), ("1\n\n2.5\n", 3)] {
        assert_eq!(refused(text.as_bytes(), "integers").0, Position::Line(line));
    }
}

#[test]
fn tables_have_columns_by_name_and_by_number() {
    let text =
        "\u{feff}word,\"the count\",x\n\"a,b\",3,\n\"c\"\"d\ne\", 10 ,y\n\nf,0,z\n".as_bytes();
    let keys = [("a,b", 3), ("c\"d\\ne", 10), ("f", 0)].map(|(key, count)| (key.to_owned(), count));
    assert_eq!(read(text, "csv:word:the count"), keys);
    assert_eq!(read(text, "csv:x"), ones(&["", "y", "z"]));
    assert_eq!(read(b"a\tb\nc\td", "tsv:2"), ones(&["b", "d"]));
    assert_eq!(
        read(b"a,5\nb,6", "csv:1:2"),
        [("a".into(), 5), ("b".into(), 6)]
    );
    assert_eq!(read(b"", "csv:word"), []);

    let (position, message) = refused(text, "csv:nosuch");
    assert_eq!(position, Position::Line(1));
    assert!(message.contains("a column named \"nosuch\""), "{message}");
    assert!(message.contains("3 names: \"word"), "{message}");
    let (position, message) = refused(b"k,n\na,1\n\nb,many\n", "csv:k:n");
    assert_eq!(position, Position::Line(4));
    assert!(
        message.ends_with("expected a count from 0 below 2^64, found \"many\""),
        "{message}"
    );
    assert_eq!(refused(b"a,b\nc\n", "csv:2").0, Position::Line(2));
    // An open quote takes in everything behind it, but not more than a line may hold.
    let open = [&b"a,b\n\""[..], &[b'x'; 100_000]].concat();
    assert_eq!(refused(&open, "csv:1").0, Position::Line(2));
    let wide = [b','; 10_000];
    assert!(refused(&wide, "csv:1").1.contains("4096 columns"));
}

#[test]
fn ranges_of_blocks_are_expanded() {
    let text = b"100 3 0 0\n\n5 1 0 1\n7 0 0 2\n18446744073709551614 2 0 3\n";
    let keys = [
        "100",
        "101",
        "102",
        "5",
        "18446744073709551614",
        "18446744073709551615",
    ];
    assert_eq!(read(text, "lis"), ones(&keys));
    for text in [
        "1 2 3",
        "1 2 3 4 5",
        "1 x 0 0",
        "18446744073709551615 2 0 0",
    ] {
        assert_eq!(
            refused(text.as_bytes(), "lis").0,
            Position::Line(1),
            "{text}"
        );
    }
}

#[test]
fn flows_are_13_bytes() {
    let bytes = [10, 0, 0, 1, 1, 0, 10, 0, 0, 2, 0, 80, 6];
    let two = [bytes, bytes].concat();
    assert_eq!(
        read(&two, "tuples13"),
        ones(&["10.0.0.1:256 > 10.0.0.2:80 6"; 2])
    );
    let (position, message) = refused(&two[..20], "tuples13");
    assert_eq!(position, Position::Byte(13));
    assert!(message.contains("the end after 7 of them"), "{message}");
}

#[test]
fn packets_are_occurrences_of_flows() {
    let packets = [
        Packet::udp().bytes(),
        Packet::tcp().bytes(),
        Packet::tcp().vlan(7).bytes(),
        Packet::tcp().vlan(7).vlan(8).bytes(),
        // Skipped: another protocol, a fragment, IPv6, no IP at all, a few bytes.
        Packet {
            protocol: 1,
            ..Packet::udp()
        }
        .bytes(),
        Packet {
            fragment: 0x2000,
            ..Packet::udp()
        }
        .bytes(),
        Packet {
            fragment: 1,
            ..Packet::udp()
        }
        .bytes(),
        Packet {
            ether_type: 0x86dd,
            ..Packet::udp()
        }
        .bytes(),
        Packet {
            ether_type: 0x0806,
            ..Packet::udp()
        }
        .bytes(),
        vec![1, 2, 3],
        // A capture of the first 38 bytes holds the ports.
        Packet::tcp().bytes()[..38].to_vec(),
    ];
    let (tcp, udp) = (
        "10.1.2.3:4567 > 192.168.0.1:443 6",
        "10.1.2.3:4567 > 192.168.0.1:443 17",
    );
    let expected = ones(&[udp, tcp, tcp, tcp, tcp]);
    for (name, bytes) in [
        ("little", pcap(ETHERNET, &packets, false)),
        ("big", pcap(ETHERNET, &packets, true)),
        ("pcapng", pcapng(ETHERNET, &packets)),
    ] {
        let mut records = Records::new(&bytes[..], &StreamFormat::Capture).expect("a header");
        let keys: Vec<_> = records
            .by_ref()
            .map(|record| (record.expect("a packet").key.to_string(), 1))
            .collect();
        assert_eq!(keys, expected, "{name}");
        assert_eq!(records.skipped(), 6, "{name}");
    }
}

#[test]
fn packets_lie_behind_several_links() {
    let packet = Packet::tcp();
    let ip = packet.ip();
    let flow = ones(&["10.1.2.3:4567 > 192.168.0.1:443 6"]);
    let cooked = [&[0; 14][..], &[8, 0], &ip].concat();
    let cooked_2 = [&[8, 0][..], &[0; 18], &ip].concat();
    for (link, bytes) in [
        (101, ip.clone()),
        (12, ip.clone()),
        (228, ip.clone()),
        (0, [&[2, 0, 0, 0], &ip[..]].concat()),
        (113, cooked),
        (276, cooked_2),
    ] {
        assert_eq!(
            read(&pcap(link, &[bytes], false), "pcap"),
            flow,
            "link {link}"
        );
    }
    // A link that is not known skips its packets.
    let bytes = pcap(147, &[ip], false);
    let mut records = Records::new(&bytes[..], &StreamFormat::Capture).expect("a header");
    assert!(records.next().is_none());
    assert_eq!(records.skipped(), 1);
}

#[test]
fn damaged_captures_are_reported_with_their_offset() {
    let bytes = pcap(
        ETHERNET,
        &[Packet::tcp().bytes(), Packet::udp().bytes()],
        false,
    );
    let second = (bytes.len() - 24) / 2 + 24;
    for length in 0..bytes.len() {
        if length == 24 || length == second {
            assert!(read(&bytes[..length], "pcap").len() < 2);
            continue;
        }
        let position = refused(&bytes[..length], "pcap").0;
        let expected = match length {
            0..24 => 0,
            _ if length < second => 24,
            _ => second as u64,
        };
        assert_eq!(position, Position::Byte(expected), "{length} bytes");
    }
    let mut huge = bytes.clone();
    huge[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
    let (position, message) = refused(&huge, "pcap");
    assert_eq!(position, Position::Byte(24), "{message}");
    // A block of pcapng that is shorter than its own frame.
    let mut short = pcapng(ETHERNET, &[]);
    let end = short.len() as u64;
    short.extend([1, 0, 0, 0x80, 10, 0, 0, 0, 0, 0, 0, 0]);
    let (position, message) = refused(&short, "pcap");
    assert_eq!(position, Position::Byte(end));
    assert!(
        message.contains("a block of at least 12 bytes, found one of 10"),
        "{message}"
    );
    // A block longer than the first buffer is read, one without bound is not.
    let long = Packet {
        payload: 60_000,
        ..Packet::udp()
    }
    .bytes();
    assert_eq!(
        read(
            &pcap(101, &[vec![0; 300_000], Packet::udp().ip()], false),
            "pcap"
        )
        .len(),
        1
    );
    assert_eq!(read(&pcapng(ETHERNET, &[long]), "pcap").len(), 1);
}

#[test]
fn arrays_hold_keys_and_counts() {
    assert_eq!(
        read(
            &npy(
                "<u4",
                "(3,)",
                &[[1, 0, 0, 0], [0, 1, 0, 0], [7, 0, 0, 0]].concat()
            ),
            "npy"
        ),
        ones(&["1", "256", "7"])
    );
    assert_eq!(
        read(&npy(">i2", "(2, 1)", &[1, 2, 0, 3]), "npy"),
        ones(&["258", "3"])
    );
    let (position, message) = refused(&npy("|i1", "(2,)", &[1, 255]), "npy");
    assert_eq!(position, Position::Row(1));
    assert_eq!(message, "npy, row 1: expected integers from 0, found -1");
    // The order of Hsu et al.: both addresses, protocol, both ports.
    let flow: Vec<u8> = [10, 0, 0, 1, 10, 0, 0, 2, 17, 53, 50_000]
        .into_iter()
        .flat_map(i32::to_le_bytes)
        .collect();
    assert_eq!(
        read(&npy("<i4", "(1, 11)", &flow), "npy"),
        ones(&["10.0.0.1:53 > 10.0.0.2:50000 17"])
    );
    let mut wrong = flow.clone();
    wrong[1] = 1;
    assert!(
        refused(&npy("<i4", "(1, 11)", &wrong), "npy")
            .1
            .contains("8 bits in column 0")
    );

    for (descr, shape, data) in [
        ("<f8", "(1,)", &[0; 8][..]),
        ("<u4", "(2, 3)", &[0; 24]),
        ("<u4", "()", &[0; 4]),
        ("<u4", "(2,)", &[0; 7]),
        ("<u4", "(2,)", &[0; 9]),
        ("<u4", "(18446744073709551615, 11)", &[0; 44]),
        ("|O", "(1,)", &[0; 8]),
    ] {
        let position = refused(&npy(descr, shape, data), "npy").0;
        assert!(
            matches!(position, Position::Byte(0) | Position::Row(_)),
            "{descr} {shape}"
        );
    }
    for bytes in [
        &b""[..],
        b"\x93NUMPY",
        b"\x93NUMPY\x02\0\xff\xff\xff\xff{",
        b"\x93NUMPY\x01\0\x05\0{",
    ] {
        assert_eq!(refused(bytes, "npy").0, Position::Byte(0));
    }
}

#[test]
fn archives_hold_several_arrays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("day.npz");
    let x = npy("<u2", "(3,)", &[5, 0, 6, 0, 7, 0]);
    let y = npy("<i8", "(3,)", &[[9, 0, 0, 0, 0, 0, 0, 0]; 3].concat());
    for compressed in [false, true] {
        std::fs::write(&path, npz(&[("x", &x), ("y", &y)], compressed)).unwrap();
        let open = |name: &str| -> Result<Vec<_>, SketchError> {
            Records::open(&path, &format(name))?
                .map(|record| record.map(|record| (record.key.to_string(), record.count)))
                .collect()
        };
        let pairs = |keys: [&str; 3], count| keys.map(|key| (key.to_owned(), count)).to_vec();
        assert_eq!(open("npz:x").unwrap(), pairs(["5", "6", "7"], 1));
        assert_eq!(open("npz:x:y").unwrap(), pairs(["5", "6", "7"], 9));
        assert_eq!(open("npz::y").unwrap(), pairs(["0", "1", "2"], 9));
        let error = open("npz:z").unwrap_err().to_string();
        assert!(
            error.contains("an array named \"z\", found [\"x\", \"y\"]"),
            "{error}"
        );
    }
    // A byte of the numbers is changed: the checksum tells.
    let mut bytes = npz(&[("x", &x)], false);
    let at = bytes
        .windows(6)
        .position(|bytes| bytes == [5, 0, 6, 0, 7, 0])
        .unwrap();
    bytes[at] = 4;
    std::fs::write(&path, bytes).unwrap();
    let records = Records::open(&path, &format("npz:x")).unwrap();
    let error = records.filter_map(Result::err).next().unwrap();
    assert!(error.to_string().contains("day.npz"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("checksum mismatch"), "{cause}");
    let error = Records::new(&b""[..], &format("npz:x")).unwrap_err();
    assert!(matches!(error, SketchError::Parameter { .. }));
}

#[test]
fn files_are_compressed_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["keys.txt", "keys.txt.gz", "keys.txt.zst"] {
        let path = folder.path().join(name);
        assert_eq!(StreamFormat::from_path(&path), Some(StreamFormat::Lines));
        let mut writer = Writer::create(&path, StreamFormat::Lines).unwrap();
        for key in 0..1000 {
            writer.write(&AnyKey::Integer(key)).unwrap();
        }
        assert!(!path.exists(), "the file is not whole yet");
        writer.finish().unwrap();
        let keys: Vec<_> = Records::open(&path, &StreamFormat::Integers)
            .unwrap()
            .map(|record| record.unwrap().key)
            .collect();
        assert_eq!(keys, (0..1000).map(AnyKey::Integer).collect::<Vec<_>>());
        if name == "keys.txt" {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let records = Records::open(&path, &StreamFormat::Integers).unwrap();
        let error = records.filter_map(Result::err).next().unwrap();
        assert!(
            matches!(&error, SketchError::File { path: p, .. } if *p == path),
            "{error}"
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    let error = Records::open(Path::new("no/such.txt"), &StreamFormat::Lines).unwrap_err();
    assert!(
        error.to_string().starts_with("no/such.txt cannot"),
        "{error}"
    );
}

#[test]
fn what_is_written_is_read() {
    let flow = FlowKey::from_bytes(&[10, 0, 0, 1, 1, 0, 10, 0, 0, 2, 0, 80, 6]);
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, StreamFormat::Flows).unwrap();
    writer.write(&AnyKey::Flow(flow)).unwrap();
    let error = writer.write(&AnyKey::Integer(1)).unwrap_err();
    assert_eq!(error.to_string(), "tuples13 cannot represent the key 1");
    assert_eq!(read(&bytes, "tuples13"), ones(&[&flow.to_string()]));
    let mut writer = Writer::new(std::io::sink(), StreamFormat::Lines).unwrap();
    assert!(writer.write(&AnyKey::Bytes(b"a\nb".to_vec())).is_err());
    assert!(Writer::new(std::io::sink(), StreamFormat::Capture).is_err());
    // A file that is not finished leaves nothing behind.
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(&folder.path().join("x"), StreamFormat::Lines).unwrap();
    writer.write(&AnyKey::Integer(1)).unwrap();
    drop(writer);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    std::io::sink().flush().unwrap();
}

#[test]
fn formats_have_names() {
    for name in [
        "lines", "integers", "csv:word", "csv:1:2", "tsv:a:b", "tuples13", "lis", "pcap", "npy",
        "npz:x", "npz:x:y", "npz::y",
    ] {
        assert_eq!(format(name).to_string(), name);
    }
    for name in [
        "", "csv", "csv:", "csv:a:", "npz", "npz:", "npz::", "lines:1", "xml",
    ] {
        let error = name.parse::<StreamFormat>().unwrap_err().to_string();
        assert!(error.contains("one of lines, integers"), "{error}");
    }
    assert_eq!(format("pcap").key_type(), Some(KeyType::Flow));
    assert_eq!(StreamFormat::from_path(Path::new("a.csv")), None);
    assert_eq!(
        StreamFormat::from_path(Path::new("a.pcap.gz")),
        Some(StreamFormat::Capture)
    );
}

#[test]
fn block_traces_of_the_data_folder_have_their_length() {
    let Some(folder) = std::env::var_os("SEPTET_DATA") else {
        eprintln!("skipped: SEPTET_DATA does not name the data folder");
        return;
    };
    let path = Path::new(&folder).join("cache/OLTP.lis.zst");
    let records = Records::open(&path, &StreamFormat::from_path(&path).unwrap()).unwrap();
    assert_eq!(records.map(Result::unwrap).count(), 914_145);
}
