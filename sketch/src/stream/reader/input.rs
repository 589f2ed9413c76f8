//! The bytes that a format decodes, with the location in them.

use std::io::{self, BufRead, BufReader, Read};

use crate::error::{Location, SketchError};

/// The longest line that a text format accepts, in bytes. It bounds the memory of a reader.
pub(super) const MAX_LINE_BYTES: u64 = 64 * 1024;

/// Why a stream cannot be read on; the reader knows its format and its file.
#[derive(Debug)]
pub(super) enum Failure {
    Format {
        location: Location,
        expected: String,
        found: String,
    },
    Read(io::Error),
    Other(SketchError),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl Failure {
    /// What was expected at a location, and what was found in words.
    #[cold]
    pub(super) fn at(
        location: Location,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::Format {
            location,
            expected: expected.into(),
            found: found.into(),
        }
    }
}

/// Bytes in quotes, as a message shows them.
pub(super) fn shown(bytes: &[u8]) -> String {
    const SHOWN: usize = 40;
    let rest = if bytes.len() > SHOWN { "..." } else { "" };
    let shown = bytes[..bytes.len().min(SHOWN)].escape_ascii();
    format!("\"{shown}{rest}\"")
}

/// A stream of bytes.
pub(super) struct Input<'a> {
    source: BufReader<Box<dyn Read + Send + 'a>>,
    offset: u64,
    lines: u64,
    line: Vec<u8>,
}

impl<'a> Input<'a> {
    pub(super) fn new(source: Box<dyn Read + Send + 'a>) -> Self {
        Self {
            source: BufReader::with_capacity(128 * 1024, source),
            offset: 0,
            lines: 0,
            line: Vec::new(),
        }
    }

    /// Bytes taken so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes at hand, none only at the end.
    #[cfg(feature = "csv")]
    pub(super) fn window(&mut self) -> io::Result<&[u8]> {
        self.source.fill_buf()
    }

    /// Takes bytes off the front of the window.
    #[cfg(feature = "csv")]
    pub(super) fn consume(&mut self, count: usize) {
        self.source.consume(count);
        self.offset += count as u64;
    }

    /// Fills the buffer, as far as there are bytes; how many there were.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.source.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.offset += filled as u64;
        Ok(filled)
    }

    /// The next line without its line end (a line feed, perhaps after a carriage return), `None` at
    /// the end; and its number, from 1.
    pub(super) fn line(&mut self) -> Result<Option<(&[u8], Location)>, Failure> {
        self.line.clear();
        let taken = (&mut self.source)
            .take(MAX_LINE_BYTES + 2)
            .read_until(b'\n', &mut self.line)?;
        if taken == 0 {
            return Ok(None);
        }
        self.offset += taken as u64;
        self.lines += 1;
        let location = Location::Line(self.lines);
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() as u64 > MAX_LINE_BYTES {
            return Err(Failure::at(
                location,
                format!("a line of at most {MAX_LINE_BYTES} bytes"),
                "a longer one",
            ));
        }
        Ok(Some((line, location)))
    }
}

/// A decimal number without sign; `None` when it is not one or exceeds 64 bits.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| {
        value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}
