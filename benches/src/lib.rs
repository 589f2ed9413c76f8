//! Septet beside its peers: the same work, on the same machine, in the same run.
//!
//! Absolute times say little on a shared machine, so every comparison here interleaves the
//! contenders, measures CPU time and peak memory of whole processes, and prints ratios with their
//! spread. [`cache_peers`] compares the cache simulator with libCacheSim,
//! [`robust_stats_peers`] the private mechanisms with pure-ldp and multi-freq-ldpy.

pub mod cache_peers;
pub mod robust_stats_peers;
