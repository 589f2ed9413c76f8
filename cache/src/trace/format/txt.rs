//! Plain ids, one a line.

use std::io::Write;

use crate::error::CacheError;
use crate::trace::columns::Trace;
use crate::trace::input::Fault;
use crate::trace::number;
use crate::trace::record::Record;

pub(super) fn parse(line: &[u8]) -> Result<Option<Record>, Fault> {
    Ok(Some(Record::of(id(line)?)))
}

/// An id: the number that the text is, or else its hash.
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

/// Writes the ids, and nothing else.
pub(super) fn encode(trace: &Trace, sink: &mut dyn Write) -> Result<(), CacheError> {
    for &page in trace.pages() {
        writeln!(sink, "{}", trace.original_id(page))?;
    }
    Ok(())
}
