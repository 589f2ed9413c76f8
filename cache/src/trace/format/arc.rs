//! The block lists of the ARC paper.

use super::{BATCH, Decode};
use crate::error::CacheError;
use crate::trace::input::{Fault, Input};
use crate::trace::number;
use crate::trace::record::Record;

/// Expands the ranges of the lines; a range may exceed a batch.
#[derive(Default)]
pub(super) struct Decoder {
    /// The next block of the range.
    next: u64,
    /// Remaining blocks of the range.
    left: u64,
}

impl Decode for Decoder {
    fn decode(&mut self, input: &mut Input<'_>, batch: &mut Vec<Record>) -> Result<(), CacheError> {
        while batch.len() < BATCH {
            if self.left == 0 {
                let Some(line) = input.line()? else {
                    break;
                };
                if line.trim_ascii().is_empty() {
                    continue;
                }
                match range(line) {
                    Ok((start, count)) => (self.next, self.left) = (start, count),
                    Err(fault) => return Err(input.fault_on_line(fault)),
                }
            }
            let count = self.left.min((BATCH - batch.len()) as u64);
            batch.extend((0..count).map(|step| Record::from_id(self.next + step)));
            // Wraps only after block 2^64 - 1, where no blocks are left.
            self.next = self.next.wrapping_add(count);
            self.left -= count;
        }
        Ok(())
    }
}

/// The first block and the number of blocks of a line.
fn range(line: &[u8]) -> Result<(u64, u64), Fault> {
    let mut fields = line
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty())
        .map(number::decimal);
    let (Some(Some(start)), Some(Some(count)), Some(Some(_)), Some(Some(_)), None) = (
        fields.next(),
        fields.next(),
        fields.next(),
        fields.next(),
        fields.next(),
    ) else {
        return Err(Fault::new("four numbers: start count 0 sequence", line));
    };
    if count > 0 && start.checked_add(count - 1).is_none() {
        return Err(Fault::new("blocks numbered below 2^64", line));
    }
    Ok((start, count))
}
