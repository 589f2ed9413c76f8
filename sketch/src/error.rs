//! What can go wrong, and where.

use alloc::string::String;

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SketchError {
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
    /// Two sketches cannot be merged or compared, because they differ in a parameter.
    #[error("the sketches differ in {field}: {left} and {right}")]
    Incompatible {
        /// The parameter in which they differ.
        field: &'static str,
        /// Its value in the sketch that was to take the other in.
        left: String,
        /// Its value in the other sketch.
        right: String,
    },
    /// Two explicit tables do not fit into one, and the hashes of their keys are not stored.
    #[error(
        "bucket {bucket} of the merged explicit table: expected at most {slots} entries with \
         counts that fit, found {entries}; 16-byte slots can be merged always"
    )]
    TableOverflow {
        /// The bucket.
        bucket: usize,
        /// Slots of a bucket.
        slots: usize,
        /// Entries that both tables have in this bucket.
        entries: usize,
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
    /// A file does not hold the model that was to be read from it.
    #[cfg(feature = "std")]
    #[error("{}, {item}: expected {expected}, found {found}", path.display())]
    Model {
        /// The file.
        path: std::path::PathBuf,
        /// The part of it: the file, the model, or the name of a tensor.
        item: String,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A tensor operation failed.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Tensor(#[from] septet_core::nn::NnError),
    /// A stream of keys does not follow its format.
    #[cfg(feature = "std")]
    #[error("{}{format}, {place}: expected {expected}, found {found}", in_file(path.as_deref()))]
    Stream {
        /// The file, when the stream is one.
        path: Option<std::path::PathBuf>,
        /// The format that was being read.
        format: &'static str,
        /// Where the reader stopped.
        place: Place,
        /// What the format asks for at this place.
        expected: String,
        /// What stood there.
        found: String,
    },
    /// What was asked for is built only with a feature of this crate.
    #[error("{what} needs the feature `{feature}` of septet-sketch")]
    NeedsFeature {
        /// What was asked for.
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
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// A place in a stream of keys.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Place {
    /// A line of a text, from 1.
    Line(u64),
    /// A byte of the uncompressed stream, from 0.
    Byte(u64),
    /// A row of an array, from 0.
    Row(u64),
}

#[cfg(feature = "std")]
impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Byte(byte) => write!(f, "byte {byte}"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}

/// The name of the file, with what separates it from the rest of a message.
#[cfg(feature = "std")]
fn in_file(path: Option<&std::path::Path>) -> String {
    path.map_or_else(String::new, |path| alloc::format!("{}: ", path.display()))
}

impl SketchError {
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

    /// Nothing, or [`Incompatible`](Self::Incompatible) when the two values of a parameter differ.
    pub(crate) fn same<T: PartialEq + core::fmt::Display>(
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
