//! The error type of this crate.

use alloc::string::String;

#[cfg(feature = "std")]
pub use septet_core::io::Position;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SketchError {
    /// A parameter is outside its range.
    #[error("{argument}: expected {expected}, found {found}")]
    Parameter {
        /// The parameter.
        argument: &'static str,
        /// The allowed values.
        expected: String,
        /// The given value.
        found: String,
    },
    /// Two sketches cannot be merged or compared, because they differ in a parameter.
    #[error("the sketches differ in {field}: {left} and {right}")]
    Incompatible {
        /// The parameter in which they differ.
        field: &'static str,
        /// Its value in the sketch that the other was to be merged into.
        left: String,
        /// Its value in the other sketch.
        right: String,
    },
    /// Two explicit tables do not fit into one, and the hashes of their keys are not stored.
    #[error(
        "bucket {bucket} of the merged explicit table: expected at most {slots} entries with \
         counts that fit, found {entries}; tables with 16-byte slots can always be merged"
    )]
    TableOverflow {
        /// The bucket.
        bucket: usize,
        /// Slots in a bucket.
        slots: usize,
        /// Entries of both tables in this bucket.
        entries: usize,
    },
    /// Bytes violate their format.
    #[error("{format}, byte {offset}: expected {expected}, found {found}")]
    Decode {
        /// The format.
        format: &'static str,
        /// The offset of the error, in bytes from the start.
        offset: u64,
        /// What the format requires at this offset.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A file does not contain the expected model.
    #[cfg(feature = "std")]
    #[error("{}, {item}: expected {expected}, found {found}", path.display())]
    Model {
        /// The file.
        path: std::path::PathBuf,
        /// The part of the file: the file, the model, or the name of a tensor.
        item: String,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A tensor operation failed.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Tensor(#[from] septet_core::nn::NnError),
    /// A stream of keys violates its format.
    #[cfg(feature = "std")]
    #[error("{}{format}, {position}: expected {expected}, found {found}", in_file(path.as_deref()))]
    Stream {
        /// The file, if the stream is one.
        path: Option<std::path::PathBuf>,
        /// The format.
        format: &'static str,
        /// The position of the error, after decompression.
        position: Position,
        /// What the format requires there.
        expected: String,
        /// What was found.
        found: String,
    },
    /// An operation needs a feature with which this crate was not built.
    #[error("{what} needs the feature `{feature}` of septet-sketch")]
    NeedsFeature {
        /// The operation.
        what: String,
        /// The feature.
        feature: &'static str,
    },
    /// A file could not be opened, read or written.
    #[cfg(feature = "std")]
    #[error("{} cannot be read or written", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

/// The prefix of a message about a file, empty without one.
#[cfg(feature = "std")]
fn in_file(path: Option<&std::path::Path>) -> String {
    path.map_or_else(String::new, |path| alloc::format!("{}: ", path.display()))
}

impl SketchError {
    /// The error for a parameter that is outside its range.
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

    /// The error for a file.
    #[cfg(feature = "std")]
    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::File {
            path: path.to_owned(),
            source,
        }
    }

    /// Fails with [`Incompatible`](Self::Incompatible) when the two values of a parameter differ.
    pub(crate) fn ensure_equal<T: PartialEq + core::fmt::Display>(
        field: &'static str,
        left: &T,
        right: &T,
    ) -> Result<(), Self> {
        if left == right {
            return Ok(());
        }
        Err(Self::Incompatible {
            field,
            left: alloc::format!("{left}"),
            right: alloc::format!("{right}"),
        })
    }
}
