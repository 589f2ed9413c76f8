//! A cursor over the bytes of a decoder, which knows its offset for error messages.

use alloc::format;
use alloc::string::String;

use crate::error::SketchError;

/// A cursor over bytes.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    format: &'static str,
    bytes: &'a [u8],
    offset: usize,
    /// The offset of the first byte in the file.
    base: usize,
    /// 1 if a byte here is a byte of the file, 0 if the bytes are compressed there.
    step: usize,
}

impl<'a> Input<'a> {
    pub(crate) fn new(format: &'static str, bytes: &'a [u8]) -> Self {
        Self::at(format, bytes, 0, 1)
    }

    /// Bytes that begin at offset `base` of a file. `step` is 1, or 0 if they are compressed there, so
    /// that all errors are reported at `base`.
    pub(crate) fn at(format: &'static str, bytes: &'a [u8], base: usize, step: usize) -> Self {
        Self {
            format,
            bytes,
            offset: 0,
            base,
            step,
        }
    }

    /// The next `count` bytes, which contain `what`, as an input of their own.
    #[cfg(feature = "std")]
    pub(crate) fn part(&mut self, count: usize, what: &str) -> Result<Self, SketchError> {
        let base = self.base + self.offset * self.step;
        let bytes = self.take(count, what)?;
        Ok(Self::at(self.format, bytes, base, self.step))
    }

    /// The offset of the next byte.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// The number of remaining bytes.
    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.offset
    }

    /// The next `count` bytes, which contain `what`.
    pub(crate) fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8], SketchError> {
        // Checked before the addition below, which therefore cannot overflow.
        if self.remaining() < count {
            let expected = format!("{count} bytes of {what}");
            let found = format!("the end after {} bytes", self.remaining());
            return Err(self.fault_at(self.offset, expected, found));
        }
        let taken = &self.bytes[self.offset..self.offset + count];
        self.offset += count;
        Ok(taken)
    }

    /// The next `N` bytes, which contain `what`.
    pub(crate) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], SketchError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self, what: &str) -> Result<u8, SketchError> {
        Ok(self.array::<1>(what)?[0])
    }

    pub(crate) fn u16(&mut self, what: &str) -> Result<u16, SketchError> {
        Ok(u16::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn u32(&mut self, what: &str) -> Result<u32, SketchError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn u64(&mut self, what: &str) -> Result<u64, SketchError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// Fails if bytes remain.
    pub(crate) fn end(&self) -> Result<(), SketchError> {
        match self.remaining() {
            0 => Ok(()),
            more => Err(self.fault_at(self.offset, "the end", format!("{more} more bytes"))),
        }
    }

    /// The error for the bytes at `offset`.
    pub(crate) fn fault_at(
        &self,
        offset: usize,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> SketchError {
        SketchError::Decode {
            format: self.format,
            offset: (self.base + offset * self.step) as u64,
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// The error for the byte before the current offset.
    #[cfg(feature = "std")]
    pub(crate) fn fault_before(&self, expected: &str, found: u8) -> SketchError {
        self.fault_at(self.offset.saturating_sub(1), expected, format!("{found}"))
    }

    /// Converts the error of a file that is embedded at `offset`.
    #[cfg(feature = "std")]
    pub(crate) fn inside(&self, offset: usize, error: SketchError) -> SketchError {
        // Offsets of the inner file count from its own start. If the outer payload is compressed, only
        // its start is known.
        match error {
            SketchError::Decode {
                format,
                offset: inner,
                expected,
                found,
            } => SketchError::Decode {
                format,
                offset: (self.base + offset * self.step) as u64 + inner * self.step as u64,
                expected,
                found,
            },
            other => other,
        }
    }

    /// The error for the bytes at `offset` of the file.
    #[cfg(feature = "std")]
    pub(crate) fn fault_at_absolute(
        &self,
        offset: usize,
        expected: String,
        found: String,
    ) -> SketchError {
        SketchError::Decode {
            format: self.format,
            offset: offset as u64,
            expected,
            found,
        }
    }
}
