//! A byte reader with offsets and rejection reasons in its errors.

use crate::aggregate::RejectReason;
use crate::error::RobustStatsError;
use crate::mechanism::BitVector;

/// A decoding error.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    pub(super) reason: RejectReason,
    pub(super) offset: usize,
    pub(super) expected: String,
    pub(super) found: String,
}

impl Fault {
    /// Converts to the crate's error for a format.
    pub(super) fn error(self, format: &'static str) -> RobustStatsError {
        RobustStatsError::Decode {
            format,
            offset: self.offset as u64,
            expected: self.expected,
            found: self.found,
        }
    }
}

/// The name of a kind of message.
fn name(kind: u8) -> String {
    let name = match kind {
        super::KIND_DESIGN_REPORT | super::KIND_VARIABLE_DESIGN_REPORT => {
            "a report of a hash design"
        }
        super::KIND_PROTOCOL => "a protocol",
        super::KIND_PROTOCOL_FILE => "a protocol file",
        super::KIND_COUNTS => "the counts of a mechanism",
        super::KIND_DESIGN_COUNTS => "the counts of a hash design",
        2..=7 => "a report of a mechanism",
        _ => return format!("the kind {kind}"),
    };
    name.to_owned()
}

/// A cursor over bytes.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Number of remaining bytes.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.offset
    }

    /// A fault at the current offset.
    pub(super) fn fault(
        &self,
        reason: RejectReason,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> Fault {
        Fault {
            reason,
            offset: self.offset,
            expected: expected.into(),
            found: found.to_string(),
        }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        if self.left() < count {
            return Err(self.fault(
                RejectReason::Truncated,
                format!("{count} bytes"),
                format!("end of input after {}", self.left()),
            ));
        }
        let taken = &self.bytes[self.offset..self.offset + count];
        self.offset += count;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// Reads the version and the kind, which must be the expected ones.
    pub(super) fn header(&mut self, kind: u8) -> Result<(), Fault> {
        self.header_of([kind]).map(|_| ())
    }

    /// Reads the version and the kind, which must be one of these.
    pub(super) fn header_of<const N: usize>(&mut self, kinds: [u8; N]) -> Result<u8, Fault> {
        let version = self.byte()?;
        if version != super::VERSION {
            self.offset -= 1;
            let expected = format!("version {}", super::VERSION);
            return Err(self.fault(RejectReason::Version, expected, version));
        }
        let found = self.byte()?;
        if !kinds.contains(&found) {
            self.offset -= 1;
            return Err(self.fault(RejectReason::Malformed, name(kinds[0]), name(found)));
        }
        Ok(found)
    }

    /// A variable-length integer in its shortest form.
    pub(super) fn number(&mut self) -> Result<u64, Fault> {
        let start = self.offset;
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let digit = u64::from(byte & 0x7f);
            // Ten bytes hold 70 bits: the last may contribute one. A trailing zero byte is not the shortest
            // form.
            let too_large = shift == 63 && digit > 1;
            let too_long = shift > 0 && byte == 0;
            if too_large || too_long {
                self.offset = start;
                break;
            }
            value |= digit << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        self.offset = start;
        Err(self.fault(
            RejectReason::Malformed,
            "a 64-bit integer in its shortest form",
            "another form",
        ))
    }

    /// A number of 32 bits.
    pub(super) fn number_32(&mut self) -> Result<u32, Fault> {
        let start = self.offset;
        let number = self.number()?;
        u32::try_from(number).map_err(|_| {
            self.offset = start;
            self.fault(RejectReason::Range, "a number below 2^32", number)
        })
    }

    /// A bit vector.
    pub(super) fn bits(&mut self) -> Result<BitVector, Fault> {
        let len = self.number()?;
        let bytes = usize::try_from(len.div_ceil(8)).unwrap_or(usize::MAX);
        let start = self.offset;
        let bytes = self.take(bytes)?;
        let words = bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        });
        let words = words.collect();
        let len = usize::try_from(len).expect("as many bits as there are bytes");
        BitVector::from_words(len, words).map_err(|_| Fault {
            reason: RejectReason::Malformed,
            offset: start,
            expected: format!("zeros past bit {len}"),
            found: "ones".to_owned(),
        })
    }

    /// Checks that no bytes remain.
    pub(super) fn end(&self) -> Result<(), Fault> {
        if self.left() == 0 {
            Ok(())
        } else {
            let found = format!("{} more bytes", self.left());
            Err(self.fault(RejectReason::Malformed, "end of input", found))
        }
    }
}
