//! Baselines that make no task of their own: what an engine does with spare workers or late queries.

use super::Cost;
use crate::error::CodeError;

/// The workers that a code would use for redundant tasks serve ordinary queries instead: `Parity
/// Models` calls it the fair baseline. Nothing is recovered; queues are shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EqualResources {
    queries: usize,
    redundant: usize,
}

impl EqualResources {
    /// The counterpart of a code with so many redundant tasks for so many queries.
    ///
    /// # Errors
    ///
    /// When there is no query.
    pub fn new(queries: usize, redundant: usize) -> Result<Self, CodeError> {
        if queries == 0 {
            return Err(CodeError::parameter("queries", "at least 1", queries));
        }
        Ok(Self { queries, redundant })
    }

    /// How many workers are added to a pool of `workers`, rounded down; at most as many as can be counted.
    #[must_use]
    pub fn extra_workers(self, workers: usize) -> usize {
        let extra = workers as u128 * self.redundant as u128 / self.queries as u128;
        usize::try_from(extra).unwrap_or(usize::MAX)
    }

    /// Nothing is computed or sent twice.
    #[must_use]
    pub fn cost(self) -> Cost {
        Cost::default()
    }
}

/// A second copy of a query that is late; the first answer wins (J. Dean, L. A. Barroso, "The Tail at
/// Scale", CACM 2013).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hedging {
    quantile: f64,
    budget: f64,
}

impl Default for Hedging {
    /// After the 95th percentile of recent latencies, for at most 5 % of the queries.
    fn default() -> Self {
        Self {
            quantile: 0.95,
            budget: 0.05,
        }
    }
}

impl Hedging {
    /// A copy is sent after this quantile of recent latencies, for at most this share of the queries.
    ///
    /// # Errors
    ///
    /// When a number is outside `(0, 1)`; the budget may be 1.
    pub fn new(quantile: f64, budget: f64) -> Result<Self, CodeError> {
        if !(quantile > 0.0 && quantile < 1.0) {
            let expected = "between 0 and 1, both excluded";
            return Err(CodeError::parameter("quantile", expected, quantile));
        }
        if !(budget > 0.0 && budget <= 1.0) {
            return Err(CodeError::parameter("budget", "above 0, at most 1", budget));
        }
        Ok(Self { quantile, budget })
    }

    /// The quantile of recent latencies after which a copy is sent.
    #[must_use]
    pub fn quantile(self) -> f64 {
        self.quantile
    }

    /// The largest share of queries that are sent twice.
    #[must_use]
    pub fn budget(self) -> f64 {
        self.budget
    }

    /// The most that copies cost, for `queries` queries.
    #[must_use]
    pub fn cost(self, queries: usize) -> Cost {
        let copies = self.budget * queries as f64;
        Cost {
            operations: copies,
            ingress: copies,
        }
    }
}
