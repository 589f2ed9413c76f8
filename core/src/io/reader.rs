//! A reader that knows where it is.

use std::fmt;
use std::io::{self, Read};

use super::position::{Position, ReadError, Unexpected, quote};

/// Bytes read at once: they fit into the second-level cache.
const BLOCK: usize = 128 * 1024;

/// The length that a line may have unless it is set, in bytes without the line end.
pub const DEFAULT_MAX_LINE_LEN: usize = 64 * 1024;

/// Reads lines or binary records from a stream and counts lines and bytes for error messages.
///
/// Its memory is bounded by the longest line that it accepts, whatever the stream holds.
///
/// Text is read with [`read_line`](Self::read_line). Binary formats take records from the buffer
/// without copying:
///
/// ```
/// use septet_core::io::PositionedReader;
///
/// let mut reader = PositionedReader::new(&[1, 0, 2, 0, 3][..]);
/// let mut values = Vec::new();
/// while reader.fill(2)? {
///     values.push(u16::from_le_bytes([reader.buffered()[0], reader.buffered()[1]]));
///     reader.consume(2);
/// }
/// assert_eq!(values, [1, 2]);
/// let rest = reader.unexpected(0, "two bytes or the end");
/// assert_eq!(rest.to_string(), r#"byte 4: expected two bytes or the end, found "\x03""#);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct PositionedReader<'a> {
    source: Box<dyn Read + Send + 'a>,
    buffer: Vec<u8>,
    /// The bytes that were read and not consumed are `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Where the line that was read last is in the buffer.
    line: std::ops::Range<usize>,
    /// Offset of `buffer[start]` in the stream.
    offset: u64,
    /// Lines read.
    lines: u64,
    max_line_len: usize,
    ended: bool,
}

impl fmt::Debug for PositionedReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PositionedReader")
            .field("offset", &self.offset)
            .field("lines", &self.lines)
            .finish_non_exhaustive()
    }
}

impl<'a> PositionedReader<'a> {
    /// A reader of a stream, which need not be buffered.
    #[must_use]
    pub fn new(source: impl Read + Send + 'a) -> Self {
        Self {
            source: Box::new(source),
            buffer: vec![0; BLOCK],
            start: 0,
            end: 0,
            line: 0..0,
            offset: 0,
            lines: 0,
            max_line_len: DEFAULT_MAX_LINE_LEN,
            ended: false,
        }
    }

    /// Sets the longest line that is accepted, in bytes without the line end.
    #[must_use]
    pub fn max_line_len(mut self, len: usize) -> Self {
        self.max_line_len = len;
        // A line is returned as a slice of the buffer, so the buffer holds the longest one with its
        // end.
        let line_end = 2;
        if self.buffer.len() < len.saturating_add(line_end) {
            self.buffer.resize(len.saturating_add(line_end), 0);
        }
        self
    }

    /// The bytes that were read and not consumed.
    #[inline]
    #[must_use]
    pub fn buffered(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Takes bytes off the front of the buffer.
    ///
    /// # Panics
    ///
    /// When there are fewer.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.end - self.start, "more bytes than there are");
        self.start += count;
        self.offset += count as u64;
    }

    /// Reads until `count` bytes are buffered or the stream ends; whether they are there.
    ///
    /// # Errors
    ///
    /// The error of the stream.
    ///
    /// # Panics
    ///
    /// When `count` exceeds 128 KiB and no longer line was allowed: that much is buffered.
    #[inline]
    pub fn fill(&mut self, count: usize) -> io::Result<bool> {
        if self.end - self.start >= count {
            return Ok(true);
        }
        self.refill(count)
    }

    #[cold]
    fn refill(&mut self, count: usize) -> io::Result<bool> {
        assert!(count <= self.buffer.len(), "more bytes than are buffered");
        // Makes the space behind the buffered bytes contiguous.
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        // A read may return fewer bytes than there are, or be interrupted by a signal.
        while self.end < count && !self.ended {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.end >= count)
    }

    /// Reads into `target` until it is full or the stream ends; the number of bytes read.
    ///
    /// # Errors
    ///
    /// The error of the stream.
    pub fn read_full(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < target.len() && self.fill(1)? {
            let count = (self.end - self.start).min(target.len() - filled);
            target[filled..filled + count].copy_from_slice(&self.buffered()[..count]);
            self.consume(count);
            filled += count;
        }
        Ok(filled)
    }

    /// The next line without its line end (a line feed, perhaps after a carriage return); `None` at
    /// the end.
    ///
    /// # Errors
    ///
    /// The error of the stream, and [`ReadError::Unexpected`] for a line that is too long.
    #[inline]
    pub fn read_line(&mut self) -> Result<Option<&[u8]>, ReadError> {
        // Bytes are searched once, also when a line takes several reads.
        let mut searched = 0;
        let (len, taken) = loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffered()[searched..]) {
                break (searched + at, searched + at + 1);
            }
            searched = self.end - self.start;
            // One byte more than the longest line may be the carriage return.
            let too_long = searched > self.max_line_len + 1;
            if too_long || !self.fill(searched + 1)? {
                // At the end of the stream a last line may lack its line feed.
                if searched == 0 {
                    return Ok(None);
                }
                break (searched, searched);
            }
        };
        let (start, end) = (self.start, self.start + len);
        // A carriage return before the line feed belongs to the line end.
        let end = end - usize::from(len > 0 && self.buffer[end - 1] == b'\r');
        // Consumed before the check, so that the error names this line and reading can go on.
        self.consume(taken);
        self.lines += 1;
        self.line = start..end;
        if end - start > self.max_line_len {
            return Err(self.line_too_long());
        }
        Ok(Some(&self.buffer[start..end]))
    }

    #[cold]
    fn line_too_long(&self) -> ReadError {
        let expected = format!("a line of at most {} bytes", self.max_line_len);
        self.unexpected_in_line(expected, "a longer one").into()
    }

    /// The number of bytes consumed.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The number of the line that was read last, from 1.
    #[must_use]
    pub fn line_number(&self) -> u64 {
        self.lines
    }

    /// The error for the buffered bytes from `ahead` on.
    #[cold]
    #[must_use]
    pub fn unexpected(&self, ahead: usize, expected: impl Into<String>) -> Unexpected {
        let found = self.buffered().get(ahead..).unwrap_or_default();
        Unexpected {
            position: Position::Byte(self.offset + ahead as u64),
            expected: expected.into(),
            found: if found.is_empty() {
                "the end".to_owned()
            } else {
                quote(found)
            },
        }
    }

    /// The error for what `found` describes, `ahead` bytes into the buffer.
    #[cold]
    #[must_use]
    pub fn unexpected_at(
        &self,
        ahead: usize,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Unexpected {
        Unexpected {
            position: Position::Byte(self.offset + ahead as u64),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// The error for the line that was read last, quoting it. Valid until the next call that reads.
    #[cold]
    #[must_use]
    pub fn unexpected_line(&self, expected: impl Into<String>) -> Unexpected {
        let line = self.buffer.get(self.line.clone()).unwrap_or_default();
        self.unexpected_in_line(expected, quote(line))
    }

    /// The error for what `found` describes in the line that was read last.
    #[cold]
    #[must_use]
    pub fn unexpected_in_line(
        &self,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Unexpected {
        Unexpected {
            position: Position::Line(self.lines),
            expected: expected.into(),
            found: found.into(),
        }
    }
}

impl Read for PositionedReader<'_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if target.is_empty() || !self.fill(1)? {
            return Ok(0);
        }
        let count = (self.end - self.start).min(target.len());
        target[..count].copy_from_slice(&self.buffered()[..count]);
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives few bytes at a time, and is interrupted before each.
    struct Trickle<'a>(&'a [u8], usize, bool);

    impl Read for Trickle<'_> {
        fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
            self.2 = !self.2;
            if self.2 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let count = self.0.len().min(self.1).min(target.len());
            target[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn lines(mut reader: PositionedReader<'_>) -> Result<Vec<Vec<u8>>, ReadError> {
        let mut lines = Vec::new();
        while let Some(line) = reader.read_line()? {
            lines.push(line.to_owned());
        }
        assert_eq!(reader.line_number(), lines.len() as u64);
        Ok(lines)
    }

    proptest! {
        #[test]
        fn lines_are_those_of_a_split(
            text in prop::collection::vec(prop::sample::select(b"ab\r\n".to_vec()), 0..60),
            step in 1_usize..9,
        ) {
            let reader = PositionedReader::new(Trickle(&text, step, false));
            let mut expected: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
            if expected.last().is_some_and(|last| last.is_empty()) {
                expected.pop();
            }
            let expected = expected
                .into_iter()
                .map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_owned());
            prop_assert_eq!(lines(reader).unwrap(), expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_line_has_a_longest_length() {
        for len in [3, DEFAULT_MAX_LINE_LEN, 3 * BLOCK] {
            for end in ["", "\n", "\r\n", "\nab"] {
                let fits = format!("x\n{}{end}", "a".repeat(len));
                let reader = PositionedReader::new(fits.as_bytes()).max_line_len(len);
                assert_eq!(lines(reader).unwrap()[1].len(), len);
                let long = format!("x\n{}{end}", "a".repeat(len + 1));
                let reader = PositionedReader::new(long.as_bytes()).max_line_len(len);
                let error = lines(reader).unwrap_err().to_string();
                let expected =
                    format!("line 2: expected a line of at most {len} bytes, found a longer one");
                assert_eq!(error, expected);
            }
        }
    }

    #[test]
    fn errors_name_the_position() {
        let mut reader = PositionedReader::new(&b"1 2\nx\xff\nrest"[..]);
        reader.read_line().unwrap();
        reader.read_line().unwrap();
        let line = reader.unexpected_line("a number").to_string();
        assert_eq!(line, r#"line 2: expected a number, found "x\xff""#);
        assert_eq!(reader.offset(), 7);
        let byte = reader.unexpected(1, "nothing").to_string();
        assert_eq!(byte, r#"byte 8: expected nothing, found "est""#);
        let mut rest = [0; 9];
        assert_eq!(reader.read_full(&mut rest).unwrap(), 4);
        let end = reader.unexpected(0, "more").to_string();
        assert_eq!(end, "byte 11: expected more, found the end");
    }

    #[test]
    fn records_cross_blocks() {
        let bytes: Vec<u8> = (0..=250).cycle().take(2 * BLOCK + 100).collect();
        let mut reader = PositionedReader::new(&bytes[..]);
        let mut copied = Vec::new();
        while reader.fill(7).unwrap() {
            copied.extend_from_slice(&reader.buffered()[..7]);
            reader.consume(7);
        }
        assert_eq!(reader.offset(), copied.len() as u64);
        reader.read_to_end(&mut copied).unwrap();
        assert!(copied == bytes);
    }
}
