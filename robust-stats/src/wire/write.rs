//! Serialization of integers and bit vectors.

use alloc::vec::Vec;

use crate::mechanism::BitVector;

/// Appends an integer in LEB128: seven bits per byte, lowest first, the top bit set on all but the last.
pub(super) fn number(out: &mut Vec<u8>, value: impl Into<u64>) {
    let mut value = value.into();
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends the number of bits, and the bits, eight per byte.
pub(super) fn bits(out: &mut Vec<u8>, bits: &BitVector) {
    number(out, bits.len() as u64);
    let bytes = bits.words().iter().flat_map(|word| word.to_le_bytes());
    out.extend(bytes.take(bits.len().div_ceil(8)));
}
