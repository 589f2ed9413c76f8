//! Memory accesses with the instruction that made them.

use std::io::Write;

use crate::error::CacheError;
use crate::trace::columns::Trace;
use crate::trace::input::Fault;
use crate::trace::number;
use crate::trace::record::Record;

pub(super) fn parse(line: &[u8]) -> Result<Option<Record>, Fault> {
    let fields = memchr::memchr(b',', line).and_then(|comma| {
        let pc = number::hexadecimal(line[..comma].trim_ascii_end())?;
        let address = number::hexadecimal(line[comma + 1..].trim_ascii_start())?;
        Some((pc, address))
    });
    let Some((pc, address)) = fields else {
        return Err(Fault::new("0xPC,0xADDRESS", line));
    };
    Ok(Some(Record {
        pc: Some(pc),
        ..Record::from_id(address)
    }))
}

/// Writes the program counters, 0 when the trace has none, and the ids as addresses.
pub(super) fn encode(trace: &Trace, sink: &mut dyn Write) -> Result<(), CacheError> {
    for index in 0..trace.len() {
        let record = trace.record_at(index);
        writeln!(
            sink,
            "{:#x},{:#x}",
            record.pc.unwrap_or_default(),
            record.id
        )?;
    }
    Ok(())
}
