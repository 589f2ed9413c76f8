//! One id per line.

use std::io::Write;

use crate::error::CacheError;
use crate::trace::columns::Trace;
use crate::trace::input::Fault;
use crate::trace::number;
use crate::trace::record::Record;

pub(super) fn parse(line: &[u8]) -> Result<Option<Record>, Fault> {
    Ok(Some(Record::from_id(id(line)?)))
}

/// An id: the number, or the hash of text that is not a number.
#[inline]
pub(super) fn id(text: &[u8]) -> Result<u64, Fault> {
    number::decimal(text).map_or_else(|| named(text), Ok)
}

fn named(text: &[u8]) -> Result<u64, Fault> {
    if let Some(id) = number::hexadecimal(text) {
        return Ok(id);
    }
    match std::str::from_utf8(text) {
        Ok(text) => Ok(number::hash(text.as_bytes())),
        Err(_) => Err(Fault::new("an id in UTF-8", text)),
    }
}

/// Writes the ids only.
pub(super) fn encode(trace: &Trace, sink: &mut dyn Write) -> Result<(), CacheError> {
    for &page in trace.pages() {
        writeln!(sink, "{}", trace.original_id(page))?;
    }
    Ok(())
}
