//! Streams as they are named on the command line.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use septet_sketch::stream::{Record, Records, StreamFormat};
use septet_sketch::{AnyKey, SketchError};

use crate::Usage;

/// Records between two steps of the progress bar.
const STEP: u64 = 1 << 16;

/// One or more streams of one format.
#[derive(clap::Args)]
pub(crate) struct Input {
    /// Files of keys, read one after another; - is standard input.
    #[arg(required = true, value_name = "STREAM")]
    pub(crate) streams: Vec<PathBuf>,
    /// How keys lie in the files; by default what the name of the first file tells (.txt .lis .pcap
    /// .pcapng .npy .tuples13).
    #[arg(long, short, value_parser = parse_format)]
    pub(crate) format: Option<StreamFormat>,
}

pub(crate) fn parse_format(text: &str) -> Result<StreamFormat, SketchError> {
    text.parse()
}

/// The format that is asked for or that the name of the file tells.
pub(crate) fn format_of(path: &Path, asked: Option<&StreamFormat>) -> Result<StreamFormat> {
    let format = asked.cloned().or_else(|| StreamFormat::from_path(path));
    format.ok_or_else(|| {
        let path = path.display();
        Usage(format!(
            "the name of {path} does not tell the format of the stream; say it with --format"
        ))
        .into()
    })
}

pub(crate) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

impl Input {
    /// Calls `each` for every record; how many records and skipped packets there were.
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

    /// The counts of all keys, exactly, in the order of the keys.
    pub(crate) fn counts(&self, message: &'static str) -> Result<Vec<(AnyKey, u64)>> {
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

/// What was read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) records: u64,
    pub(crate) skipped: u64,
}

/// Reads one stream, with a progress bar when standard error is a terminal.
fn read_one(
    path: &Path,
    format: &StreamFormat,
    message: &'static str,
    read: &mut Tally,
    each: &mut impl FnMut(Record) -> Result<()>,
) -> Result<()> {
    let mut records = match is_standard(path) {
        true => Records::new(io::stdin(), format)?,
        false => Records::open(path, format)?,
    };
    let length = match is_standard(path) {
        true => None,
        false => std::fs::metadata(path).ok().map(|data| data.len()),
    };
    let bar = bar(message, length)?;
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
    bar.finish_and_clear();
    read.skipped += records.skipped();
    Ok(())
}

/// A bar over so many bytes, or a sign of life.
pub(crate) fn bar(message: &'static str, bytes: Option<u64>) -> Result<ProgressBar> {
    let (bar, template) = match bytes {
        Some(bytes) => (
            ProgressBar::new(bytes),
            "{msg} {wide_bar} {bytes}/{total_bytes} {eta:>4} left",
        ),
        None => (ProgressBar::new_spinner(), "{msg} {spinner} {elapsed}"),
    };
    let style = ProgressStyle::with_template(template).context("the progress bar's template")?;
    bar.enable_steady_tick(Duration::from_millis(200));
    Ok(bar.with_style(style).with_message(message))
}

/// The bytes of a sketch, from a file or standard input.
pub(crate) fn bytes_of(path: &Path) -> Result<Vec<u8>> {
    if is_standard(path) {
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
