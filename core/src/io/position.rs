//! Where something is in a file, and what is wrong there.

use std::fmt;
use std::io;

/// A position in a stream, after decompression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// An offset in bytes, from 0.
    Byte(u64),
    /// A line of text, from 1.
    Line(u64),
    /// A row of an array, from 0.
    Row(u64),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte(offset) => write!(f, "byte {offset}"),
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}

/// A stream does not follow its format. The caller knows the file and the format, and adds them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{position}: expected {expected}, found {found}")]
pub struct Unexpected {
    /// Where.
    pub position: Position,
    /// What the format requires here.
    pub expected: String,
    /// What is here instead: quoted bytes, or a description.
    pub found: String,
}

/// Why a stream cannot be read further.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The stream itself fails, or its compression is damaged.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The bytes do not follow the format.
    #[error(transparent)]
    Unexpected(#[from] Unexpected),
}

/// Quotes bytes for a message: at most 40 of them, escaped.
///
/// ```
/// assert_eq!(septet_core::io::quote(b"3 4\xff"), r#""3 4\xff""#);
/// ```
#[must_use]
pub fn quote(bytes: &[u8]) -> String {
    const MAX: usize = 40;
    let ellipsis = if bytes.len() > MAX { "..." } else { "" };
    let shown = bytes[..bytes.len().min(MAX)].escape_ascii();
    format!("\"{shown}{ellipsis}\"")
}
