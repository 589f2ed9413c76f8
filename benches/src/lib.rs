//! Septet beside its peers: the same work, on the same machine, in the same run.
//!
//! Absolute times say little on a shared machine, so every comparison here interleaves the
//! contenders, measures CPU time and peak memory of whole processes, and prints ratios with their
//! spread. [`cache_peers`] compares the cache simulator with libCacheSim, and `sketch_peers` (feature
//! of the same name) the sketches with other crates.

pub mod cache_peers;
#[cfg(feature = "sketch-peers")]
pub mod sketch_peers;
