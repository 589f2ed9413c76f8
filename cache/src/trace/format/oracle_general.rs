//! The oracleGeneral format of libCacheSim.

use super::{Decode, decode_fixed};
use crate::error::CacheError;
use crate::trace::input::{Fault, Input};
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

/// The bytes of a field that begins at `start`.
#[inline]
pub(super) fn field<const N: usize>(bytes: &[u8], start: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[start..start + N]);
    field
}

/// What the field of the next access in the request of this index says.
#[inline]
pub(super) fn next_access(value: i64, index: u64) -> Result<NextAccess, Fault> {
    if value == -1 || value == i64::MAX {
        return Ok(NextAccess::Never);
    }
    match u64::try_from(value) {
        Ok(next) if next > index => Ok(NextAccess::At(next)),
        _ => Err(Fault::described(
            format!("a next access after request {index}, or -1 for never"),
            value.to_string(),
        )),
    }
}
