//! Damaged traces: whatever the bytes, a reader ends with records or with an error at a position
//! within them. `cache/fuzz` looks for more with coverage; this test repeats the same damage
//! everywhere. `SEPTET_MUTATIONS` sets the number of inputs for each format.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use septet_cache::error::Position;
use septet_cache::trace::{ReadOptions, Reader, Record, Trace, TraceFormat, write_to};
use septet_cache::{CacheError, SeedTree};

const INPUTS: usize = 10_000;
const MAX_RECORDS: u64 = 5_000;

/// A small well-formed trace.
fn sample(format: TraceFormat) -> Vec<u8> {
    let text = match format {
        TraceFormat::Arc => "100 3 0 0\n5 1 0 1\n18446744073709551610 6 0 2\n",
        TraceFormat::Lirs => "5\r\n*\r\n17\n99\n\n5\n",
        TraceFormat::Address => "l 0x1fffff60 1\ns 0x20 12\nl 0xffffffffffffffff 3\n",
        TraceFormat::CloudPhysics | TraceFormat::Cache2k => "abcdefghijklmnop",
        TraceFormat::Corda | TraceFormat::Scarab => "abcdefghijklmnopqrstuvwx",
        _ => {
            let records = (0..20_u64).map(|index| {
                Ok(Record {
                    time: index * 3,
                    size: 1 << index,
                    pc: Some(index % 3),
                    ..Record::from_id(index % 7 * 0x0123_4567_89ab)
                })
            });
            let mut trace = Trace::from_records(records).expect("a short trace");
            trace.annotate();
            let mut bytes = Vec::new();
            write_to(&mut bytes, format, &trace).expect("the format is writable");
            return bytes;
        }
    };
    text.into()
}

/// Bytes that mean something to some format.
const PIECES: [&[u8]; 16] = [
    b"\n",
    b"\r\n",
    b" ",
    b",",
    b"\t",
    b"\"",
    b"-1",
    b"0x",
    b"18446744073709551616",
    b"9223372036854775807",
    b"4294967296",
    b"1e5",
    b"*",
    b"\xff\xfe",
    b"\0\0\0\0\0\0\0\x80",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
];

fn mutate(bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
    for _ in 0..rng.random_range(1..=6) {
        let at = rng.random_range(0..=bytes.len());
        let end = (at + rng.random_range(0..40)).min(bytes.len());
        match rng.random_range(0..7) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = PIECES[rng.random_range(0..PIECES.len())];
                drop(bytes.splice(at..at, piece.iter().copied()));
            }
            3 => {
                let piece = PIECES[rng.random_range(0..PIECES.len())];
                for (byte, &new) in bytes[at..].iter_mut().zip(piece) {
                    *byte = new;
                }
            }
            4 => {
                let copy = bytes[at..end].repeat(rng.random_range(1..60));
                drop(bytes.splice(at..at, copy));
            }
            5 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.random_range(0..8);
                }
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = rng.random();
                }
            }
        }
    }
}

/// Reads to the end or to an error, and checks that its position exists; whether all was read.
fn survives(format: TraceFormat, bytes: &[u8], options: &ReadOptions) -> bool {
    let mut records = 0;
    for record in Reader::new(bytes, format, options) {
        match record {
            Ok(_) => records += 1,
            Err(CacheError::TraceFormat { position, .. }) => {
                match position {
                    Position::Byte(offset) => assert!(offset <= bytes.len() as u64),
                    Position::Line(line) => {
                        let lines = bytes.split(|&byte| byte == b'\n').count() as u64;
                        assert!((1..=lines).contains(&line));
                    }
                    other => panic!("an unknown kind of position: {other}"),
                }
                return false;
            }
            Err(CacheError::TooLarge { .. }) => {
                assert_eq!(records, MAX_RECORDS);
                return false;
            }
            Err(error) => panic!("not an error of reading: {error}"),
        }
    }
    assert!(records <= MAX_RECORDS);
    true
}

#[test]
fn damaged_traces_end_in_records_or_errors() {
    let inputs = std::env::var("SEPTET_MUTATIONS").map_or(INPUTS, |text| {
        text.parse().expect("SEPTET_MUTATIONS is a number")
    });
    for format in TraceFormat::ALL {
        let sample = sample(format);
        let columns: [&str; 3] = ["", "obj-id-col=2,time-col=1", "obj-id-col=id,pc-col=pc"];
        let options = columns.map(|columns| {
            ReadOptions::default()
                .max_records(MAX_RECORDS)
                .csv(columns.parse().expect("legal columns"))
        });
        assert!(survives(format, &sample, &options[0]), "{format}");
        let mut rng = SeedTree::new(1).child(format.name()).rng();
        let mut whole = 0;
        for index in 0..inputs {
            let mut bytes = sample.clone();
            mutate(&mut bytes, &mut rng);
            let options = &options[index % options.len()];
            whole += usize::from(survives(format, &bytes, options));
        }
        // The damage is neither harmless nor hopeless.
        assert!(whole > 0 && whole < inputs, "{format}: {whole} of {inputs}");
    }
}
