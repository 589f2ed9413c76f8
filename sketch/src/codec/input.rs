//! The bytes that a decoder takes apart, with the place in them.

use alloc::format;
use alloc::string::String;

use crate::error::SketchError;

/// Bytes that have not been taken yet.
#[derive(Debug)]
pub(super) struct Input<'a> {
    format: &'static str,
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(format: &'static str, bytes: &'a [u8]) -> Self {
        Self {
            format,
            bytes,
            offset: 0,
        }
    }

    /// Where the next byte stands.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// The bytes that are left.
    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.offset
    }

    /// The next `count` bytes, which hold `what`.
    pub(super) fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8], SketchError> {
        if self.remaining() < count {
            let expected = format!("{count} bytes of {what}");
            let found = format!("the end after {} bytes", self.remaining());
            return Err(self.fault_at(self.offset, expected, found));
        }
        let taken = &self.bytes[self.offset..self.offset + count];
        self.offset += count;
        Ok(taken)
    }

    /// The next `N` bytes, which hold `what`.
    pub(super) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], SketchError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self, what: &str) -> Result<u8, SketchError> {
        Ok(self.array::<1>(what)?[0])
    }

    pub(super) fn u16(&mut self, what: &str) -> Result<u16, SketchError> {
        Ok(u16::from_le_bytes(self.array(what)?))
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, SketchError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, SketchError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// Checks that nothing is left.
    pub(super) fn end(&self) -> Result<(), SketchError> {
        match self.remaining() {
            0 => Ok(()),
            more => Err(self.fault_at(self.offset, "the end", format!("{more} more bytes"))),
        }
    }

    /// The error for what stands at `offset`.
    pub(super) fn fault_at(
        &self,
        offset: usize,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> SketchError {
        SketchError::Decode {
            format: self.format,
            offset: offset as u64,
            expected: expected.into(),
            found: found.into(),
        }
    }
}
