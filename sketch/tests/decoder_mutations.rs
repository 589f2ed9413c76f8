//! Damaged sketches and streams: whatever the bytes, a decoder ends with a value or with an error at
//! a position within them. `sketch/fuzz` looks for more with coverage; this test repeats the same damage
//! everywhere. `SEPTET_MUTATIONS` sets the number of inputs for each format.

#![cfg(all(
    feature = "compression",
    feature = "csv",
    feature = "npz",
    feature = "pcap"
))]

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;
use septet_sketch::codec::datasketches;
use septet_sketch::codec::native::{Encoding, Native, Options};
use septet_sketch::error::Position;
use septet_sketch::heavy_hitters::{MisraGries, SpaceSaving, TopK};
use septet_sketch::stream::{Records, StreamFormat};
use septet_sketch::{AnyKey, CountMin, CountSketch, FrequencySketch, SketchError};

#[expect(dead_code, reason = "other tests use the rest")]
mod samples;
use samples::{ETHERNET, Packet, npy, pcap, pcapng};

const INPUTS: usize = 3000;
const MAX_RECORDS: usize = 5000;

fn inputs() -> usize {
    std::env::var("SEPTET_MUTATIONS").map_or(INPUTS, |text| {
        text.parse().expect("SEPTET_MUTATIONS is a number")
    })
}

/// Bytes that mean something to some format.
const PIECES: [&[u8]; 14] = [
    b"\n",
    b"\r\n",
    b" ",
    b",",
    b"\"",
    b"-1",
    b"18446744073709551616",
    b"(9223372036854775807, 11)",
    b"\x0a\x0d\x0d\x0a",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0\0\0\0\x80",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\0\0\0\x10",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02",
];

fn mutate(bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
    for _ in 0..rng.random_range(1..=4) {
        let at = rng.random_range(0..=bytes.len());
        let end = (at + rng.random_range(0..40)).min(bytes.len());
        let piece = PIECES[rng.random_range(0..PIECES.len())];
        match rng.random_range(0..7) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, piece.iter().copied())),
            3 => {
                for (byte, &new) in bytes[at..].iter_mut().zip(piece) {
                    *byte = new;
                }
            }
            4 => {
                let copy = bytes[at..end].repeat(rng.random_range(1..40));
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
fn stream_survives(format: &StreamFormat, bytes: &[u8]) -> bool {
    let check = |error: SketchError| match error {
        SketchError::Stream { position, .. } => match position {
            Position::Byte(offset) => assert!(offset <= bytes.len() as u64),
            Position::Line(line) => {
                let lines = bytes.split(|&byte| byte == b'\n').count() as u64;
                assert!((1..=lines).contains(&line));
            }
            Position::Row(row) => assert!(row <= bytes.len() as u64),
        },
        error => panic!("not an error of reading: {error}"),
    };
    let records = match Records::new(bytes, format) {
        Ok(records) => records,
        Err(error) => {
            check(error);
            return false;
        }
    };
    for record in records.take(MAX_RECORDS) {
        if let Err(error) = record {
            check(error);
            return false;
        }
    }
    true
}

#[test]
fn damaged_streams_end_in_records_or_errors() {
    let packets = [
        Packet::tcp().bytes(),
        Packet::udp().vlan(3).bytes(),
        Packet::udp().ip(),
    ];
    let numbers: Vec<u8> = (0..40_u32).flat_map(u32::to_le_bytes).collect();
    let samples: [(&str, Vec<u8>); 11] = [
        ("lines", b"one\r\ntwo\n\nthree".to_vec()),
        ("integers", b"1\n22\n 333\n\n4444\n".to_vec()),
        (
            "csv:word:n",
            b"n,word\n1,\"a,\"\"b\"\n22,c\n3,\"d\ne\"\n".to_vec(),
        ),
        ("csv:2", b"a,b\nc,d\ne,f\n".to_vec()),
        ("tuples13", b"abcdefghijklmnopqrstuvwxyz".to_vec()),
        (
            "lis",
            b"100 3 0 0\n5 1 0 1\n18446744073709551610 6 0 2\n".to_vec(),
        ),
        ("pcap", pcap(ETHERNET, &packets, false)),
        ("pcap", pcap(101, &packets, true)),
        ("pcap", pcapng(ETHERNET, &packets)),
        ("npy", npy("<u4", "(40,)", &numbers)),
        ("npy", npy("|u1", "(7, 11)", &numbers[..77])),
    ];
    for (index, (name, sample)) in samples.iter().enumerate() {
        let format: StreamFormat = name.parse().expect("a legal format");
        assert!(stream_survives(&format, sample), "{name} {index}");
        let mut rng = SeedTree::new(1).child(name).index(index as u64).rng();
        let mut whole = 0;
        for _ in 0..inputs() {
            let mut bytes = sample.clone();
            mutate(&mut bytes, &mut rng);
            whole += usize::from(stream_survives(&format, &bytes));
        }
        // The damage is not hopeless; every line is legal where lines are keys.
        assert!(whole > 0, "{name} {index}: {whole}");
        assert!(
            whole < inputs() || *name == "lines",
            "{name} {index}: {whole}"
        );
    }
}

/// Decodes, and checks that the position of an error exists; what is decoded is written as it was read.
fn sketch_survives<S: Native>(bytes: &[u8], encoding: Encoding) -> bool {
    const MEMORY: usize = 16 << 20;
    match S::from_bytes_with_limit(bytes, MEMORY) {
        Ok(sketch) => {
            let options = Options::default().encoding(encoding);
            let again = sketch
                .to_bytes(&options)
                .expect("an encoding that is built in");
            S::from_bytes_with_limit(&again, 2 * MEMORY)
                .is_ok_and(|sketch| sketch.to_bytes(&options).expect("as before") == again)
        }
        Err(SketchError::Decode { offset, .. }) => {
            assert!(offset <= bytes.len() as u64);
            false
        }
        Err(error) => panic!("not an error of decoding: {error}"),
    }
}

fn damage<S: Native>(name: &str, sketch: &S) {
    for encoding in [Encoding::Raw, Encoding::Varint, Encoding::Zstd] {
        let sample = sketch
            .to_bytes(&Options::default().encoding(encoding))
            .expect("an encoding that is built in");
        assert!(sketch_survives::<S>(&sample, encoding), "{name}");
        let mut rng = SeedTree::new(2).child(name).rng();
        for index in 0..inputs() {
            let mut bytes = sample.clone();
            mutate(&mut bytes, &mut rng);
            // Behind the checksum, which would hide everything else.
            if index % 8 != 0 && bytes.len() >= 4 {
                let end = bytes.len() - 4;
                let sum = crc32c::crc32c(&bytes[..end]);
                bytes[end..].copy_from_slice(&sum.to_le_bytes());
            }
            sketch_survives::<S>(&bytes, encoding);
        }
    }
}

#[test]
fn damaged_sketches_end_in_sketches_or_errors() {
    let mut count_min = CountMin::<u32>::builder()
        .bytes(512)
        .build()
        .expect("small");
    let mut count_sketch = CountSketch::<i16>::builder()
        .bytes(512)
        .build()
        .expect("small");
    let mut gries = MisraGries::<AnyKey>::new(7, 0).expect("small");
    let mut saving = SpaceSaving::<String>::new(7, 0).expect("small");
    let mut top = TopK::<u64, _>::new(4, count_min.clone()).expect("small");
    let mut datasketches = datasketches::CountMin::<f64>::new(2, 9, 9001).expect("small");
    for key in 0..40_u64 {
        count_min.update_by(&key, key * 999);
        count_sketch.update(&key);
        gries.update(&match key % 2 {
            0 => AnyKey::Integer(key),
            _ => AnyKey::Bytes(key.to_string().into()),
        });
        saving.update(key.to_string().as_str());
        top.update(&key);
        datasketches.update(key, 0.5);
    }
    damage("count-min", &count_min);
    damage("count-sketch", &count_sketch);
    damage("misra-gries", &gries);
    damage("space-saving", &saving);
    damage("top-k", &top);
    damage("datasketches", &datasketches);

    let sample = datasketches.to_bytes();
    let mut rng = SeedTree::new(3).rng();
    for _ in 0..inputs() {
        let mut bytes = sample.clone();
        mutate(&mut bytes, &mut rng);
        match datasketches::CountMin::<f64>::from_bytes(&bytes, 9001) {
            // What is read is written byte for byte.
            Ok(sketch) => assert_eq!(sketch.to_bytes(), bytes),
            Err(SketchError::Decode { offset, .. }) => assert!(offset <= bytes.len() as u64),
            Err(error) => panic!("not an error of decoding: {error}"),
        }
    }
}
