//! What the engine counts.

use std::time::Duration;

/// Counts since the engine was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Queries that were let in.
    pub accepted: u64,
    /// Queries that were turned away because too many waited, or the engine was closing.
    pub rejected: u64,
    /// Answers from the worker that was asked.
    pub direct: u64,
    /// Answers from other tasks of the group.
    pub reconstructed: u64,
    /// Queries whose answer was lost with too much else.
    pub lost: u64,
    /// Queries whose client gave up first.
    pub abandoned: u64,
    /// Groups that take no more queries.
    pub groups: u64,
    /// Queries in those groups.
    pub grouped: u64,
    /// Tasks that workers were given, of all kinds.
    pub tasks: u64,
    /// Redundant tasks that workers were given, hedges among them.
    pub redundant: u64,
    /// Groups that got no redundant tasks because queries were waiting.
    pub shed: u64,
    /// Redundant tasks that were taken back before a worker began.
    pub cancelled: u64,
    /// Queries that were sent again because their worker had failed and the code could not help.
    pub retries: u64,
    /// Late queries that were sent a second time.
    pub hedges: u64,
    /// Reconstructed answers that were held back because their margin was too small.
    pub doubtful: u64,
    /// Tasks that a worker failed; not those that it refused for the query.
    pub failures: u64,
    /// Groups that the code failed to encode, or outputs to decode: an encoder that does not fit the
    /// model, or sums that are too large.
    pub uncoded: u64,
    /// True answers that came after a reconstructed one and had the same largest output.
    pub agreed: u64,
    /// Those that had another.
    pub disagreed: u64,
}

/// Time that coding took since the engine was made, by the clock of the machine also where
/// tokio's clock is paused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodingTime {
    /// Groups that were encoded.
    pub encoded: u64,
    /// How long that took.
    pub encoding: Duration,
    /// Answers that were reconstructed.
    pub decoded: u64,
    /// How long that took.
    pub decoding: Duration,
}
