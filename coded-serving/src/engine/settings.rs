//! The settings of an engine, and their ranges.

use std::time::Duration;

use crate::code::policy::Hedging;

use super::group::MAX_RETRIES;
use super::prediction::ReconstructionPolicy;

/// A setting of an [`EngineBuilder`](super::EngineBuilder) is outside its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: expected {expected}, found {found}")]
pub struct BuildError {
    /// The setting, named as its method of the builder.
    pub setting: &'static str,
    /// The allowed range.
    pub expected: String,
    /// The value.
    pub found: String,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) policy: ReconstructionPolicy,
    pub(super) max_batch_delay: Duration,
    pub(super) max_queue_len: usize,
    pub(super) shed_above: usize,
    pub(super) failure_cooldown: Duration,
    pub(super) min_margin: f32,
    pub(super) retry_budget: f64,
    pub(super) hedging: Option<Hedging>,
}

impl Settings {
    /// The defaults for a pool of `workers`.
    pub(super) fn new(workers: usize) -> Self {
        Self {
            policy: ReconstructionPolicy::default(),
            max_batch_delay: Duration::from_millis(2),
            max_queue_len: 16 * workers.max(1),
            shed_above: workers / 2,
            failure_cooldown: Duration::from_millis(100),
            min_margin: 0.0,
            retry_budget: 0.1,
            hedging: None,
        }
    }

    /// Checks all ranges. Written so that NaN is outside of each.
    pub(super) fn check(&self) -> Result<(), BuildError> {
        // One error at a time, in the order of the builder's methods.
        let error = |setting, expected: &str, found: &dyn ToString| BuildError {
            setting,
            expected: expected.to_owned(),
            found: found.to_string(),
        };
        if let ReconstructionPolicy::AfterQuantile(quantile) = self.policy
            && !(0.0..=1.0).contains(&quantile)
        {
            return Err(error("policy", "a quantile from 0 to 1", &quantile));
        }
        if self.max_queue_len == 0 {
            return Err(error("max_queue_len", "at least 1", &self.max_queue_len));
        }
        if !(self.min_margin.is_finite() && self.min_margin >= 0.0) {
            let expected = "a finite number, at least 0";
            return Err(error("min_margin", expected, &self.min_margin));
        }
        // No query is retried more often, so a larger budget has no meaning.
        let max = f64::from(MAX_RETRIES);
        if !(0.0..=max).contains(&self.retry_budget) {
            let expected = format!("0 to {max} retries per query");
            return Err(error("retry_budget", &expected, &self.retry_budget));
        }
        Ok(())
    }

    /// The latency quantiles after which answers are reconstructed and hedges are sent.
    pub(super) fn quantiles(&self) -> [Option<f64>; 2] {
        let policy = match self.policy {
            ReconstructionPolicy::AfterQuantile(quantile) => Some(quantile),
            _ => None,
        };
        [policy, self.hedging.map(Hedging::quantile)]
    }
}
