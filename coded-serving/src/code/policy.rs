//! Baselines without redundant tasks: more workers, and hedging.

use super::Cost;
use crate::error::CodeError;

/// The workers that a code would use for redundant tasks serve queries instead (the "equal resources"
/// baseline of Parity Models). Nothing is recovered; queues are shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EqualResources {
    queries: usize,
    redundant: usize,
}

impl EqualResources {
    /// The counterpart of a code with `redundant` tasks per group of `queries`.
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

    /// The number of workers added to a pool of `workers`, rounded down. Saturates at `usize::MAX`.
    #[must_use]
    pub fn extra_workers(self, workers: usize) -> usize {
        // In 128 bits the product cannot overflow.
        let extra = workers as u128 * self.redundant as u128 / self.queries as u128;
        usize::try_from(extra).unwrap_or(usize::MAX)
    }

    /// No cost: nothing is computed or sent twice.
    #[must_use]
    pub fn cost(self) -> Cost {
        Cost::default()
    }
}

/// Sends a late query a second time, and takes the first answer (J. Dean, L. A. Barroso, "The Tail at Scale",
/// CACM 2013).
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
    /// Hedges queries older than this quantile of recent latencies, at most this fraction of all queries.
    ///
    /// # Errors
    ///
    /// When the quantile is not in `(0, 1)` or the budget not in `(0, 1]`.
    pub fn new(quantile: f64, budget: f64) -> Result<Self, CodeError> {
        if !(quantile > 0.0 && quantile < 1.0) {
            let expected = "between 0 and 1, exclusive";
            return Err(CodeError::parameter("quantile", expected, quantile));
        }
        if !(budget > 0.0 && budget <= 1.0) {
            return Err(CodeError::parameter("budget", "above 0, at most 1", budget));
        }
        Ok(Self { quantile, budget })
    }

    /// The quantile of recent latencies after which a query is hedged.
    #[must_use]
    pub fn quantile(self) -> f64 {
        self.quantile
    }

    /// The maximum fraction of queries that are hedged.
    #[must_use]
    pub fn budget(self) -> f64 {
        self.budget
    }

    /// The maximum cost of the hedges, for `queries` queries.
    #[must_use]
    pub fn cost(self, queries: usize) -> Cost {
        let copies = self.budget * queries as f64;
        Cost {
            operations: copies,
            ingress: copies,
        }
    }
}
