//! Reading keys from files.

mod array;
mod blocks;
mod capture;
mod failure;
mod flows;
mod lines;
mod table;

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use septet_core::io::{Decoder, PositionedReader};

use super::compression::compression_of;
use super::format::StreamFormat;
use crate::any_key::AnyKey;
use crate::error::SketchError;
use failure::Failure;

/// A key of a stream with a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The key.
    pub key: AnyKey,
    /// The count; 1 if the format has no counts.
    pub count: u64,
}

impl Record {
    /// One occurrence.
    fn one(key: AnyKey) -> Self {
        Self { key, count: 1 }
    }
}

/// A decoder for one format.
trait Decode {
    /// The next record, `None` at the end.
    fn next(&mut self) -> Result<Option<Record>, Failure>;

    /// The number of skipped items without a key.
    fn skipped(&self) -> u64 {
        0
    }
}

/// The records of a stream: an iterator that ends after the first error. Its memory is bounded for
/// any input.
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
    /// Reads a file. Compressed files (gzip, xz, zstd) are recognized by their content (feature
    /// `compression`).
    ///
    /// # Errors
    ///
    /// [`SketchError::File`] when it cannot be opened, [`SketchError::Stream`] for a bad header,
    /// [`SketchError::NeedsFeature`] for a format that is not built in.
    pub fn open(path: &Path, format: &StreamFormat) -> Result<Records<'static>, SketchError> {
        let position = Arc::new(AtomicU64::new(0));
        // Archives are read with random access, all other formats as a stream.
        let decoder = if let StreamFormat::Archive { keys, counts } = format {
            array::archive(path, keys.as_deref(), counts.as_deref())
        } else {
            let compression = compression_of(path)?;
            let source = File::open(path)
                .map(|file| Counted {
                    file,
                    position: Arc::clone(&position),
                })
                .and_then(|file| Decoder::new(file, compression))
                .map_err(SketchError::file(path))?;
            decoder(PositionedReader::new(source), format)
        };
        // Built before the decoder is known, so that its error is reported with the path and format.
        let mut records = Records {
            decoder: Box::new(lines::Empty),
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
            decoder: Box::new(lines::Empty),
            format: format.name(),
            path: None,
            position: Arc::default(),
            ended: false,
        };
        match decoder(PositionedReader::new(source), format) {
            Ok(decoder) => records.decoder = decoder,
            Err(failure) => return Err(records.error(failure)),
        }
        Ok(records)
    }

    /// The number of packets skipped so far because they are not TCP or UDP over IPv4.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.decoder.skipped()
    }

    /// The number of bytes read from the file, before decompression, for progress bars. 0 for streams
    /// that are not files, and for archives.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    fn error(&self, failure: Failure) -> SketchError {
        match failure {
            Failure::Unexpected(unexpected) => SketchError::Stream {
                path: self.path.clone(),
                format: self.format,
                position: unexpected.position,
                expected: unexpected.expected,
                found: unexpected.found,
            },
            Failure::Read(source) => SketchError::File {
                path: self.path.clone().unwrap_or_else(|| "the stream".into()),
                source,
            },
            Failure::Other(error) => error,
        }
    }
}

/// Opens a text file. Compressed files (gzip, xz, zstd) are recognized by their content (feature
/// `compression`).
///
/// # Errors
///
/// [`SketchError::File`] when it cannot be opened, [`SketchError::NeedsFeature`] for a compression
/// that is not built in.
pub fn open_text(path: &Path) -> Result<Box<dyn BufRead>, SketchError> {
    compression_of(path)?;
    let source = septet_core::io::open(path).map_err(SketchError::file(path))?;
    Ok(Box::new(BufReader::with_capacity(64 * 1024, source)))
}

impl Iterator for Records<'_> {
    type Item = Result<Record, SketchError>;

    fn next(&mut self) -> Option<Self::Item> {
        // A decoder is not called again after an error: it may be in the middle of a record.
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
    input: PositionedReader<'a>,
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
            "npz from a file, because archives need random access",
            "npz from a stream",
        ))),
    }
}
