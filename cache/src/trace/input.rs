//! Buffered input of the decoders, with positions for errors.

use std::io::Read;
use std::path::PathBuf;

use crate::error::{CacheError, Place};

/// Buffer size in bytes: fits into the second-level cache and exceeds the maximum line.
const BLOCK: usize = 128 * 1024;

/// Maximum length of a line in bytes. It bounds the memory of a reader.
pub(super) const MAX_LINE_BYTES: usize = 64 * 1024;

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
        const SHOWN: usize = 40;
        let rest = if found.len() > SHOWN { "..." } else { "" };
        let shown = found[..found.len().min(SHOWN)].escape_ascii();
        Self {
            expected: expected.into(),
            found: format!("\"{shown}{rest}\""),
        }
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

/// A stream of bytes, read in blocks.
pub(super) struct Input<'a> {
    source: Box<dyn Read + Send + 'a>,
    format: &'static str,
    path: Option<PathBuf>,
    buffer: Vec<u8>,
    /// The unconsumed bytes are `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Offset in the stream of `buffer[start]`.
    offset: u64,
    /// Number of lines consumed.
    line: u64,
    ended: bool,
}

impl<'a> Input<'a> {
    pub(super) fn new(
        source: Box<dyn Read + Send + 'a>,
        format: &'static str,
        path: Option<PathBuf>,
    ) -> Self {
        Self {
            source,
            format,
            path,
            buffer: vec![0; BLOCK],
            start: 0,
            end: 0,
            offset: 0,
            line: 0,
            ended: false,
        }
    }

    /// The unconsumed bytes in the buffer.
    #[inline]
    pub(super) fn window(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Consumes bytes of the window.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.start);
        self.start += count;
        self.offset += count as u64;
    }

    /// Reads until the window holds `wanted` bytes (at most `BLOCK`) or the stream ends. Returns
    /// whether it holds them.
    #[inline]
    pub(super) fn fill(&mut self, wanted: usize) -> Result<bool, CacheError> {
        if self.end - self.start >= wanted {
            return Ok(true);
        }
        self.refill(wanted)
    }

    #[cold]
    fn refill(&mut self, wanted: usize) -> Result<bool, CacheError> {
        debug_assert!(wanted <= BLOCK);
        // Move the unconsumed rest to the front, then read behind it.
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < wanted && !self.ended {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(match self.path.clone() {
                        Some(path) => CacheError::File { path, source },
                        None => CacheError::Stream(source),
                    });
                }
            }
        }
        Ok(self.end >= wanted)
    }

    /// The next line without its terminator (LF or CRLF); `None` at the end.
    #[inline]
    pub(super) fn line(&mut self) -> Result<Option<&[u8]>, CacheError> {
        let mut searched = 0;
        let (length, taken) = loop {
            match memchr::memchr(b'\n', &self.window()[searched..]) {
                // A complete line: its length, and the bytes to consume including the line feed.
                Some(at) => break (searched + at, searched + at + 1),
                None => {
                    // No line feed yet: read more, without searching these bytes again. The limit applies
                    // before reading, so an endless line cannot fill the memory.
                    searched = self.end - self.start;
                    if searched > MAX_LINE_BYTES {
                        break (searched, searched);
                    }
                    if !self.fill(searched + 1)? {
                        if searched == 0 {
                            return Ok(None);
                        }
                        break (searched, searched);
                    }
                }
            }
        };
        self.line += 1;
        if length > MAX_LINE_BYTES {
            return Err(self.fault_on_line(Fault::described(
                format!("a line of at most {MAX_LINE_BYTES} bytes"),
                "a longer one",
            )));
        }
        let start = self.start;
        self.consume(taken);
        let line = &self.buffer[start..start + length];
        Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)))
    }

    /// The error for a fault at `ahead` bytes into the window.
    #[cold]
    pub(super) fn fault_at(&self, ahead: usize, fault: Fault) -> CacheError {
        self.error(Place::Byte(self.offset + ahead as u64), fault)
    }

    /// The error for a fault in the last consumed line.
    #[cold]
    pub(super) fn fault_on_line(&self, fault: Fault) -> CacheError {
        self.error(Place::Line(self.line), fault)
    }

    fn error(&self, place: Place, fault: Fault) -> CacheError {
        CacheError::TraceFormat {
            path: self.path.clone(),
            format: self.format,
            place,
            expected: fault.expected,
            found: fault.found,
        }
    }
}
