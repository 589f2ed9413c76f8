//! Keys whose type is known only at run time, such as those of files.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::error::SketchError;
use crate::key::{FlowKey, Key};

/// The type of the keys of a stream or a sketch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum KeyType {
    /// Unsigned integers.
    Integer,
    /// Bytes; text is its UTF-8.
    Bytes,
    /// Network flows.
    Flow,
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integer => "integers",
            Self::Bytes => "bytes",
            Self::Flow => "flows",
        })
    }
}

/// A key of any type that files support.
///
/// It has the hash of the key inside: `AnyKey::Integer(7)` is counted as `7_u64`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AnyKey {
    /// An integer.
    Integer(u64),
    /// Bytes; text is its UTF-8.
    Bytes(Vec<u8>),
    /// A network flow.
    Flow(FlowKey),
}

impl Key for AnyKey {
    #[inline]
    fn hash64(&self, seed: u64) -> u64 {
        match self {
            Self::Integer(integer) => integer.hash64(seed),
            Self::Bytes(bytes) => bytes.hash64(seed),
            Self::Flow(flow) => flow.hash64(seed),
        }
    }
}

impl AnyKey {
    /// The type of this key.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        match self {
            Self::Integer(_) => KeyType::Integer,
            Self::Bytes(_) => KeyType::Bytes,
            Self::Flow(_) => KeyType::Flow,
        }
    }

    /// Parses a key: an integer in decimal, a flow as `10.1.2.3:4567 > 192.168.0.1:443 6`, bytes
    /// as they are.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] for text that is not a key of this type.
    pub fn parse(key_type: KeyType, text: &str) -> Result<Self, SketchError> {
        let wrong = |expected: &str| SketchError::parameter("key", expected, format!("{text:?}"));
        match key_type {
            KeyType::Integer => text
                .parse()
                .map(Self::Integer)
                .map_err(|_| wrong("an integer from 0 to 18446744073709551615")),
            KeyType::Bytes => Ok(Self::Bytes(text.as_bytes().to_vec())),
            KeyType::Flow => text.parse().map(Self::Flow),
        }
    }
}

impl fmt::Display for AnyKey {
    /// Control characters and bytes that are not UTF-8 are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(integer) => write!(f, "{integer}"),
            Self::Flow(flow) => write!(f, "{flow}"),
            Self::Bytes(bytes) => {
                // Valid UTF-8 is printed, except control characters, which could confuse a terminal.
                for chunk in bytes.utf8_chunks() {
                    for c in chunk.valid().chars() {
                        if c.is_control() {
                            write!(f, "{}", c.escape_default())?;
                        } else {
                            write!(f, "{c}")?;
                        }
                    }
                    write!(f, "{}", chunk.invalid().escape_ascii())?;
                }
                Ok(())
            }
        }
    }
}

impl FromStr for FlowKey {
    type Err = SketchError;

    /// Parses the output of [`Display`](fmt::Display): `10.1.2.3:4567 > 192.168.0.1:443 6`.
    fn from_str(text: &str) -> Result<Self, SketchError> {
        // `source > destination protocol`; addresses contain neither `>` nor spaces.
        let parse = || {
            let (source, rest) = text.split_once('>')?;
            let (destination, protocol) = rest.trim().split_once(' ')?;
            Some(Self {
                source: source.trim().parse().ok()?,
                destination: destination.parse().ok()?,
                protocol: protocol.trim().parse().ok()?,
            })
        };
        parse().ok_or_else(|| {
            let expected = String::from("a flow such as \"10.1.2.3:4567 > 192.168.0.1:443 6\"");
            SketchError::parameter("key", expected, format!("{text:?}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn keys_survive_their_text() {
        for (key_type, text) in [
            (KeyType::Integer, "18446744073709551615"),
            (KeyType::Bytes, "naïve words"),
            (KeyType::Flow, "10.1.2.3:4567 > 192.168.0.1:443 6"),
        ] {
            let key = AnyKey::parse(key_type, text).expect("a key");
            assert_eq!((key.key_type(), key.to_string().as_str()), (key_type, text));
        }
        assert!(AnyKey::parse(KeyType::Integer, "-1").is_err());
        for flow in [
            "",
            "1.2.3.4:5",
            "1.2.3.4:5 > 1.2.3.4:5",
            "1.2.3.4:5 > 1.2.3.4:5 256",
        ] {
            let error = AnyKey::parse(KeyType::Flow, flow).expect_err("no flow");
            assert!(error.to_string().contains("a flow such as"), "{error}");
        }
    }

    #[test]
    fn bytes_are_shown_without_control_characters() {
        let key = AnyKey::Bytes(b"a\nb\xff\xc3\xa9\x1b".to_vec());
        assert_eq!(key.to_string(), "a\\nb\\xff\u{e9}\\u{1b}");
    }

    #[test]
    fn hashes_are_those_of_the_key_inside() {
        assert_eq!(AnyKey::Integer(7).hash64(3), 7_u64.hash64(3));
        assert_eq!(AnyKey::Bytes(b"day".to_vec()).hash64(3), "day".hash64(3));
    }
}
