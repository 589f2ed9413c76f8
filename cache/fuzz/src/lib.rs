//! What the fuzz targets share.
//!
//! In this folder's parent, `cargo run --manifest-path fuzz/Cargo.toml --bin seeds` makes inputs to
//! start from, and `cargo +nightly fuzz run lcs -- -rss_limit_mb=512 -max_len=16384` runs a target.

use std::path::Path;

use septet_cache::CacheError;
use septet_cache::error::Position;
use septet_cache::trace::{CsvOptions, ReadOptions, Reader, Trace, TraceFormat, write_to};

/// Maximum number of records that a target reads: a range of an ARC trace can have 2^64.
const MAX_RECORDS: u64 = 20_000;

/// Reads a trace. Errors have a position within the bytes; what is read without error is the same
/// after it was written and read again.
///
/// # Panics
/// When it is not so: that is what fuzzing looks for.
pub fn read(format: TraceFormat, bytes: &[u8], csv: CsvOptions) {
    let reader = Reader::new(bytes, format, &options().csv(csv));
    let trace = match Trace::from_records(reader) {
        Ok(trace) => trace,
        Err(CacheError::TraceFormat { position, .. }) => {
            match position {
                Position::Byte(offset) => assert!(offset <= bytes.len() as u64),
                Position::Line(line) => assert!(line >= 1 && line <= bytes.len() as u64),
                other => panic!("an unknown kind of position: {other}"),
            }
            return;
        }
        Err(CacheError::TooLarge { limit, .. }) => return assert_eq!(limit, MAX_RECORDS),
        Err(error) => panic!("not an error of reading: {error}"),
    };
    let mut written = Vec::new();
    if trace.is_empty() || write_to(&mut written, format, &trace).is_err() {
        return;
    }
    let again = Reader::new(&written[..], format, &options());
    let again = Trace::from_records(again).expect("what was written is well-formed");
    let ids = |trace: &Trace| -> Vec<u64> {
        let pages = trace.pages().iter();
        pages.map(|&page| trace.original_id(page)).collect()
    };
    assert_eq!(ids(&trace), ids(&again));
    if format == TraceFormat::Csv {
        assert_eq!(trace, again);
    }
}

/// Options with a limit on the number of records.
pub fn options() -> ReadOptions {
    ReadOptions::default().max_records(MAX_RECORDS)
}

/// Puts bytes into a file of this process with this extension.
///
/// # Panics
/// When the file cannot be written.
pub fn with_file(extension: &str, bytes: &[u8], read: impl FnOnce(&Path)) {
    let name = format!("septet-cache-fuzz-{}.{extension}", std::process::id());
    // In memory where the system has such a position.
    let shared = Path::new("/dev/shm");
    let folder = match shared.is_dir() {
        true => shared.to_owned(),
        false => std::env::temp_dir(),
    };
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("the temporary folder is writable");
    read(&path);
    let _ = std::fs::remove_file(&path);
}
