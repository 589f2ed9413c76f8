//! The block traces of the ARC paper (N. Megiddo, D. S. Modha, FAST 2003).

use super::input::{Failure, Input, decimal, shown};
use super::{Decode, Record};
use crate::any_key::AnyKey;

/// Expands one range of blocks after another.
pub(super) struct Blocks<'a> {
    input: Input<'a>,
    /// The next block of the range.
    next: u64,
    /// Blocks of the range that are still to come.
    left: u64,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(input: Input<'a>) -> Self {
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
            let Some((line, location)) = self.input.line()? else {
                return Ok(None);
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            (self.next, self.left) =
                range(line).map_err(|expected| Failure::at(location, expected, shown(line)))?;
        }
        let block = self.next;
        // Wraps only behind the last block there is, where nothing is left.
        self.next = block.wrapping_add(1);
        self.left -= 1;
        Ok(Some(Record::one(AnyKey::Integer(block))))
    }
}

/// The first block and the number of blocks of a line, or what was expected of it.
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
