//! Septet beside its peers: the same work, on the same machine, in the same run.
//!
//! Absolute times say little on a shared machine, so every comparison here interleaves the
//! contenders, measures CPU time and peak memory of whole processes, and prints ratios with their
//! spread. [`cache_peers`] compares the cache simulator with libCacheSim, `sketch_peers` the
//! sketches with other crates, `core_peers` the operators for training with `PyTorch`,
//! `robust_stats_peers` the private mechanisms with pure-ldp and multi-freq-ldpy, and
//! `coded_serving_peers` the prediction server with `MLServer`, each under the feature of its name.

pub mod cache_peers;
#[cfg(feature = "coded-serving-peers")]
pub mod coded_serving_peers;
#[cfg(feature = "core-peers")]
pub mod core_peers;
mod python;
mod record;
#[cfg(feature = "robust-stats-peers")]
pub mod robust_stats_peers;
#[cfg(feature = "sketch-peers")]
pub mod sketch_peers;
