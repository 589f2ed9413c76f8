//! Encoding of sequences of integers.

use super::{Envelope, Input, SketchError};

/// Writes a LEB128 varint: seven bits per byte, the lowest first; the highest bit marks continuation.
pub(crate) fn push_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// The encoding of integers of a given size and signedness.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    /// Bytes in memory: 1, 2, 4 or 8.
    pub(crate) size: usize,
    pub(crate) signed: bool,
}

impl Numbers {
    /// Writes a number; signed ones are passed as the bits of an `i64`.
    #[inline]
    pub(crate) fn push(self, bytes: &mut Vec<u8>, raw: bool, number: u64) {
        if raw {
            bytes.extend(&number.to_le_bytes()[..self.size]);
        } else if self.signed {
            // Zigzag, so that small negative numbers take few bytes: 0, -1, 1, -2, ..
            let number = number.cast_signed();
            push_varint(bytes, ((number << 1) ^ (number >> 63)).cast_unsigned());
        } else {
            push_varint(bytes, number);
        }
    }

    /// Reads exactly `count` numbers; signed ones as the bits of an `i64`.
    pub(crate) fn read(
        self,
        envelope: &Envelope<'_>,
        count: usize,
    ) -> Result<Vec<u64>, SketchError> {
        let mut input = envelope.content();
        let mut numbers = Vec::new();
        if envelope.is_raw() {
            let length = count.saturating_mul(self.size);
            let bytes = input.take(length, "counters")?;
            numbers.reserve_exact(count);
            numbers.extend(bytes.chunks_exact(self.size).map(|bytes| self.widen(bytes)));
        } else {
            // Every number takes at least one byte, so `count` is checked before memory is allocated.
            if input.remaining() < count {
                return Err(input.fault_at(
                    0,
                    format!("{count} numbers"),
                    format!("{} bytes", input.remaining()),
                ));
            }
            numbers.reserve_exact(count);
            for _ in 0..count {
                let at = input.offset();
                let number = varint(&mut input)?;
                let number = match self.signed {
                    true => ((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
                        .cast_unsigned(),
                    false => number,
                };
                if !self.holds(number) {
                    let expected = format!("a number of {} bits", 8 * self.size);
                    return Err(input.fault_at(at, expected, format!("{number}")));
                }
                numbers.push(number);
            }
        }
        input.end()?;
        Ok(numbers)
    }

    /// Zero- or sign-extends a number of this size.
    fn widen(self, bytes: &[u8]) -> u64 {
        let mut wide = [0; 8];
        wide[..self.size].copy_from_slice(bytes);
        let number = u64::from_le_bytes(wide);
        let unused = 64 - 8 * self.size as u32;
        if self.signed {
            ((number.cast_signed() << unused) >> unused).cast_unsigned()
        } else {
            number
        }
    }

    /// Whether a number fits into this size.
    fn holds(self, number: u64) -> bool {
        self.widen(&number.to_le_bytes()[..self.size]) == number
    }
}

/// Reads a varint, which must be in its shortest form, so that every number has one encoding.
pub(crate) fn varint(input: &mut Input<'_>) -> Result<u64, SketchError> {
    let at = input.offset();
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = input.u8("a number")?;
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has one bit left, and a last byte of zero is not the shortest form.
        if (shift == 63 && byte > 1) || (shift > 0 && byte == 0) {
            break;
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(input.fault_at(at, "a number below 2^64 in its shortest form", "another"))
}
