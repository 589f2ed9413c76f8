//! How much of a stream a network would cover.

use super::Network;
use super::network::score_in_batches;
use crate::metrics::coverage_at;

/// The shares of the keys at which the paper watches coverage.
pub const MONITORED_SHARES: [f64; 8] = [0.01, 0.02, 0.05, 0.10, 0.20, 0.30, 0.50, 0.75];

/// What the best keys by score cover of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coverage {
    /// The share of the keys that get a counter of their own.
    pub share: f64,
    /// The share of the stream that they make up.
    pub covered: f64,
    /// The share of the stream that the keys with the largest counts make up.
    pub ideal: f64,
}

/// The coverage of a network at [`MONITORED_SHARES`], on keys with their counts: those of a later
/// window than the training's, or nothing is learned from it. To watch a training, call it every so
/// many steps, from the progress callback of [`Trainer::fit`](super::Trainer::fit).
///
/// # Panics
///
/// When there are not as many counts as keys.
pub fn monitor<K>(network: &impl Network<K>, keys: &[K], counts: &[u64]) -> Vec<Coverage> {
    let references: Vec<&K> = keys.iter().collect();
    let mut scores = vec![0.0; keys.len()];
    score_in_batches(network, &references, &mut scores);
    let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
    let ranked_by_count: Vec<f64> = counts.iter().map(|&count| count as f64).collect();
    let covered = coverage_at(counts, &scores, &MONITORED_SHARES);
    let ideal = coverage_at(counts, &ranked_by_count, &MONITORED_SHARES);
    MONITORED_SHARES
        .into_iter()
        .zip(covered)
        .zip(ideal)
        .map(|((share, covered), ideal)| Coverage {
            share,
            covered,
            ideal,
        })
        .collect()
}
