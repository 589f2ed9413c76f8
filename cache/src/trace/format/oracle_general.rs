//! The oracleGeneral format of libCacheSim.

use std::io::Write;

use super::{Decode, decode_fixed, field, fits, next_access};
use crate::error::CacheError;
use crate::trace::columns::Trace;
use crate::trace::input::Input;
use crate::trace::record::{NextAccess, Record};

/// Bytes of a record.
const LENGTH: usize = 24;

#[derive(Default)]
pub(super) struct Decoder {
    /// Index of the next request.
    index: u64,
}

impl Decode for Decoder {
    fn decode(&mut self, input: &mut Input<'_>, batch: &mut Vec<Record>) -> Result<(), CacheError> {
        decode_fixed(input, batch, |bytes: &[u8; LENGTH]| {
            let record = Record {
                time: u64::from(u32::from_le_bytes(field(bytes, 0))),
                id: u64::from_le_bytes(field(bytes, 4)),
                size: u32::from_le_bytes(field(bytes, 12)),
                next: next_access(i64::from_le_bytes(field(bytes, 16)), self.index)?,
                pc: None,
            };
            self.index += 1;
            Ok(record)
        })
    }
}

/// Writes an annotated trace.
pub(super) fn encode(trace: &Trace, sink: &mut dyn Write) -> Result<(), CacheError> {
    encode_records("oracleGeneral", trace, -1, sink)
}

/// Writes the records of an annotated trace, with `never` for pages that are not requested again.
pub(super) fn encode_records(
    format: &'static str,
    trace: &Trace,
    never: i64,
    sink: &mut dyn Write,
) -> Result<(), CacheError> {
    for index in 0..trace.len() {
        let record = trace.record_at(index);
        let time: u32 = fits(format, index, "time", record.time)?;
        let next = match record.next {
            // Request numbers are below 2^32.
            NextAccess::At(number) => number as i64,
            NextAccess::Unknown | NextAccess::Never => never,
        };
        let mut bytes = [0; LENGTH];
        bytes[..4].copy_from_slice(&time.to_le_bytes());
        bytes[4..12].copy_from_slice(&record.id.to_le_bytes());
        bytes[12..16].copy_from_slice(&record.size.to_le_bytes());
        bytes[16..].copy_from_slice(&next.to_le_bytes());
        sink.write_all(&bytes)?;
    }
    Ok(())
}
