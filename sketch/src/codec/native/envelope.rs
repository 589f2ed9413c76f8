//! The common frame of all kinds: header, parameters, payload, checksum.

use std::borrow::Cow;

use super::{
    Encoding, FORMAT, HASH_VERSION, HEADER_BYTES, Header, Input, Kind, MAGIC, Options, SketchError,
    VERSION,
};
use crate::any_key::KeyType;

/// The maximum length of the parameters.
const MAX_PARAMETER_BYTES: u32 = 4096;

/// The codes of keys that are hashes, and of keys of several types.
pub(super) const HASHES: u8 = 4;
pub(super) const MIXED: u8 = 5;

/// The flag of a saturated sketch.
const SATURATED: u16 = 1;

/// The content of a file.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) kind: Kind,
    pub(crate) element: u8,
    /// The code of the type of the stored keys; 0 if none are stored, then the options may name it.
    pub(crate) keys: u8,
    pub(crate) saturated: bool,
    pub(crate) seed: u64,
    pub(crate) total: u64,
    pub(crate) parameters: Vec<u8>,
    /// Uncompressed.
    pub(crate) payload: Vec<u8>,
}

impl Parts {
    /// Encodes the file; see the table in [`native`](super).
    pub(crate) fn to_bytes(&self, options: &Options) -> Result<Vec<u8>, SketchError> {
        let payload = match options.encoding {
            Encoding::Raw | Encoding::Varint => Cow::Borrowed(&self.payload[..]),
            Encoding::Zstd => Cow::Owned(compress(&self.payload)?),
        };
        // The length of the payload and the checksum take 12 bytes.
        let capacity = HEADER_BYTES + self.parameters.len() + payload.len() + 12;
        let mut bytes = Vec::with_capacity(capacity);
        bytes.extend(MAGIC);
        bytes.extend([VERSION, self.kind.code(), self.element]);
        bytes.push(match self.keys {
            0 => options.key_type.map_or(0, code_of),
            code => code,
        });
        bytes.push(HASH_VERSION);
        bytes.push(match options.encoding {
            Encoding::Raw => 0,
            Encoding::Varint => 1,
            Encoding::Zstd => 2,
        });
        let flags = if self.saturated { SATURATED } else { 0 };
        bytes.extend(flags.to_le_bytes());
        bytes.extend((self.parameters.len() as u32).to_le_bytes());
        bytes.extend(self.seed.to_le_bytes());
        bytes.extend(self.total.to_le_bytes());
        bytes.extend(&self.parameters);
        bytes.extend((payload.len() as u64).to_le_bytes());
        bytes.extend(&*payload);
        // The checksum covers everything before it.
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        Ok(bytes)
    }
}

/// The code of a key type.
pub(super) fn code_of(keys: KeyType) -> u8 {
    match keys {
        KeyType::Integer => 1,
        KeyType::Bytes => 2,
        KeyType::Flow => 3,
    }
}

/// The fields before the parameters.
pub(super) struct FixedHeader {
    pub(super) header: Header,
    key_code: u8,
    saturated: bool,
    parameters: u32,
}

impl FixedHeader {
    /// Reads and checks field by field. The checksum is checked later: these fields decide how.
    pub(super) fn read(input: &mut Input<'_>) -> Result<Self, SketchError> {
        let magic: [u8; 4] = input.array("magic number")?;
        if magic != MAGIC {
            let found = format!("\"{}\"", magic.escape_ascii());
            return Err(input.fault_at(0, "\"LSK1\"", found));
        }
        let version = input.u8("version")?;
        if version != VERSION {
            return Err(input.fault_at(4, "version 1", format!("{version}")));
        }
        let code = input.u8("kind")?;
        let kind = Kind::ALL.get(usize::from(code).wrapping_sub(1));
        let Some(&kind) = kind else {
            return Err(input.fault_at(5, "a kind from 1 to 7", format!("{code}")));
        };
        let element = input.u8("element")?;
        let key_code = input.u8("type of keys")?;
        let key_type = match key_code {
            1 => Some(KeyType::Integer),
            2 => Some(KeyType::Bytes),
            3 => Some(KeyType::Flow),
            0 | HASHES | MIXED => None,
            other => return Err(input.fault_at(7, "keys from 0 to 5", format!("{other}"))),
        };
        let hash = input.u8("version of the hash")?;
        if hash != HASH_VERSION {
            let expected = format!("hash version {HASH_VERSION}");
            return Err(input.fault_at(8, expected, format!("{hash}")));
        }
        let encoding = match input.u8("encoding")? {
            0 => Encoding::Raw,
            1 => Encoding::Varint,
            2 => Encoding::Zstd,
            other => return Err(input.fault_at(9, "an encoding from 0 to 2", format!("{other}"))),
        };
        let flags = input.u16("flags")?;
        if flags > SATURATED {
            return Err(input.fault_at(10, "flags 0 or 1", format!("{flags}")));
        }
        let parameters = input.u32("length of the parameters")?;
        if parameters > MAX_PARAMETER_BYTES {
            let expected = format!("at most {MAX_PARAMETER_BYTES} bytes of parameters");
            return Err(input.fault_at(12, expected, format!("{parameters}")));
        }
        let seed = input.u64("seed")?;
        let total = input.u64("total")?;
        Ok(Self {
            header: Header {
                kind,
                element,
                key_type,
                encoding,
                seed,
                total,
            },
            key_code,
            saturated: flags == SATURATED,
            parameters,
        })
    }
}

/// A decoded frame with a valid checksum.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) header: Header,
    pub(crate) key_code: u8,
    pub(crate) saturated: bool,
    pub(crate) parameters: Input<'a>,
    /// Uncompressed.
    pub(crate) payload: Cow<'a, [u8]>,
    payload_at: usize,
}

impl<'a> Envelope<'a> {
    /// Decodes the frame of a sketch of this kind. A compressed payload may expand to `max_memory`
    /// bytes.
    pub(crate) fn open(
        bytes: &'a [u8],
        kind: Kind,
        max_memory: usize,
    ) -> Result<Self, SketchError> {
        let mut input = Input::new(FORMAT, bytes);
        let front = FixedHeader::read(&mut input)?;
        let header = front.header;
        if header.kind != kind {
            return Err(input.fault_at(5, format!("a {kind}"), format!("a {}", header.kind)));
        }
        let parameters = input.part(front.parameters as usize, "parameters")?;
        let length = input.u64("length of the payload")?;
        let payload_at = input.offset();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let payload = input.take(length, "payload")?;
        // Nothing of the payload is interpreted before the checksum is known to match.
        let computed = crc32c::crc32c(&bytes[..input.offset()]);
        let at = input.offset();
        let stored = input.u32("checksum")?;
        if stored != computed {
            let found = format!("{stored:#010x}: the file is damaged");
            return Err(input.fault_at(at, format!("checksum {computed:#010x}"), found));
        }
        input.end()?;
        let payload = match header.encoding {
            Encoding::Raw | Encoding::Varint => Cow::Borrowed(payload),
            Encoding::Zstd => Cow::Owned(
                decompress(payload, max_memory)?
                    .map_err(|(expected, found)| input.fault_at(payload_at, expected, found))?,
            ),
        };
        Ok(Self {
            header,
            key_code: front.key_code,
            saturated: front.saturated,
            parameters,
            payload,
            payload_at,
        })
    }

    /// Whether numbers are stored with their size in memory.
    pub(crate) fn is_raw(&self) -> bool {
        self.header.encoding == Encoding::Raw
    }

    /// A cursor over the payload; errors in a compressed payload are reported at its start.
    pub(crate) fn content(&self) -> Input<'_> {
        match &self.payload {
            Cow::Borrowed(payload) => Input::at(FORMAT, payload, self.payload_at, 1),
            Cow::Owned(payload) => Input::at(FORMAT, payload, self.payload_at, 0),
        }
    }

    /// Checks the byte for the type of counters or slots.
    pub(crate) fn check_element(&self, expected: u8, what: &str) -> Result<(), SketchError> {
        let found = self.header.element;
        if found == expected {
            return Ok(());
        }
        Err(self.fault(6, format!("{expected} ({what})"), format!("{found}")))
    }

    /// Checks the memory that a sketch needs against the limit; `None` means that it overflows.
    pub(crate) fn check_memory(
        &self,
        needed: Option<usize>,
        max_memory: usize,
    ) -> Result<(), SketchError> {
        match needed {
            Some(needed) if needed <= max_memory => Ok(()),
            _ => Err(self.fault(
                HEADER_BYTES,
                format!("a sketch of at most {max_memory} bytes of memory"),
                needed.map_or_else(
                    || "more than the address space".into(),
                    |needed| format!("{needed}"),
                ),
            )),
        }
    }

    /// The error for the bytes at `offset` of the file.
    pub(crate) fn fault(
        &self,
        offset: usize,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> SketchError {
        self.parameters
            .fault_at_absolute(offset, expected.into(), found.into())
    }

    /// Converts a constructor's error about a parameter to an error of the file.
    pub(crate) fn checked<T>(&self, result: Result<T, SketchError>) -> Result<T, SketchError> {
        result.map_err(|error| match error {
            SketchError::Parameter {
                argument,
                expected,
                found,
            } => self.fault(HEADER_BYTES, format!("{argument}: {expected}"), found),
            other => other,
        })
    }
}

#[cfg(feature = "compression")]
fn compress(payload: &[u8]) -> Result<Vec<u8>, SketchError> {
    zstd::bulk::compress(payload, zstd::DEFAULT_COMPRESSION_LEVEL).map_err(|source| {
        SketchError::File {
            path: "the compressed sketch".into(),
            source,
        }
    })
}

/// The payload, or the expected and found values of an error.
type Decompressed = Result<Vec<u8>, (String, String)>;

#[cfg(feature = "compression")]
fn decompress(payload: &[u8], max_memory: usize) -> Result<Decompressed, SketchError> {
    use std::io::Read;

    // One byte beyond the limit shows that there is more; the frame's size field is not trusted.
    let mut bytes = Vec::new();
    let limit = max_memory as u64;
    let read = zstd::Decoder::with_buffer(payload)
        .and_then(|decoder| decoder.take(limit + 1).read_to_end(&mut bytes));
    Ok(match read {
        Err(error) => Err(("a payload of zstd".to_owned(), error.to_string())),
        Ok(length) if length as u64 > limit => Err((
            format!("a payload of at most {max_memory} bytes"),
            "a longer one".to_owned(),
        )),
        Ok(_) => Ok(bytes),
    })
}

#[cfg(not(feature = "compression"))]
fn compress(_payload: &[u8]) -> Result<Vec<u8>, SketchError> {
    Err(needs_feature())
}

#[cfg(not(feature = "compression"))]
fn decompress(_payload: &[u8], _max_memory: usize) -> Result<Decompressed, SketchError> {
    Err(needs_feature())
}

#[cfg(not(feature = "compression"))]
fn needs_feature() -> SketchError {
    SketchError::NeedsFeature {
        what: "a sketch compressed with zstd".into(),
        feature: "compression",
    }
}
