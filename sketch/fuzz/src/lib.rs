//! What the fuzz targets share.
//!
//! In this folder's parent, `cargo run --manifest-path fuzz/Cargo.toml --bin seeds` makes inputs to
//! start from, and `cargo +nightly fuzz run capture -- -rss_limit_mb=512 -max_len=4096` runs a target.

use std::path::Path;

use septet_sketch::SketchError;
use septet_sketch::codec::native::{Encoding, Header, Native, Options};
use septet_sketch::error::Position;
use septet_sketch::oracle::Oracle;
use septet_sketch::stream::{Records, StreamFormat};

/// The maximum number of records that a target reads: a block trace can request 2^64.
const MAX_RECORDS: usize = 20_000;

/// The memory limit of a decoded sketch.
pub const MEMORY: usize = 16 << 20;

/// Reads a stream. Errors have a position within the bytes.
///
/// # Panics
/// When it is not so: that is what fuzzing looks for.
pub fn read(format: &str, bytes: &[u8]) {
    let format: StreamFormat = format.parse().expect("a legal format");
    check(Records::new(bytes, &format), bytes.len() as u64);
}

/// Reads a file, which may be compressed: places lie in bytes that are not at hand.
///
/// # Panics
/// As [`read`].
pub fn read_file(extension: &str, format: &str, bytes: &[u8]) {
    let format: StreamFormat = format.parse().expect("a legal format");
    let name = format!("septet-sketch-fuzz-{}.{extension}", std::process::id());
    // In memory where the system has such a folder.
    let shared = Path::new("/dev/shm");
    let folder = match shared.is_dir() {
        true => shared.to_owned(),
        false => std::env::temp_dir(),
    };
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("the temporary folder is writable");
    check(Records::open(&path, &format), u64::MAX);
    let _ = std::fs::remove_file(&path);
}

fn check(records: Result<Records<'_>, SketchError>, length: u64) {
    let error = match records {
        Err(error) => Some(error),
        Ok(records) => records.take(MAX_RECORDS).find_map(Result::err),
    };
    match error {
        None | Some(SketchError::File { .. }) => {}
        Some(SketchError::Stream { position, .. }) => match position {
            Position::Byte(offset) => assert!(offset <= length),
            Position::Line(line) => assert!(line >= 1 && line <= length.saturating_add(1)),
            Position::Row(row) => assert!(row <= length),
        },
        Some(error) => panic!("not an error of reading: {error}"),
    }
}

/// The bytes with a checksum that is right.
pub fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(end) = bytes.len().checked_sub(4) {
        let sum = crc32c::crc32c(&bytes[..end]);
        bytes[end..].copy_from_slice(&sum.to_le_bytes());
    }
    bytes
}

/// Decodes a sketch behind its checksum. Errors have a position within the bytes; what is decoded is
/// the same after it was written and read again.
///
/// # Panics
/// When it is not so.
pub fn decode<S: Native>(bytes: &[u8]) {
    let bytes = sealed(bytes);
    match S::from_bytes_with_limit(&bytes, MEMORY) {
        Ok(sketch) => {
            let encoding = Header::read(&bytes).map_or(Encoding::Raw, |header| header.encoding);
            let options = Options::default().encoding(encoding);
            let written = sketch
                .to_bytes(&options)
                .expect("an encoding that is built in");
            let again = S::from_bytes_with_limit(&written, 2 * MEMORY).expect("what was written");
            assert_eq!(again.to_bytes(&options).expect("as before"), written);
        }
        Err(SketchError::Decode { offset, .. }) => assert!(offset <= bytes.len() as u64),
        Err(error) => panic!("not an error of decoding: {error}"),
    }
}

/// Expects even numbers to be frequent.
#[derive(Clone, Copy, Debug)]
pub struct Parity;

impl Oracle<u64> for Parity {
    fn score(&self, keys: &[&u64], scores: &mut [f32]) {
        for (key, score) in keys.iter().zip(scores) {
            *score = f32::from(key.is_multiple_of(2));
        }
    }

    fn model_bytes(&self) -> usize {
        0
    }

    fn fingerprint(&self) -> [u8; 16] {
        *b"even numbers  01"
    }
}
