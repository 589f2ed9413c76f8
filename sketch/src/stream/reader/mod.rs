//! Reading the keys of files.

mod array;
mod blocks;
mod capture;
mod flows;
mod input;
mod lines;
mod table;

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::compression::Compression;
use super::format::StreamFormat;
use crate::any_key::AnyKey;
use crate::error::SketchError;
use input::{Failure, Input};

/// A key of a stream, with the number of its occurrences in this location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The key.
    pub key: AnyKey,
    /// How often it occurs, 1 where the format holds no counts.
    pub count: u64,
}

impl Record {
    /// One occurrence.
    fn one(key: AnyKey) -> Self {
        Self { key, count: 1 }
    }
}

/// One format.
trait Decode {
    /// The next record, `None` at the end.
    fn next(&mut self) -> Result<Option<Record>, Failure>;

    /// What was passed over because it holds no key.
    fn skipped(&self) -> u64 {
        0
    }
}

/// The records of a stream: an iterator that ends behind the first error. Memory is bounded,
/// whatever the bytes.
///
/// ```
/// use septet_sketch::stream::{Records, StreamFormat};
///
/// let bytes = &b"word,count\nthe,3\nfox,1\n"[..];
/// # #[cfg(feature = "csv")] {
/// for record in Records::new(bytes, &"csv:word:count".parse()?)? {
///     let record = record?;
///     println!("{} {}", record.key, record.count);
/// }
/// # }
/// # Ok::<(), septet_sketch::SketchError>(())
/// ```
pub struct Records<'a> {
    decoder: Box<dyn Decode + Send + 'a>,
    format: &'static str,
    path: Option<PathBuf>,
    /// Bytes read from the file.
    position: Arc<AtomicU64>,
    ended: bool,
}

/// Counts the bytes that are read from a file.
struct Counted {
    file: File,
    position: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.position.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl<'a> Records<'a> {
    /// Reads a file. Those whose names end in `.gz` or `.zst` are decompressed (feature
    /// `compression`).
    ///
    /// # Errors
    ///
    /// [`SketchError::File`] when it cannot be opened, [`SketchError::Stream`] for a bad header,
    /// [`SketchError::NeedsFeature`] for a format that is not built in.
    pub fn open(path: &Path, format: &StreamFormat) -> Result<Records<'static>, SketchError> {
        let position = Arc::new(AtomicU64::new(0));
        let decoder = if let StreamFormat::Archive { keys, counts } = format {
            array::archive(path, keys.as_deref(), counts.as_deref())
        } else {
            let file = File::open(path).map_err(|source| SketchError::File {
                path: path.to_owned(),
                source,
            })?;
            let file = Counted {
                file,
                position: Arc::clone(&position),
            };
            let source = Compression::from_path(path).decoder(path, file)?;
            decoder(Input::new(source), format)
        };
        let mut records = Records {
            decoder: Box::new(lines::Nothing),
            format: format.name(),
            path: Some(path.to_owned()),
            position,
            ended: false,
        };
        match decoder {
            Ok(decoder) => records.decoder = decoder,
            Err(failure) => return Err(records.error(failure)),
        }
        Ok(records)
    }

    /// Reads uncompressed bytes.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); an archive ([`StreamFormat::Archive`]) must be a file.
    pub fn new(
        source: impl Read + Send + 'a,
        format: &StreamFormat,
    ) -> Result<Records<'a>, SketchError> {
        let mut records = Records {
            decoder: Box::new(lines::Nothing),
            format: format.name(),
            path: None,
            position: Arc::default(),
            ended: false,
        };
        match decoder(Input::new(Box::new(source)), format) {
            Ok(decoder) => records.decoder = decoder,
            Err(failure) => return Err(records.error(failure)),
        }
        Ok(records)
    }

    /// What was passed over so far because it holds no key: packets that are not TCP or UDP over
    /// IPv4.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.decoder.skipped()
    }

    /// Bytes that were read from the file, as they lie there: how far the work is. 0 for streams that
    /// are no files, and for archives.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    fn error(&self, failure: Failure) -> SketchError {
        match failure {
            Failure::Format {
                location,
                expected,
                found,
            } => SketchError::Stream {
                path: self.path.clone(),
                format: self.format,
                location,
                expected,
                found,
            },
            Failure::Read(source) => SketchError::File {
                path: self.path.clone().unwrap_or_else(|| "the stream".into()),
                source,
            },
            Failure::Other(error) => error,
        }
    }
}

/// A text file as lines and bytes. Those whose names end in `.gz` or `.zst` are decompressed (feature
/// `compression`).
///
/// # Errors
///
/// [`SketchError::File`] when it cannot be opened, [`SketchError::NeedsFeature`] for a compression
/// that is not built in.
pub fn open_text(path: &Path) -> Result<Box<dyn BufRead>, SketchError> {
    let file = File::open(path).map_err(|source| SketchError::File {
        path: path.to_owned(),
        source,
    })?;
    let source = Compression::from_path(path).decoder(path, file)?;
    Ok(Box::new(BufReader::with_capacity(64 * 1024, source)))
}

impl Iterator for Records<'_> {
    type Item = Result<Record, SketchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.decoder.next() {
            Ok(Some(record)) => Some(Ok(record)),
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(failure) => {
                self.ended = true;
                Some(Err(self.error(failure)))
            }
        }
    }
}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("format", &self.format)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn decoder<'a>(
    input: Input<'a>,
    format: &StreamFormat,
) -> Result<Box<dyn Decode + Send + 'a>, Failure> {
    match format {
        StreamFormat::Lines => Ok(Box::new(lines::Lines(input))),
        StreamFormat::Integers => Ok(Box::new(lines::Integers(input))),
        StreamFormat::Table {
            delimiter,
            key,
            count,
        } => table::decoder(input, *delimiter, key, count.as_ref()),
        StreamFormat::Flows => Ok(Box::new(flows::Flows(input))),
        StreamFormat::Blocks => Ok(Box::new(blocks::Blocks::new(input))),
        StreamFormat::Capture => capture::decoder(input),
        StreamFormat::Array => array::array(input),
        StreamFormat::Archive { .. } => Err(Failure::Other(SketchError::parameter(
            "format",
            "npz from a file, whose parts can be read in any order",
            "npz from a stream",
        ))),
    }
}
