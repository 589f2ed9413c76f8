//! Numbers in text traces, read from bytes without allocating.

use crate::trace::input::Fault;

/// Parses an unsigned decimal number; `None` if malformed or beyond 64 bits.
#[inline]
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    // Nineteen digits never overflow.
    // The fast path needs no overflow checks: 10^19 - 1 < 2^64.
    if digits.len() < 20 {
        for &digit in digits {
            let digit = digit.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            value = value * 10 + u64::from(digit);
        }
        return Some(value);
    }
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

/// Parses a hexadecimal number with prefix `0x` or `0X`; `None` if malformed or beyond 64 bits.
#[inline]
pub(super) fn hexadecimal(text: &[u8]) -> Option<u64> {
    let digits = text
        .strip_prefix(b"0x")
        .or_else(|| text.strip_prefix(b"0X"))?;
    if digits.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for &digit in digits {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return None,
        };
        // The next shift would drop bits.
        if value >> 60 != 0 {
            return None;
        }
        value = value << 4 | u64::from(digit);
    }
    Some(value)
}

/// Parses a time stamp, a nonnegative decimal number; its fraction is truncated.
#[inline]
pub(super) fn whole_part(text: &[u8]) -> Result<u64, Fault> {
    if let Some(time) = decimal(text) {
        return Ok(time);
    }
    let fault = || Fault::new("a time in 0..2^64", text);
    let (whole, fraction) = match memchr::memchr(b'.', text) {
        None => (text, &b""[..]),
        Some(point) => (&text[..point], &text[point + 1..]),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(fault());
    }
    decimal(whole).ok_or_else(fault)
}

/// Parses the size of an object.
#[inline]
pub(super) fn size(text: &[u8]) -> Result<u32, Fault> {
    decimal(text)
        .and_then(|size| u32::try_from(size).ok())
        .ok_or_else(|| Fault::new("a size in 0..2^32", text))
}

/// The 64-bit hash of a non-numeric id: FNV-1a, fixed across platforms and versions.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(OFFSET_BASIS, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_numbers_stop_at_64_bits() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(decimal(b"00000000000000000000000007"), Some(7));
        for wrong in [
            &b""[..],
            b"18446744073709551616",
            b"-1",
            b"1 2",
            b"1e5",
            b"\xff",
        ] {
            assert_eq!(decimal(wrong), None, "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn hexadecimal_numbers_stop_at_64_bits() {
        assert_eq!(hexadecimal(b"0xfF"), Some(255));
        assert_eq!(hexadecimal(b"0xffffffffffffffff"), Some(u64::MAX));
        for wrong in [&b"0x"[..], b"ff", b"0x1ffffffffffffffff", b"0xg"] {
            assert_eq!(hexadecimal(wrong), None, "{}", wrong.escape_ascii());
        }
    }

    /// The test vectors of the authors of the hash (<http://www.isthe.com/chongo/tech/comp/fnv>).
    #[test]
    fn hash_is_fnv_1a() {
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
