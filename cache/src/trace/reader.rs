//! Streaming readers of traces.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use septet_core::io::{Compression, Decoder};

use crate::error::CacheError;
use crate::trace::format::{BATCH, Decode, TraceFormat};
use crate::trace::input::Input;
use crate::trace::options::ReadOptions;
use crate::trace::record::Record;

/// Opens a trace file. Gzip, zstd and xz are recognized by content and decompressed; a file with the
/// suffix `.gz`, `.zst` or `.xz` must be compressed.
///
/// ```no_run
/// use septet_cache::trace::{self, ReadOptions, Trace, TraceFormat};
///
/// let reader = trace::open("OLTP.lis".as_ref(), TraceFormat::Arc, &ReadOptions::default())?;
/// let trace = Trace::from_records(reader)?;
/// # Ok::<(), septet_cache::CacheError>(())
/// ```
///
/// # Errors
/// [`CacheError::File`] if the file cannot be opened; [`CacheError::MissingFeature`] if it is
/// compressed and the feature `compression` is disabled.
pub fn open(
    path: &Path,
    format: TraceFormat,
    options: &ReadOptions,
) -> Result<Reader<'static>, CacheError> {
    let file_error = |source| CacheError::File {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(file_error)?;
    let length = file.metadata().map_err(file_error)?.len();
    let progress = Progress {
        taken: Arc::new(AtomicU64::new(0)),
        length,
    };
    let source = Counted {
        source: file,
        count: Arc::clone(&progress.taken),
    };
    let compression = Compression::of_path(path);
    require_available(compression, path)?;
    let source = Decoder::new(source, compression).map_err(file_error)?;
    let mut reader = Reader::build(source, format, options, Some(path.to_owned()));
    reader.progress = Some(progress);
    Ok(reader)
}

/// Checks that the feature of a compression is enabled.
pub(super) fn require_available(compression: Compression, path: &Path) -> Result<(), CacheError> {
    if compression.is_available() {
        return Ok(());
    }
    Err(CacheError::MissingFeature {
        path: path.to_owned(),
        feature: "compression",
    })
}

/// An iterator over the records of a trace, read in blocks from a stream of uncompressed bytes.
///
/// It ends after the first error. Memory: about 256 kB.
///
/// ```
/// use septet_cache::trace::{ReadOptions, Reader, Trace, TraceFormat};
///
/// let lines = &b"100 3 0 0\n101 1 0 1\n"[..];
/// let reader = Reader::new(lines, TraceFormat::Arc, &ReadOptions::default());
/// let trace = Trace::from_records(reader)?;
/// assert_eq!(trace.pages(), [0, 1, 2, 1]);
/// # Ok::<(), septet_cache::CacheError>(())
/// ```
pub struct Reader<'a> {
    input: Input<'a>,
    decoder: Box<dyn Decode>,
    /// Decoded records; those before `taken` were returned.
    batch: Vec<Record>,
    taken: usize,
    /// Records until the limit is reached, and the limit.
    left: u64,
    limit: u64,
    /// The state after the batch.
    state: State,
    progress: Option<Progress>,
}

enum State {
    Reading,
    Failed(CacheError),
    Ended,
}

struct Progress {
    taken: Arc<AtomicU64>,
    length: u64,
}

impl<'a> Reader<'a> {
    /// A reader of the uncompressed bytes of a trace.
    pub fn new(source: impl Read + Send + 'a, format: TraceFormat, options: &ReadOptions) -> Self {
        Self::build(source, format, options, None)
    }

    pub(super) fn build(
        source: impl Read + Send + 'a,
        format: TraceFormat,
        options: &ReadOptions,
        path: Option<PathBuf>,
    ) -> Self {
        let limit = options.max_records.unwrap_or(u64::MAX);
        Self {
            input: Input::new(source, format.name(), path),
            decoder: format.decoder(options),
            batch: Vec::with_capacity(BATCH),
            taken: 0,
            left: limit,
            limit,
            state: State::Reading,
            progress: None,
        }
    }

    /// Bytes read and total bytes of the file, before decompression; `None` for a stream.
    #[must_use]
    pub fn progress(&self) -> Option<(u64, u64)> {
        self.progress
            .as_ref()
            .map(|progress| (progress.taken.load(Ordering::Relaxed), progress.length))
    }

    /// The error after the last batch, returned once.
    fn take_error(&mut self) -> Option<CacheError> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Failed(error) => Some(error),
            State::Reading | State::Ended => None,
        }
    }

    /// Decodes the next batch. It is then empty only at the end or before an error.
    fn refill(&mut self) {
        self.batch.clear();
        self.taken = 0;
        if !matches!(self.state, State::Reading) {
            return;
        }
        match self.decoder.decode(&mut self.input, &mut self.batch) {
            Err(error) => self.state = State::Failed(error),
            Ok(()) if self.batch.is_empty() => self.state = State::Ended,
            Ok(()) => {}
        }
        // The record after the last allowed one is an error; those before it are still returned.
        if self.batch.len() as u64 > self.left {
            self.batch.truncate(self.left as usize);
            self.state = State::Failed(CacheError::TooLarge {
                what: "requests",
                limit: self.limit,
            });
        }
        self.left -= self.batch.len() as u64;
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<Record, CacheError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.taken == self.batch.len() {
            self.refill();
            if self.batch.is_empty() {
                return self.take_error().map(Err);
            }
        }
        let record = self.batch[self.taken];
        self.taken += 1;
        Some(Ok(record))
    }
}

impl std::iter::FusedIterator for Reader<'_> {}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("progress", &self.progress())
            .finish_non_exhaustive()
    }
}

/// A reader that counts the bytes read.
struct Counted<R> {
    source: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
