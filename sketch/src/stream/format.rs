//! The formats of streams, and their names.

use std::ffi::OsStr;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::str::FromStr;

use super::compression::Compression;
use crate::any_key::KeyType;
use crate::error::SketchError;

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// The column of this name; the first line holds the names.
    Name(String),
    /// The column of this number, from 1; there is no line of names.
    Number(NonZeroUsize),
}

impl Column {
    fn parse(text: &str) -> Self {
        match text.parse() {
            Ok(number) => Self::Number(number),
            Err(_) => Self::Name(text.to_owned()),
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// How keys lie in a file.
///
/// Written as text (`FromStr`, `Display`) they are called `lines`, `integers`, `csv:KEY[:COUNT]`,
/// `tsv:KEY[:COUNT]`, `tuples13`, `lis`, `pcap`, `npy` and `npz:KEYS[:COUNTS]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamFormat {
    /// `lines`: every line is a key. Line ends may be those of Windows; a line is at most 64 KiB.
    Lines,
    /// `integers`: every line is a decimal number. Blank lines are passed over.
    Integers,
    /// `csv:KEY[:COUNT]`, `tsv:KEY[:COUNT]` (feature `csv`): a column of a table, given by its name
    /// in the first line or, in a table without names, by its number from 1; another one holds how
    /// often the key occurs.
    Table {
        /// What separates the fields: a comma or a tab.
        delimiter: u8,
        /// The column of keys.
        key: Column,
        /// The column of counts; without it a line is one occurrence.
        count: Option<Column>,
    },
    /// `tuples13`: flows of 13 bytes, source address, source port, destination address, destination
    /// port, protocol, in network order, as the programs of ElasticSketch (Yang et al., 2018) store them.
    Flows,
    /// `lis`: the block traces of the ARC paper. A line `start count 0 sequence` asks for `count`
    /// blocks from `start` on, one key each.
    Blocks,
    /// `pcap` (feature `pcap`): a packet capture, pcap or pcapng. Every TCP or UDP packet over
    /// IPv4, perhaps inside VLAN tags, is one occurrence of its flow; other packets, and fragments,
    /// are skipped and counted.
    Capture,
    /// `npy` (feature `npz`): an array of NumPy. The elements of a row of integers are keys; a
    /// table of 11 columns holds flows in the order of Hsu et al.: 4 bytes of source address, 4 of
    /// destination address, protocol, source port, destination port.
    Array,
    /// `npz:KEYS[:COUNTS]` (feature `npz`): arrays of an archive of NumPy. `KEYS` is as in `npy`, and
    /// `COUNTS` says how often each key occurs; without `KEYS` (`npz::COUNTS`) the keys are the
    /// numbers from 0 on.
    Archive {
        /// The array of keys.
        keys: Option<String>,
        /// The array of counts.
        counts: Option<String>,
    },
}

/// What a user can write, for messages.
const NAMES: &str = "lines, integers, csv:KEY[:COUNT], tsv:KEY[:COUNT], tuples13, lis, pcap, npy, npz:KEYS[:COUNTS]";

impl StreamFormat {
    /// The format that the name of a file tells (behind it, `.gz` or `.zst` are passed over); `None`
    /// when it tells none.
    #[must_use]
    pub fn from_path(path: &Path) -> Option<Self> {
        let path = Compression::strip(path);
        Some(match path.extension().and_then(OsStr::to_str)? {
            "txt" => Self::Lines,
            "tuples13" => Self::Flows,
            "lis" => Self::Blocks,
            "pcap" | "pcapng" | "cap" => Self::Capture,
            "npy" => Self::Array,
            _ => return None,
        })
    }

    /// The name without the columns, for messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Integers => "integers",
            Self::Table {
                delimiter: b'\t', ..
            } => "tsv",
            Self::Table { .. } => "csv",
            Self::Flows => "tuples13",
            Self::Blocks => "lis",
            Self::Capture => "pcap",
            Self::Array => "npy",
            Self::Archive { .. } => "npz",
        }
    }

    /// What kind of keys the format holds; `None` for arrays, which can hold integers or flows.
    #[must_use]
    pub fn key_type(&self) -> Option<KeyType> {
        match self {
            Self::Lines | Self::Table { .. } => Some(KeyType::Bytes),
            Self::Integers | Self::Blocks | Self::Archive { keys: None, .. } => {
                Some(KeyType::Integer)
            }
            Self::Flows | Self::Capture => Some(KeyType::Flow),
            Self::Array | Self::Archive { .. } => None,
        }
    }
}

impl fmt::Display for StreamFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Table { key, count, .. } => {
                write!(f, ":{key}")?;
                count.iter().try_for_each(|count| write!(f, ":{count}"))
            }
            Self::Archive { keys, counts } => {
                write!(f, ":{}", keys.as_deref().unwrap_or_default())?;
                counts.iter().try_for_each(|counts| write!(f, ":{counts}"))
            }
            _ => Ok(()),
        }
    }
}

impl FromStr for StreamFormat {
    type Err = SketchError;

    fn from_str(text: &str) -> Result<Self, SketchError> {
        let wrong = || SketchError::parameter("format", format!("one of {NAMES}"), text);
        let (name, columns) = match text.split_once(':') {
            None => (text, None),
            Some((name, columns)) => (name, Some(columns)),
        };
        let columns = columns.map(|columns| match columns.split_once(':') {
            None => (columns, None),
            Some((key, count)) => (key, Some(count)),
        });
        let delimiter = if name == "tsv" { b'\t' } else { b',' };
        Ok(match (name, columns) {
            ("lines", None) => Self::Lines,
            ("integers", None) => Self::Integers,
            ("csv" | "tsv", Some((key, count))) if !key.is_empty() && count != Some("") => {
                Self::Table {
                    delimiter,
                    key: Column::parse(key),
                    count: count.map(Column::parse),
                }
            }
            ("tuples13", None) => Self::Flows,
            ("lis", None) => Self::Blocks,
            ("pcap" | "pcapng", None) => Self::Capture,
            ("npy", None) => Self::Array,
            ("npz", Some((keys, counts))) if counts != Some("") => match (keys, counts) {
                ("", None) => return Err(wrong()),
                (keys, counts) => Self::Archive {
                    keys: (!keys.is_empty()).then(|| keys.to_owned()),
                    counts: counts.map(str::to_owned),
                },
            },
            _ => return Err(wrong()),
        })
    }
}
