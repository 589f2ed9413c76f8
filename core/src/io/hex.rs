//! Bytes in hexadecimal.

use std::fmt::Write as _;

/// Lower-case hexadecimal, two digits a byte.
///
/// ```
/// assert_eq!(septet_core::io::hex::encode(&[0x0f, 0xa0]), "0fa0");
/// ```
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// `N` bytes from `2 * N` hexadecimal digits of either case; `None` for any other text.
///
/// ```
/// assert_eq!(septet_core::io::hex::decode("0fA0"), Some([0x0f, 0xa0]));
/// assert_eq!(septet_core::io::hex::decode::<2>("0fa"), None);
/// ```
#[must_use]
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let mut bytes = [0; N];
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = u8::try_from(digit(high)? << 4 | digit(low)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_and_other_texts_are_refused() {
        let bytes: [u8; 256] = std::array::from_fn(|byte| byte as u8);
        assert_eq!(decode(&encode(&bytes)), Some(bytes));
        assert_eq!(decode("ABcd"), Some([0xab, 0xcd]));
        for text in ["", "a", "abc", "abcde", "abcg", "+bcd", "ab d", "\u{e9}bc"] {
            assert_eq!(decode::<2>(text), None, "{text}");
        }
    }
}
