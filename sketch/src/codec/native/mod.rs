//! The binary format of this crate.
//!
//! A file contains everything that is needed to continue counting, independently of the machine that
//! wrote it. All numbers are little endian:
//!
//! | byte | | |
//! | --- | --- | --- |
//! | 0 | magic | `LSK1` |
//! | 4 | version | 1 |
//! | 5 | kind | [`Kind`] |
//! | 6 | element | bytes of a counter or of a slot; the type of DataSketches' cells |
//! | 7 | keys | 0 unspecified, 1 integers, 2 bytes, 3 flows, 4 hashes, 5 mixed |
//! | 8 | hash | [`HASH_VERSION`] |
//! | 9 | encoding | [`Encoding`] |
//! | 10 | flags, u16 | bit 0: a counter has saturated |
//! | 12 | length of the parameters, u32 | |
//! | 16 | seed, u64 | |
//! | 24 | total, u64 | total count |
//! | 32 | parameters | depends on the kind |
//! | | length of the payload, u64 | |
//! | | payload | counters, entries, a sketch inside another |
//! | | CRC32C, u32 | of everything before |
//!
//! Truncated, damaged and hostile bytes give [`SketchError::Decode`]. Memory is allocated only for
//! data that is present in the input, and a sketch that would exceed a limit is refused.
//!
//! ```
//! use septet_sketch::codec::native::{Native, Options};
//! use septet_sketch::{CountMin, FrequencySketch};
//!
//! let mut sketch = CountMin::<u32>::builder().bytes(4096).build()?;
//! sketch.update("fox");
//! let bytes = sketch.to_bytes(&Options::default())?;
//! assert_eq!(CountMin::<u32>::from_bytes(&bytes)?, sketch);
//! # Ok::<(), septet_sketch::SketchError>(())
//! ```

mod cells;
mod datasketches;
mod envelope;
mod linear;
mod stored_key;

pub(crate) use cells::{Numbers, push_varint, varint};
pub(crate) use envelope::{Envelope, Parts};
pub use stored_key::StoredKey;
pub(crate) use stored_key::read_key;

use std::fmt;

use crate::any_key::KeyType;
use crate::codec::input::Input;
use crate::error::SketchError;
use crate::key::HASH_VERSION;

const FORMAT: &str = "sketch file";
const MAGIC: [u8; 4] = *b"LSK1";
const VERSION: u8 = 1;

/// Bytes before the parameters.
const HEADER_BYTES: usize = 32;

/// The memory limit of [`Native::from_bytes`] in bytes; the limit is [`MEMORY_LIMIT_FACTOR`] times the
/// length of the input if that is more.
pub const DEFAULT_MEMORY_LIMIT: usize = 256 << 20;

/// See [`DEFAULT_MEMORY_LIMIT`].
pub const MEMORY_LIMIT_FACTOR: usize = 16;

/// The kind of sketch in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// 1: [`CountMin`](crate::CountMin).
    CountMin,
    /// 2: [`CountSketch`](crate::CountSketch).
    CountSketch,
    /// 3: [`MisraGries`](crate::heavy_hitters::MisraGries).
    MisraGries,
    /// 4: [`SpaceSaving`](crate::heavy_hitters::SpaceSaving).
    SpaceSaving,
    /// 5: [`TopK`](crate::heavy_hitters::TopK), with a sketch inside.
    TopK,
    /// 6: [`Learned`](crate::learned::Learned), with a sketch inside.
    Learned,
    /// 7: [`datasketches::CountMin`](crate::codec::datasketches::CountMin).
    DataSketches,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::CountMin,
        Self::CountSketch,
        Self::MisraGries,
        Self::SpaceSaving,
        Self::TopK,
        Self::Learned,
        Self::DataSketches,
    ];

    /// The code in the file: the position in [`ALL`](Self::ALL), from 1.
    fn code(self) -> u8 {
        // Never absent; a code of 0 would be refused when it is read.
        Self::ALL
            .iter()
            .zip(1..)
            .find(|&(&kind, _)| kind == self)
            .map_or(0, |(_, code)| code)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CountMin => "count-min",
            Self::CountSketch => "count-sketch",
            Self::MisraGries => "Misra-Gries",
            Self::SpaceSaving => "SpaceSaving",
            Self::TopK => "top-k",
            Self::Learned => "learned sketch",
            Self::DataSketches => "DataSketches count-min",
        })
    }
}

/// The encoding of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// 0: counters with their size in memory. The fastest, and as large as the sketch.
    Raw,
    /// 1: varints (LEB128), small numbers in one byte.
    #[default]
    Varint,
    /// 2: as `Varint`, then compressed with zstd (feature `compression`).
    Zstd,
}

/// Options of [`Native::to_bytes`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The encoding of numbers.
    pub encoding: Encoding,
    /// The type of the counted keys, for sketches that do not store keys.
    pub key_type: Option<KeyType>,
}

impl Options {
    /// The encoding of numbers; [`Encoding::Varint`] by default.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// The type of the counted keys, with which a program can parse the keys of a query; unspecified
    /// by default.
    #[must_use]
    pub fn key_type(mut self, key_type: Option<KeyType>) -> Self {
        self.key_type = key_type;
        self
    }
}

/// The header of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The kind of sketch.
    pub kind: Kind,
    /// Bytes of a counter or of a slot; for DataSketches 0 (`f64`), 1 (`u64`) or 2 (`i64`).
    pub element: u8,
    /// The type of the counted keys, if specified.
    pub key_type: Option<KeyType>,
    /// The encoding of numbers.
    pub encoding: Encoding,
    /// The seed of the hash.
    pub seed: u64,
    /// The total count.
    pub total: u64,
}

impl Header {
    /// Whether the bytes begin with the magic number of this format.
    #[must_use]
    pub fn has_magic(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    /// Decodes the header from the first 32 bytes.
    ///
    /// # Errors
    ///
    /// [`SketchError::Decode`] for bytes that are not of this format or of another version.
    pub fn read(bytes: &[u8]) -> Result<Self, SketchError> {
        Ok(envelope::FixedHeader::read(&mut Input::new(FORMAT, bytes))?.header)
    }
}

/// A sketch that can be encoded in the native format.
pub trait Native: Sized {
    /// Encodes the sketch.
    ///
    /// # Errors
    ///
    /// [`SketchError::NeedsFeature`] for [`Encoding::Zstd`] without the feature `compression`.
    fn to_bytes(&self, options: &Options) -> Result<Vec<u8>, SketchError>;

    /// Decodes a sketch of at most [`DEFAULT_MEMORY_LIMIT`] bytes of memory, or
    /// [`MEMORY_LIMIT_FACTOR`] times the length of `bytes` if that is more.
    ///
    /// # Errors
    ///
    /// [`SketchError::Decode`] when the bytes are not a valid sketch of this type.
    fn from_bytes(bytes: &[u8]) -> Result<Self, SketchError> {
        Self::from_bytes_with_limit(bytes, default_memory(bytes))
    }

    /// Decodes a sketch of at most about `max_memory` bytes of memory.
    ///
    /// # Errors
    ///
    /// As [`from_bytes`](Self::from_bytes).
    fn from_bytes_with_limit(bytes: &[u8], max_memory: usize) -> Result<Self, SketchError>;
}

/// The memory limit of [`Native::from_bytes`].
pub(crate) fn default_memory(bytes: &[u8]) -> usize {
    bytes
        .len()
        .saturating_mul(MEMORY_LIMIT_FACTOR)
        .max(DEFAULT_MEMORY_LIMIT)
}
