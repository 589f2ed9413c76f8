//! Input of the decoders, whose errors name the file and the format.

use std::io::Read;
use std::path::PathBuf;

use septet_core::io::{self, Position, PositionedReader, ReadError};

use crate::error::CacheError;

/// A decoding error without its position, which [`Input`] adds.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) expected: String,
    pub(super) found: String,
}

impl Fault {
    /// What was expected, and the bytes found instead.
    #[cold]
    pub(super) fn new(expected: impl Into<String>, found: &[u8]) -> Self {
        Self::described(expected, io::quote(found))
    }

    /// What was expected, and a description of what was found.
    #[cold]
    pub(super) fn described(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            found: found.into(),
        }
    }
}

/// A stream of bytes, read in blocks, with the names for its errors.
pub(super) struct Input<'a> {
    reader: PositionedReader<'a>,
    names: Names,
}

/// The names that errors begin with.
struct Names {
    format: &'static str,
    path: Option<PathBuf>,
}

impl Names {
    #[cold]
    fn unexpected(&self, position: Position, fault: Fault) -> CacheError {
        CacheError::TraceFormat {
            path: self.path.clone(),
            format: self.format,
            position,
            expected: fault.expected,
            found: fault.found,
        }
    }

    #[cold]
    fn unreadable(&self, source: std::io::Error) -> CacheError {
        match self.path.clone() {
            Some(path) => CacheError::File { path, source },
            None => CacheError::Stream(source),
        }
    }
}

impl<'a> Input<'a> {
    pub(super) fn new(
        source: impl Read + Send + 'a,
        format: &'static str,
        path: Option<PathBuf>,
    ) -> Self {
        Self {
            reader: PositionedReader::new(source),
            names: Names { format, path },
        }
    }

    /// The unconsumed bytes in the buffer.
    #[inline]
    pub(super) fn window(&self) -> &[u8] {
        self.reader.buffered()
    }

    /// Consumes bytes of the window.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        self.reader.consume(count);
    }

    /// Reads until the window holds `wanted` bytes (at most 128 KiB) or the stream ends. Returns
    /// whether it holds them.
    #[inline]
    pub(super) fn fill(&mut self, wanted: usize) -> Result<bool, CacheError> {
        let names = &self.names;
        self.reader
            .fill(wanted)
            .map_err(|source| names.unreadable(source))
    }

    /// The next line without its terminator (LF or CRLF); `None` at the end.
    #[inline]
    pub(super) fn line(&mut self) -> Result<Option<&[u8]>, CacheError> {
        let names = &self.names;
        self.reader.read_line().map_err(|error| match error {
            ReadError::Io(source) => names.unreadable(source),
            ReadError::Unexpected(unexpected) => names.unexpected(
                unexpected.position,
                Fault::described(unexpected.expected, unexpected.found),
            ),
        })
    }

    /// The error for a fault at `ahead` bytes into the window.
    #[cold]
    pub(super) fn fault_at(&self, ahead: usize, fault: Fault) -> CacheError {
        let offset = self.reader.offset() + ahead as u64;
        self.names.unexpected(Position::Byte(offset), fault)
    }

    /// The error for a fault in the last consumed line.
    #[cold]
    pub(super) fn fault_on_line(&self, fault: Fault) -> CacheError {
        let line = self.reader.line_number();
        self.names.unexpected(Position::Line(line), fault)
    }
}
