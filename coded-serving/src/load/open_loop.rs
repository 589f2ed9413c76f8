//! An open-loop load generator.

use std::future::Future;
use std::time::Duration;

use hdrhistogram::Histogram;
use septet_core::seed::SeedTree;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::engine::{Prediction, Provenance, ServeError};

use super::Arrivals;

/// How a query ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Answered by the worker that the query was sent to.
    Direct,
    /// Answered by reconstruction.
    Reconstructed,
    /// Rejected: overload or shutdown.
    Rejected,
    /// Failed.
    Failed,
}

impl From<&Result<Prediction, ServeError>> for Outcome {
    fn from(result: &Result<Prediction, ServeError>) -> Self {
        match result {
            Ok(prediction) => match prediction.provenance {
                Provenance::Direct { .. } => Self::Direct,
                Provenance::Reconstructed { .. } => Self::Reconstructed,
            },
            Err(ServeError::Overloaded { .. } | ServeError::ShuttingDown) => Self::Rejected,
            Err(_) => Self::Failed,
        }
    }
}

/// The outcomes of all queries, and the latencies of those that were answered, from their scheduled time.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Direct answers.
    pub direct: u64,
    /// Reconstructed answers.
    pub reconstructed: u64,
    /// Rejected queries.
    pub rejected: u64,
    /// Failed queries.
    pub failed: u64,
    /// From the first scheduled query to the end of the last one.
    pub elapsed: Duration,
    /// In microseconds, to three significant digits.
    latencies: Histogram<u64>,
}

impl Summary {
    fn new() -> Self {
        Self {
            direct: 0,
            reconstructed: 0,
            rejected: 0,
            failed: 0,
            elapsed: Duration::ZERO,
            // From 1 microsecond to an hour.
            latencies: Histogram::new_with_bounds(1, 3_600_000_000, 3)
                .unwrap_or_else(|_| unreachable!("the bounds are valid")),
        }
    }

    fn count(&mut self, outcome: Outcome, latency: Duration) {
        match outcome {
            Outcome::Direct => self.direct += 1,
            Outcome::Reconstructed => self.reconstructed += 1,
            Outcome::Rejected => self.rejected += 1,
            Outcome::Failed => self.failed += 1,
        }
        if matches!(outcome, Outcome::Direct | Outcome::Reconstructed) {
            let microseconds = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
            self.latencies.saturating_record(microseconds);
        }
    }

    /// The number of answered queries.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.direct + self.reconstructed
    }

    /// The number of queries sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.answered() + self.rejected + self.failed
    }

    /// A quantile of the latencies, from 0 to 1, to three significant digits; zero without answers.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.latencies.value_at_quantile(quantile))
    }

    /// The mean latency.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.latencies.mean() / 1e6)
    }

    /// The maximum latency.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.latencies.max())
    }

    /// The fraction of the answers that were reconstructed.
    #[must_use]
    pub fn approximate(&self) -> f64 {
        self.reconstructed as f64 / self.answered().max(1) as f64
    }

    /// Answers per second.
    #[must_use]
    pub fn goodput(&self) -> f64 {
        self.answered() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Sends `count` queries on schedule, and waits until all have ended. `send` gets the index of the query.
///
/// The number of concurrent queries is not limited: the target has to limit its queue. With tokio's clock
/// paused the time is virtual.
pub async fn open_loop<F>(
    count: u64,
    arrivals: Arrivals,
    seed: &SeedTree,
    send: impl Fn(u64) -> F,
) -> Summary
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let mut rng = seed.child("arrivals").rng();
    let mut summary = Summary::new();
    let mut running = JoinSet::new();
    let begin = Instant::now();
    let mut due = begin;
    for number in 0..count {
        if number > 0 {
            due += arrivals.gap(&mut rng);
        }
        sleep_until(due).await;
        let sent = send(number);
        // Latency counts from the scheduled time, so that a late generator shows up as latency.
        running.spawn(async move {
            let outcome = sent.await;
            (outcome, due.elapsed())
        });
        // Collect finished queries as they come, to keep the set small.
        while let Some(done) = running.try_join_next() {
            record(&mut summary, done.ok());
        }
    }
    while let Some(done) = running.join_next().await {
        record(&mut summary, done.ok());
    }
    summary.elapsed = begin.elapsed();
    summary
}

/// Counts a query; one that panicked counts as failed.
fn record(summary: &mut Summary, done: Option<(Outcome, Duration)>) {
    let (outcome, latency) = done.unwrap_or((Outcome::Failed, Duration::ZERO));
    summary.count(outcome, latency);
}
