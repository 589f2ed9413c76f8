//! The block traces of the ARC paper (N. Megiddo, D. S. Modha, FAST 2003).

use septet_core::io::PositionedReader;

use super::failure::{Failure, decimal};
use super::{Decode, Record};
use crate::any_key::AnyKey;

/// Expands ranges of blocks.
pub(super) struct Blocks<'a> {
    input: PositionedReader<'a>,
    /// The next block of the range.
    next: u64,
    /// Remaining blocks of the range.
    left: u64,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(input: PositionedReader<'a>) -> Self {
        Self {
            input,
            next: 0,
            left: 0,
        }
    }
}

impl Decode for Blocks<'_> {
    fn next(&mut self) -> Result<Option<Record>, Failure> {
        while self.left == 0 {
            let Some(line) = self.input.read_line()? else {
                return Ok(None);
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            let range = range(line);
            (self.next, self.left) =
                range.map_err(|expected| self.input.unexpected_line(expected))?;
        }
        let block = self.next;
        // Wraps only after the last block of the address space, when `left` becomes 0.
        self.next = block.wrapping_add(1);
        self.left -= 1;
        Ok(Some(Record::one(AnyKey::Integer(block))))
    }
}

/// The first block and the number of blocks of a line, or what was expected.
fn range(line: &[u8]) -> Result<(u64, u64), &'static str> {
    let mut fields = line
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty())
        .map(decimal);
    let (Some(Some(start)), Some(Some(count)), Some(Some(_)), Some(Some(_)), None) = (
        fields.next(),
        fields.next(),
        fields.next(),
        fields.next(),
        fields.next(),
    ) else {
        return Err("four numbers: start count 0 sequence");
    };
    if count > 0 && start.checked_add(count - 1).is_none() {
        return Err("blocks numbered below 2^64");
    }
    Ok((start, count))
}
