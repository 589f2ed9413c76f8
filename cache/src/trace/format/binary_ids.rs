//! Sequences of binary integers.

use super::{Decode, decode_fixed};
use crate::error::CacheError;
use crate::trace::input::Input;
use crate::trace::record::Record;

/// Decodes integers of `N` bytes.
pub(super) struct Decoder<const N: usize>(pub(super) fn([u8; N]) -> u64);

impl<const N: usize> Decode for Decoder<N> {
    fn decode(&mut self, input: &mut Input<'_>, batch: &mut Vec<Record>) -> Result<(), CacheError> {
        decode_fixed(input, batch, |bytes: &[u8; N]| {
            Ok(Record::from_id((self.0)(*bytes)))
        })
    }
}

/// `CloudPhysics`: unsigned 32-bit, little-endian.
pub(super) fn u32_little(bytes: [u8; 4]) -> u64 {
    u64::from(u32::from_le_bytes(bytes))
}

/// cache2k: signed 32-bit, big-endian.
pub(super) fn i32_big(bytes: [u8; 4]) -> u64 {
    i64::from(i32::from_be_bytes(bytes)).cast_unsigned()
}

/// Corda and Scarab: signed 64-bit, big-endian.
pub(super) fn i64_big(bytes: [u8; 8]) -> u64 {
    u64::from_be_bytes(bytes)
}
