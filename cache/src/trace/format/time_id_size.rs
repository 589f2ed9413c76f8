//! Time, id and size in columns of text.

use std::io::Write;

use crate::error::CacheError;
use crate::trace::columns::Trace;
use crate::trace::format::txt;
use crate::trace::input::Fault;
use crate::trace::number;
use crate::trace::record::Record;

pub(super) fn parse(line: &[u8]) -> Result<Option<Record>, Fault> {
    let mut fields = line
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty());
    let (Some(time), Some(id), Some(size)) = (fields.next(), fields.next(), fields.next()) else {
        return Err(Fault::new("time id size", line));
    };
    Ok(Some(Record {
        time: number::whole_part(time)?,
        size: number::size(size)?,
        ..Record::from_id(txt::id(id)?)
    }))
}

pub(super) fn encode(trace: &Trace, sink: &mut dyn Write) -> Result<(), CacheError> {
    for index in 0..trace.len() {
        let Record { time, id, size, .. } = trace.record_at(index);
        writeln!(sink, "{time} {id} {size}")?;
    }
    Ok(())
}
