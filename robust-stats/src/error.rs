//! The error type.

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
        /// The allowed range.
        expected: String,
        /// The given value.
        found: String,
    },
    /// Two objects that must agree differ in a parameter.
    #[error("{field} differs: {left} and {right}")]
    Mismatch {
        /// The parameter.
        field: &'static str,
        /// Its first value.
        left: String,
        /// Its second value.
        right: String,
    },
    /// Bytes do not follow their format.
    #[error("{format}, byte {offset}: expected {expected}, found {found}")]
    Decode {
        /// The format.
        format: &'static str,
        /// Offset in bytes from the start.
        offset: u64,
        /// What the format requires there.
        expected: String,
        /// What was read instead.
        found: String,
    },
    /// A line of a text file does not follow its format.
    #[error("{path}, line {line}: expected {expected}, found {found}")]
    Line {
        /// The file.
        path: String,
        /// The line, from 1.
        line: u64,
        /// What the format requires on this line.
        expected: String,
        /// What was read instead.
        found: String,
    },
    /// A file could not be opened or read. The cause is the error's source.
    #[cfg(feature = "std")]
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
}

impl RobustStatsError {
    /// [`RobustStatsError::Mismatch`] from displayable values.
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

    /// [`RobustStatsError::Parameter`] from displayable values.
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
