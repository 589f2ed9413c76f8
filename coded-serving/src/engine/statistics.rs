//! What the engine counts.

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
    /// Redundant tasks that were sent to a worker.
    pub redundant: u64,
    /// Redundant tasks that were not made because queries were waiting.
    pub shed: u64,
    /// Redundant tasks that were taken back before a worker began.
    pub cancelled: u64,
    /// Tasks that a worker failed.
    pub failures: u64,
    /// True answers that came after a reconstructed one and had the same largest output.
    pub agreed: u64,
    /// Those that had another.
    pub disagreed: u64,
}
