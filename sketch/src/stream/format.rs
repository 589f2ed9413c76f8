//! The formats of streams and their names.

use std::ffi::OsStr;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::str::FromStr;

use septet_core::io::Compression;

use crate::any_key::KeyType;
use crate::error::SketchError;

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// The column with this name; the first line contains the names.
    Name(String),
    /// The column with this number, from 1; there is no header line.
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

/// The format of a stream of keys.
///
/// As text (`FromStr`, `Display`): `lines`, `integers`, `csv:KEY[:COUNT]`, `tsv:KEY[:COUNT]`,
/// `tuples13`, `lis`, `pcap`, `npy` and `npz:KEYS[:COUNTS]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamFormat {
    /// `lines`: every line is a key. Lines end with LF or CRLF and have at most 64 KiB.
    Lines,
    /// `integers`: every line is a decimal number. Blank lines are ignored.
    Integers,
    /// `csv:KEY[:COUNT]`, `tsv:KEY[:COUNT]` (feature `csv`): a column of a table, given by its name
    /// in the header line or, in a table without header, by its number from 1; and a column of counts.
    Table {
        /// The field separator: a comma or a tab.
        delimiter: u8,
        /// The column of keys.
        key: Column,
        /// The column of counts; without it every line counts once.
        count: Option<Column>,
    },
    /// `tuples13`: flows of 13 bytes, source address, source port, destination address, destination
    /// port, protocol, in network byte order, as in the programs of ElasticSketch (Yang et al., 2018).
    Flows,
    /// `lis`: the block traces of the ARC paper. A line `start count 0 sequence` requests `count`
    /// blocks from `start` on, one key each.
    Blocks,
    /// `pcap` (feature `pcap`): a packet capture, pcap or pcapng. Every TCP or UDP packet over
    /// IPv4, with or without VLAN tags, is one occurrence of its flow; other packets, and fragments,
    /// are skipped, and their number is reported.
    Capture,
    /// `npy` (feature `npz`): a NumPy array. The elements of a one-dimensional array of integers are
    /// keys; the rows of an array with 11 columns are flows in the order of Hsu et al.: 4 bytes of
    /// source address, 4 of destination address, protocol, source port, destination port.
    Array,
    /// `npz:KEYS[:COUNTS]` (feature `npz`): arrays of a NumPy archive. `KEYS` is as in `npy`, and
    /// `COUNTS` are the counts of the keys; without `KEYS` (`npz::COUNTS`) the keys are the integers
    /// from 0.
    Archive {
        /// The array of keys.
        keys: Option<String>,
        /// The array of counts.
        counts: Option<String>,
    },
}

/// The names for error messages.
const NAMES: &str = "lines, integers, csv:KEY[:COUNT], tsv:KEY[:COUNT], tuples13, lis, pcap, npy, npz:KEYS[:COUNTS]";

impl StreamFormat {
    /// The format that the extension of a file indicates, ignoring `.gz`, `.xz` and `.zst`; `None` if it
    /// is unknown.
    #[must_use]
    pub fn from_path(path: &Path) -> Option<Self> {
        // `day.pcap.gz` is a capture.
        let path = Compression::strip_suffix(path);
        Some(match path.extension().and_then(OsStr::to_str)? {
            "txt" => Self::Lines,
            "tuples13" => Self::Flows,
            "lis" => Self::Blocks,
            "pcap" | "pcapng" | "cap" => Self::Capture,
            "npy" => Self::Array,
            _ => return None,
        })
    }

    /// The name without columns, for messages.
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

    /// The type of the keys of the format; `None` for arrays, which contain integers or flows.
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
        // A name, then up to two columns.
        let wrong = || SketchError::parameter("format", format!("one of {NAMES}"), text);
        let (name, columns) = match text.split_once(':') {
            None => (text, None),
            Some((name, columns)) => (name, Some(columns)),
        };
        let columns = columns.map(|columns| match columns.split_once(':') {
            None => (columns, None),
            Some((key, count)) => (key, Some(count)),
        });
        // Only csv, tsv and npz have columns; an empty column name is invalid, except the keys of npz.
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
