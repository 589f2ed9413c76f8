//! Counters of an engine.

use std::time::Duration;

/// Counts since the engine was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Accepted queries.
    pub accepted: u64,
    /// Queries rejected because the queue was full or the engine was draining.
    pub rejected: u64,
    /// Answers computed by the worker that the query was sent to.
    pub direct: u64,
    /// Answers reconstructed from other tasks of the group.
    pub reconstructed: u64,
    /// Queries that ended with an error because too many outputs of their group were lost.
    pub lost: u64,
    /// Queries whose client timed out or disconnected first.
    pub abandoned: u64,
    /// Closed groups.
    pub groups: u64,
    /// Queries in closed groups.
    pub grouped: u64,
    /// Tasks sent to workers, of all kinds.
    pub tasks: u64,
    /// Redundant tasks sent to workers, hedges included.
    pub redundant: u64,
    /// Groups that were sent without redundant tasks because of load.
    pub shed: u64,
    /// Redundant tasks cancelled before a worker started them.
    pub cancelled: u64,
    /// Failed queries sent again because the code could not reconstruct them.
    pub retries: u64,
    /// Late queries sent a second time.
    pub hedges: u64,
    /// Reconstructed answers withheld because of their small margin.
    pub withheld: u64,
    /// Tasks that failed on a worker; queries that a worker rejected are not counted.
    pub failures: u64,
    /// Groups that the code failed to encode or decode: an encoder for another model, or an overflow.
    pub coding_failures: u64,
    /// Direct outputs that arrived after a reconstructed answer and had the same argmax.
    pub agreed: u64,
    /// Direct outputs that arrived after a reconstructed answer and had another argmax.
    pub disagreed: u64,
}

/// Time spent coding since the engine was built. This is wall-clock time, also when tokio's clock is
/// paused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodingTime {
    /// Encoded groups.
    pub encoded: u64,
    /// Time spent encoding them.
    pub encoding: Duration,
    /// Reconstructed answers.
    pub decoded: u64,
    /// Time spent decoding them.
    pub decoding: Duration,
}
