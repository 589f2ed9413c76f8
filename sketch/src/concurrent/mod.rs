//! Sketches that several threads update.
//!
//! [`Sharded`] gives each thread a sketch of its own and merges them on demand: the fastest, for any
//! mergeable sketch, at the cost of one sketch per thread. [`AtomicCountMin`] is one table of atomic
//! counters.

mod atomic_count_min;
mod sharded;

pub use atomic_count_min::AtomicCountMin;
pub use sharded::Sharded;
