//! Input streams of the command line.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use septet_core::cli::Failure;
use septet_core::io::{Compression, Decoder, is_stdio};
use septet_core::telemetry::Progress;
use septet_sketch::stream::{Record, Records, StreamFormat};
use septet_sketch::{AnyKey, SketchError};

/// Records between two updates of the progress bar.
const STEP: u64 = 1 << 16;

/// One or more streams of one format.
#[derive(clap::Args)]
pub(crate) struct Input {
    /// Files of keys, read one after another; - is standard input.
    #[arg(required = true, value_name = "STREAM")]
    pub(crate) streams: Vec<PathBuf>,
    /// The format of the files [default: by the extension, .txt .lis .pcap .pcapng .npy .tuples13]
    #[arg(long, short, value_parser = parse_format)]
    pub(crate) format: Option<StreamFormat>,
}

pub(crate) fn parse_format(text: &str) -> Result<StreamFormat, SketchError> {
    text.parse()
}

/// The requested format, or that of the file name.
pub(crate) fn format_of(path: &Path, requested: Option<&StreamFormat>) -> Result<StreamFormat> {
    let format = requested.cloned().or_else(|| StreamFormat::from_path(path));
    format.ok_or_else(|| {
        let path = path.display();
        let message = format!("the format of {path} is unknown; set it with --format");
        Failure::usage(message).into()
    })
}

impl Input {
    /// Calls `each` for every record; returns the number of records and of skipped packets.
    pub(crate) fn for_each(
        &self,
        message: &'static str,
        mut each: impl FnMut(Record) -> Result<()>,
    ) -> Result<Tally> {
        let mut read = Tally::default();
        for path in &self.streams {
            let format = format_of(path, self.format.as_ref())?;
            read_one(path, &format, message, &mut read, &mut each)?;
        }
        Ok(read)
    }

    /// The exact counts of all keys, in the order of the keys.
    pub(crate) fn counts(&self, message: &'static str) -> Result<Vec<(AnyKey, u64)>> {
        // Exact counting needs memory for all distinct keys; sorting makes the result deterministic.
        let mut counts: HashMap<AnyKey, u64> = HashMap::new();
        self.for_each(message, |record| {
            let count = counts.entry(record.key).or_default();
            *count = count.saturating_add(record.count);
            Ok(())
        })?;
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable();
        Ok(counts)
    }
}

/// Numbers of records.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) records: u64,
    pub(crate) skipped: u64,
}

/// Reads one stream, with a progress bar if standard error is a terminal.
fn read_one(
    path: &Path,
    format: &StreamFormat,
    message: &'static str,
    read: &mut Tally,
    each: &mut impl FnMut(Record) -> Result<()>,
) -> Result<()> {
    let mut records = match is_stdio(path) {
        true => Records::new(stdin()?, format)?,
        false => Records::open(path, format)?,
    };
    // The bar counts compressed bytes, which are the ones whose total is known.
    let length = match is_stdio(path) {
        true => None,
        false => std::fs::metadata(path).ok().map(|data| data.len()),
    };
    let bar = Progress::bytes(message, length);
    let mut since = 0;
    while let Some(record) = records.next() {
        each(record?)?;
        read.records += 1;
        since += 1;
        if since == STEP {
            since = 0;
            bar.set_position(records.position());
        }
    }
    drop(bar);
    read.skipped += records.skipped();
    Ok(())
}

/// Standard input, decompressed as a file would be.
pub(crate) fn stdin() -> Result<Decoder<'static>> {
    let decoder = Decoder::new(io::stdin(), Compression::None);
    decoder.context("standard input cannot be read")
}

/// Reads a whole file or standard input.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    if is_stdio(path) {
        let mut bytes = Vec::new();
        io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .context("standard input cannot be read")?;
        return Ok(bytes);
    }
    std::fs::read(path).map_err(|source| {
        SketchError::File {
            path: path.to_owned(),
            source,
        }
        .into()
    })
}
