//! How to read a trace.

/// How to read a trace, beyond its format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The largest number of requests to accept: one more is an error. It bounds what a small
    /// compressed file, or one line of an ARC trace, can expand to. `None` for no limit.
    pub max_records: Option<u64>,
}
