//! Windows of a stream whose keys return.

use septet_core::experiment::ExperimentError;
use septet_sketch::Key;
use septet_sketch::oracle::Features;

use super::entry::{OracleKind, Window};
use super::oracle_scores::advise;
use super::workload::Trial;

/// A window of a stream whose keys return.
pub(super) struct Keyed<K> {
    pub(super) keys: Vec<K>,
    pub(super) counts: Vec<u64>,
    pub(super) stream: Vec<u32>,
}

/// Trials along a stream: each window from `first` on is tested, with what was learned from up to
/// `memory` windows before the last one, on which thresholds are set.
pub(super) fn along<K: Key + Clone, F: Features<K> + Clone>(
    windows: Vec<Keyed<K>>,
    first: usize,
    memory: usize,
    features: &F,
    oracle_kinds: &[OracleKind],
) -> Result<(Window, Vec<Trial>), ExperimentError> {
    // A test needs a window before it for thresholds, and one before that to learn from.
    if first < 2 || windows.len() <= first {
        let found = windows.len();
        return Err(ExperimentError::new(format!("{found} windows are too few")));
    }
    let mut window_scores = Vec::new();
    for test in first..windows.len() {
        // The window just before the test sets thresholds: learning from it would bias them.
        let past = &windows[(test - 1).saturating_sub(memory)..test - 1];
        let keys: Vec<K> = past.iter().flat_map(|window| window.keys.clone()).collect();
        let counts: Vec<u64> = past
            .iter()
            .flat_map(|window| window.counts.clone())
            .collect();
        window_scores.push(advise(
            oracle_kinds,
            features,
            (&keys, &counts),
            &windows[test - 1].keys,
            &windows[test].keys,
        )?);
    }
    // WindowScores is given, so the keys themselves are no longer needed.
    let mut windows = windows.into_iter().skip(first - 1).map(|window| Window {
        counts: window.counts,
        stream: window.stream,
    });
    // The window before the first test, on which settings are chosen.
    let validation = windows.next();
    let trials = windows
        .zip(window_scores)
        .map(|(test, window_scores)| Trial {
            test,
            window_scores,
        });
    let trials = trials.collect();
    let validation = validation.ok_or_else(|| ExperimentError::new("no window"))?;
    Ok((validation, trials))
}
