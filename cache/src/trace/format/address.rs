//! Loads and stores of a program.

use crate::trace::input::Fault;
use crate::trace::number;
use crate::trace::record::Record;

pub(super) fn parse(line: &[u8]) -> Result<Option<Record>, Fault> {
    let mut fields = line
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty());
    // The last field, instructions since the previous access, is only checked for presence.
    match (
        fields.next(),
        fields.next().and_then(number::hexadecimal),
        fields.next().and_then(number::decimal),
        fields.next(),
    ) {
        (Some(b"l" | b"s"), Some(address), Some(_), None) => Ok(Some(Record::from_id(address))),
        _ => Err(Fault::new("l or s, 0xADDRESS and a number", line)),
    }
}
