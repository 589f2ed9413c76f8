//! Sketches that several threads update.
//!
//! [`Sharded`] gives each thread a sketch of its own and merges them when asked: the fastest, for
//! any sketch that merges, at the price of the memory of a sketch for each thread.
//! [`AtomicCountMin`] is one table of atomic counters.

mod atomic_count_min;
mod sharded;

pub use atomic_count_min::AtomicCountMin;
pub use sharded::Sharded;
