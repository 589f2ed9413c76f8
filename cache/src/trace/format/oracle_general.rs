//! The oracleGeneral format of libCacheSim.

use super::{Decode, decode_fixed, field, next_access};
use crate::error::CacheError;
use crate::trace::input::Input;
use crate::trace::record::Record;

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
