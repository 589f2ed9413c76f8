//! The error type.

use std::path::PathBuf;

pub use septet_core::io::Position;

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// A file could not be opened, read or written.
    #[error("{} cannot be read or written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// An unnamed stream could not be read or written.
    #[error("reading or writing a stream failed")]
    Stream(#[from] std::io::Error),
    /// The bytes of a trace do not follow its format.
    #[error(
        "{}{format} trace, {position}: expected {expected}, found {found}",
        prefix(path)
    )]
    TraceFormat {
        /// The file; `None` for an unnamed stream.
        path: Option<PathBuf>,
        /// The format that was being read, such as `oracleGeneral`.
        format: &'static str,
        /// Where the reader stopped.
        position: Position,
        /// What the format requires here.
        expected: String,
        /// What was read instead.
        found: String,
    },
    /// Reading or writing the file requires a disabled feature of the crate.
    #[error("{}: requires the feature `{feature}` of septet-cache", path.display())]
    MissingFeature {
        /// The file.
        path: PathBuf,
        /// The feature of the crate.
        feature: &'static str,
    },
    /// A value of the trace exceeds the range of the output format's field.
    #[error("{format} trace: {field} {value} of request {request} exceeds {limit}")]
    ValueOutOfRange {
        /// The format that was being written.
        format: &'static str,
        /// Index of the request, from 0.
        request: usize,
        /// The field.
        field: &'static str,
        /// The value.
        value: u64,
        /// The maximum value of the field.
        limit: u64,
    },
    /// The number of requests or of distinct pages exceeds a limit.
    #[error("the trace has more than {limit} {what}")]
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// The maximum.
        limit: u64,
    },
    /// The policy requires next-access times, and the trace has none.
    #[error(
        "{policy} requires next-access times, but the trace has none; annotate the trace first"
    )]
    NeedsFuture {
        /// The policy.
        policy: String,
    },
    /// The policy requires predictions, and the trace has none.
    #[error("{policy} requires predictions; choose a predictor")]
    NeedsPredictions {
        /// The policy.
        policy: String,
    },
    /// The policy requires unit sizes, and the trace has larger objects.
    #[error(
        "{policy} requires objects of size 1, but request {request} has size {size}; ignore the sizes \
         or choose another policy"
    )]
    NeedsUnitSizes {
        /// The policy.
        policy: String,
        /// Index of the first request with a size other than 1, from 0.
        request: usize,
        /// Its size in bytes.
        size: u32,
    },
    /// An unknown policy, predictor, format or parameter.
    #[error("unknown {what} {name:?}; known: {known}")]
    UnknownName {
        /// What was looked up: `policy`, `predictor`, `trace format`.
        what: &'static str,
        /// The name that was given.
        name: String,
        /// The known names.
        known: String,
    },
    /// An argument is out of range.
    #[error("{name} = {value}: expected {expected}")]
    Argument {
        /// The argument.
        name: &'static str,
        /// The given value.
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
