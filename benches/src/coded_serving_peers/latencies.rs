//! Latencies and their quantiles.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Quantiles in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Quantiles {
    /// Half of the latencies do not exceed it.
    pub median: f64,
    /// Of a hundred latencies one exceeds it.
    pub p99: f64,
}

/// Latencies of any length, in nanoseconds to three digits.
#[derive(Debug)]
pub(super) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(super) fn new() -> anyhow::Result<Self> {
        // From a nanosecond to an hour.
        Ok(Self(Histogram::new_with_bounds(1, 3_600_000_000_000, 3)?))
    }

    pub(super) fn add(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanoseconds);
    }

    pub(super) fn merge(&mut self, other: &Self) -> anyhow::Result<()> {
        Ok(self.0.add(&other.0)?)
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(super) fn quantiles(&self) -> Quantiles {
        let of = |quantile| self.0.value_at_quantile(quantile) as f64 * 1e-6;
        Quantiles {
            median: of(0.5),
            p99: of(0.99),
        }
    }
}
