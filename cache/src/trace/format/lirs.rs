//! The block lists of the LIRS paper.

use crate::trace::input::Fault;
use crate::trace::number;
use crate::trace::record::Record;

pub(super) fn parse(line: &[u8]) -> Result<Option<Record>, Fault> {
    if line == b"*" {
        return Ok(None);
    }
    number::decimal(line)
        .map(|id| Some(Record::from_id(id)))
        .ok_or_else(|| Fault::new("a block number or the mark \"*\"", line))
}
