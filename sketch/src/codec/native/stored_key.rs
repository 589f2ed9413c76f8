//! Encoding of keys.

use super::cells::varint;
use super::envelope::{HASHES, MIXED, code_of};
use super::{Input, SketchError, push_varint};
use crate::any_key::{AnyKey, KeyType};
use crate::key::{FlowKey, Key, KeyHash};

/// The maximum length of a key in bytes.
const MAX_KEY_BYTES: u64 = 1 << 20;

/// A key that can be stored: unsigned integers, text, bytes, flows, hashes, and [`AnyKey`]. Sealed.
#[expect(private_bounds, reason = "sealed: the format has these types only")]
pub trait StoredKey: Key + Eq + Clone + Stored {}

impl<K: Key + Eq + Clone + Stored> StoredKey for K {}

/// The encoding of a key type.
pub(crate) trait Stored: Sized {
    /// The code of the type of these keys.
    fn code<'a>(keys: impl Iterator<Item = &'a Self>) -> u8
    where
        Self: 'a;

    /// Writes a key to a file with this code.
    fn write(&self, code: u8, bytes: &mut Vec<u8>);

    /// Reads a key from a file with this code; `None` if it has another type.
    fn read(code: u8, input: &mut Input<'_>) -> Result<Option<Self>, SketchError>;
}

const INTEGERS: u8 = 1;
const BYTES: u8 = 2;
const FLOWS: u8 = 3;

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Stored for $integer {
            fn code<'a>(_keys: impl Iterator<Item = &'a Self>) -> u8 {
                INTEGERS
            }

            fn write(&self, _code: u8, bytes: &mut Vec<u8>) {
                push_varint(bytes, (*self).into());
            }

            fn read(code: u8, input: &mut Input<'_>) -> Result<Option<Self>, SketchError> {
                if code != INTEGERS {
                    return Ok(None);
                }
                let number = varint(input)?;
                Ok(Self::try_from(number).ok())
            }
        }
    )*};
}
integers!(u8, u16, u32, u64);

impl Stored for Vec<u8> {
    fn code<'a>(_keys: impl Iterator<Item = &'a Self>) -> u8 {
        BYTES
    }

    fn write(&self, _code: u8, bytes: &mut Vec<u8>) {
        push_varint(bytes, self.len() as u64);
        bytes.extend(self);
    }

    fn read(code: u8, input: &mut Input<'_>) -> Result<Option<Self>, SketchError> {
        if code != BYTES {
            return Ok(None);
        }
        // The limit bounds the memory for a damaged length; `take` checks that the bytes exist.
        let at = input.offset();
        let length = varint(input)?;
        if length > MAX_KEY_BYTES {
            let expected = format!("a key of at most {MAX_KEY_BYTES} bytes");
            return Err(input.fault_at(at, expected, format!("{length}")));
        }
        Ok(Some(input.take(length as usize, "key")?.to_vec()))
    }
}

impl Stored for String {
    fn code<'a>(_keys: impl Iterator<Item = &'a Self>) -> u8 {
        BYTES
    }

    fn write(&self, _code: u8, bytes: &mut Vec<u8>) {
        push_varint(bytes, self.len() as u64);
        bytes.extend(self.as_bytes());
    }

    fn read(code: u8, input: &mut Input<'_>) -> Result<Option<Self>, SketchError> {
        let bytes = Vec::<u8>::read(code, input)?;
        Ok(bytes.and_then(|bytes| Self::from_utf8(bytes).ok()))
    }
}

impl Stored for FlowKey {
    fn code<'a>(_keys: impl Iterator<Item = &'a Self>) -> u8 {
        FLOWS
    }

    fn write(&self, _code: u8, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_bytes());
    }

    fn read(code: u8, input: &mut Input<'_>) -> Result<Option<Self>, SketchError> {
        if code != FLOWS {
            return Ok(None);
        }
        Ok(Some(Self::from_bytes(&input.array("flow")?)))
    }
}

impl Stored for KeyHash {
    fn code<'a>(_keys: impl Iterator<Item = &'a Self>) -> u8 {
        HASHES
    }

    fn write(&self, _code: u8, bytes: &mut Vec<u8>) {
        bytes.extend(self.0.to_le_bytes());
    }

    fn read(code: u8, input: &mut Input<'_>) -> Result<Option<Self>, SketchError> {
        if code != HASHES {
            return Ok(None);
        }
        Ok(Some(Self(input.u64("hash")?)))
    }
}

/// Keys of one type are encoded as keys of that type; in a mixed file each is preceded by its code.
impl Stored for AnyKey {
    fn code<'a>(keys: impl Iterator<Item = &'a Self>) -> u8 {
        // An empty sketch has no types; any code would do.
        let mut types: Vec<KeyType> = keys.map(Self::key_type).collect();
        types.sort_unstable();
        types.dedup();
        match types[..] {
            [] => INTEGERS,
            [one] => code_of(one),
            _ => MIXED,
        }
    }

    fn write(&self, code: u8, bytes: &mut Vec<u8>) {
        if code == MIXED {
            bytes.push(code_of(self.key_type()));
        }
        match self {
            Self::Integer(integer) => integer.write(code, bytes),
            Self::Bytes(key) => key.write(code, bytes),
            Self::Flow(flow) => flow.write(code, bytes),
        }
    }

    fn read(code: u8, input: &mut Input<'_>) -> Result<Option<Self>, SketchError> {
        // In a mixed file each key has its own code.
        let code = match code {
            MIXED => input.u8("type of a key")?,
            code => code,
        };
        Ok(match code {
            INTEGERS => u64::read(code, input)?.map(Self::Integer),
            BYTES => Vec::read(code, input)?.map(Self::Bytes),
            FLOWS => FlowKey::read(code, input)?.map(Self::Flow),
            _ => None,
        })
    }
}

/// Reads a key; fails if it has another type.
pub(crate) fn read_key<K: Stored>(code: u8, input: &mut Input<'_>) -> Result<K, SketchError> {
    let at = input.offset();
    K::read(code, input)?
        .ok_or_else(|| input.fault_at(at, "a key of the requested type", "another type"))
}
