//! A stream with its test windows: the setting of each method, and its results.

use septet_core::experiment::ExperimentError;
use serde::{Deserialize, Serialize};

use super::entry::{Counter, Entry, OracleKind, Setting, Window, WindowScores};

/// Fractions of the budget after the model that are tried for the table.
const SHARES: [f64; 8] = [0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8];

/// Keys above the threshold for each slot. The paper's 1.1 comes first.
const OVER: [f64; 4] = [1.1, 2.0, 3.0, 5.0];

/// An entry with the properties of its workload on which the result depends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Match {
    pub(super) entry: Entry,
    pub(super) trials: usize,
    /// Keys of the window on which settings are chosen.
    pub(super) keys: usize,
    pub(super) rounds: usize,
}

/// The results of an entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RunResult {
    /// `None` if the budget is too small for the model.
    pub(super) setting: Option<Setting>,
    /// By trial.
    pub(super) errors: Vec<f64>,
    pub(super) coverage: Vec<f64>,
}

/// A test window, with the oracles that were fitted to earlier windows.
pub(super) struct Trial {
    pub(super) test: Window,
    pub(super) window_scores: Vec<WindowScores>,
}

/// A stream with its trials.
pub(super) struct Workload {
    /// The name in titles, and in ids.
    pub(super) title: String,
    pub(super) id: &'static str,
    /// The data set of the stream.
    pub(super) reads: Option<&'static str>,
    /// The name of the replicates, in the plural.
    pub(super) of: &'static str,
    /// Settings are chosen on this window. It is before the test window of the first trial; other
    /// trials have thresholds of their own, by the scores of the window before theirs.
    pub(super) validation: Window,
    pub(super) trials: Vec<Trial>,
    pub(super) budgets: Vec<usize>,
    pub(super) oracle_kinds: Vec<OracleKind>,
    /// The sketches that are run alone.
    pub(super) alone: &'static [Counter],
    /// The sketches that are run behind a table, other than conservative update.
    pub(super) others: Vec<(Counter, OracleKind)>,
    /// Rounds of coordinate descent over the settings.
    pub(super) rounds: usize,
}

impl Trial {
    fn window_scores(&self, entry: &Entry) -> Option<&WindowScores> {
        let of_entry =
            |window_scores: &&WindowScores| Some(window_scores.oracle_kind) == entry.oracle_kind;
        self.window_scores.iter().find(of_entry)
    }
}

impl Workload {
    /// The setting with the smallest error on the validation window found by coordinate descent. `None`
    /// if the budget is too small for every setting.
    fn choose(&self, entry: &Entry) -> Option<Setting> {
        let window_scores = self.trials.first()?.window_scores(entry);
        let known =
            window_scores.map(|window_scores| (window_scores, window_scores.validation.as_slice()));
        let depths = entry.counter.depths();
        let mut best: Option<(f64, Setting)> = None;
        let mut tried = Vec::new();
        // Later rounds return to settings that have been evaluated, and skip them.
        let mut attempt = |setting: Setting| {
            let is_new = !tried.contains(&setting);
            tried.push(setting);
            // Settings that do not fit into the budget are skipped.
            if is_new
                && let Ok((error, _)) = entry.evaluate(&self.validation, known, setting)
                && best.is_none_or(|(min, _)| error < min)
            {
                best = Some((error, setting));
            }
            best.map_or(setting, |(_, setting)| setting)
        };
        // The search starts in the middle of the ranges.
        let mut found = Setting {
            depth: depths[0],
            share: 0.3,
            over: OVER[1],
        };
        // Only models have a quantile threshold, so only there the keys per slot matter.
        let is_model = matches!(entry.oracle_kind, Some(OracleKind::Linear { .. }));
        for _ in 0..self.rounds {
            if entry.oracle_kind.is_some() {
                for share in SHARES {
                    found = attempt(Setting { share, ..found });
                }
            }
            if is_model {
                for over in OVER {
                    found = attempt(Setting { over, ..found });
                }
            }
            for &depth in depths {
                found = attempt(Setting { depth, ..found });
            }
        }
        best.map(|(_, setting)| setting)
    }

    pub(super) fn match_of(&self, entry: Entry) -> Match {
        Match {
            entry,
            trials: self.trials.len(),
            keys: self.validation.counts.len(),
            rounds: self.rounds,
        }
    }

    pub(super) fn run(&self, entry: &Entry) -> Result<RunResult, ExperimentError> {
        let mut result = RunResult {
            setting: self.choose(entry),
            errors: Vec::new(),
            coverage: Vec::new(),
        };
        if let Some(setting) = result.setting {
            for trial in &self.trials {
                let known = trial
                    .window_scores(entry)
                    .map(|window_scores| (window_scores, window_scores.test.as_slice()));
                let (error, coverage) = entry.evaluate(&trial.test, known, setting)?;
                result.errors.push(error);
                result.coverage.push(coverage);
            }
        }
        Ok(result)
    }

    /// All methods, for any budget.
    pub(super) fn methods(&self) -> Vec<(Counter, Option<OracleKind>)> {
        let alone = self.alone.iter().map(|&counter| (counter, None));
        let advised = self
            .oracle_kinds
            .iter()
            .map(|&oracle_kind| (Counter::Conservative, Some(oracle_kind)));
        let others = self
            .others
            .iter()
            .map(|&(counter, oracle_kind)| (counter, Some(oracle_kind)));
        alone.chain(advised).chain(others).collect()
    }
}
