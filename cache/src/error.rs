//! What can go wrong, and where.

use std::path::PathBuf;

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// A file could not be opened, read or written.
    #[error("{} cannot be read or written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A stream that has no name could not be read or written.
    #[error("reading or writing a stream failed")]
    Stream(#[from] std::io::Error),
    /// The bytes of a trace do not follow its format.
    #[error(
        "{}{format} trace, {place}: expected {expected}, found {found}",
        prefix(path)
    )]
    TraceFormat {
        /// The file; `None` for a stream that has no name.
        path: Option<PathBuf>,
        /// The format that was being read, such as `oracleGeneral`.
        format: &'static str,
        /// Where the reader stopped.
        place: Place,
        /// What the format asks for at this place.
        expected: String,
        /// What stood there.
        found: String,
    },
    /// A file needs a part of the crate that was not built.
    #[error("{}: it needs the feature `{feature}` of septet-cache", path.display())]
    NeedsFeature {
        /// The file.
        path: PathBuf,
        /// The feature of the crate.
        feature: &'static str,
    },
    /// A format has no room for a value of the trace that is to be written.
    #[error("{format} trace: {field} {value} of request {request} exceeds {limit}")]
    DoesNotFit {
        /// The format that was being written.
        format: &'static str,
        /// Index of the request, from 0.
        request: usize,
        /// What the value is.
        field: &'static str,
        /// The value.
        value: u64,
        /// The largest value that the format holds.
        limit: u64,
    },
    /// A trace is longer, or has more distinct pages, than a simulation can number.
    #[error("the trace has more than {limit} {what}")]
    TooLarge {
        /// What there are too many of.
        what: &'static str,
        /// How many are allowed.
        limit: u64,
    },
    /// A policy looks into the future, and the trace does not hold it.
    #[error(
        "{policy} needs the time of each page's next request, which this trace does not hold; \
         annotate the trace first"
    )]
    NeedsFuture {
        /// The policy that refused.
        policy: String,
    },
    /// A policy follows predictions, and none were given.
    #[error("{policy} needs predictions; choose a predictor")]
    NeedsPredictions {
        /// The policy that refused.
        policy: String,
    },
    /// A policy is defined for pages of one size, and the trace has objects of several.
    #[error(
        "{policy} is defined for objects of one size, but request {request} has size {size}; \
         ignore the sizes or choose another policy"
    )]
    NeedsUnitSizes {
        /// The policy that refused.
        policy: String,
        /// Index of the first request of another size, from 0.
        request: usize,
        /// That request's size in bytes.
        size: u32,
    },
    /// There is no policy, predictor or format of this name.
    #[error("unknown {what} {name:?}; known: {known}")]
    UnknownName {
        /// What was looked up: `policy`, `predictor`, `trace format`.
        what: &'static str,
        /// The name that was given.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// An argument is out of its range.
    #[error("{name} = {value}: expected {expected}")]
    Argument {
        /// The argument.
        name: &'static str,
        /// The value that was given.
        value: String,
        /// The range.
        expected: &'static str,
    },
}

/// The name of the file that an error begins with, if it is known.
fn prefix(path: &Option<PathBuf>) -> String {
    path.as_ref()
        .map_or_else(String::new, |path| format!("{}: ", path.display()))
}

/// A place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// Offset in bytes of the (uncompressed) stream, from 0.
    Byte(u64),
    /// Line of the (uncompressed) stream, from 1.
    Line(u64),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Byte(offset) => write!(f, "byte {offset}"),
            Self::Line(line) => write!(f, "line {line}"),
        }
    }
}
