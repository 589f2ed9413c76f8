//! What can go wrong, and where.

use alloc::string::String;

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RobustStatsError {
    /// A parameter is outside its range.
    #[error("{argument}: expected {expected}, found {found}")]
    Parameter {
        /// The parameter.
        argument: &'static str,
        /// What is allowed.
        expected: String,
        /// What was given.
        found: String,
    },
    /// Two things that belong together differ in a parameter.
    #[error("{field} differs: {left} and {right}")]
    Mismatch {
        /// The parameter in which they differ.
        field: &'static str,
        /// Its value on the one side.
        left: String,
        /// Its value on the other side.
        right: String,
    },
    /// Bytes do not follow their format.
    #[error("{format}, byte {offset}: expected {expected}, found {found}")]
    Decode {
        /// The format that was being read.
        format: &'static str,
        /// Where the reader stopped, in bytes from the beginning.
        offset: u64,
        /// What the format asks for at this place.
        expected: String,
        /// What stood there.
        found: String,
    },
    /// A line of a text file does not follow its format.
    #[error("{path}, line {line}: expected {expected}, found {found}")]
    Line {
        /// The file, as it was named.
        path: String,
        /// The line, from 1.
        line: u64,
        /// What the format asks for on this line.
        expected: String,
        /// What stood there.
        found: String,
    },
    /// A file could not be opened or read. The cause is the error's source.
    #[cfg(feature = "std")]
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl RobustStatsError {
    /// Two things that should share a parameter.
    pub(crate) fn mismatch(
        field: &'static str,
        left: impl core::fmt::Display,
        right: impl core::fmt::Display,
    ) -> Self {
        Self::Mismatch {
            field,
            left: alloc::format!("{left}"),
            right: alloc::format!("{right}"),
        }
    }

    /// A parameter that is outside its range.
    pub(crate) fn parameter(
        argument: &'static str,
        expected: impl Into<String>,
        found: impl core::fmt::Display,
    ) -> Self {
        Self::Parameter {
            argument,
            expected: expected.into(),
            found: alloc::format!("{found}"),
        }
    }
}
