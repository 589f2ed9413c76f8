//! Queries that are sent when they are due.

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
pub enum Answered {
    /// By the worker that was asked.
    Direct,
    /// From other outputs.
    Reconstructed,
    /// Turned away.
    Rejected,
    /// With an error.
    Failed,
}

impl From<&Result<Prediction, ServeError>> for Answered {
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

/// What came of all queries. Latency counts from when a query was due, for those that were answered.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Answers from the worker that was asked.
    pub direct: u64,
    /// Reconstructed answers.
    pub reconstructed: u64,
    /// Queries that were turned away.
    pub rejected: u64,
    /// Queries that ended with an error.
    pub failed: u64,
    /// From the first query due to the last one ended.
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
            // From 1 microsecond to an hour; three digits are a number that it knows.
            latencies: Histogram::new_with_bounds(1, 3_600_000_000, 3)
                .unwrap_or_else(|_| unreachable!("the bounds are possible")),
        }
    }

    fn count(&mut self, answered: Answered, latency: Duration) {
        match answered {
            Answered::Direct => self.direct += 1,
            Answered::Reconstructed => self.reconstructed += 1,
            Answered::Rejected => self.rejected += 1,
            Answered::Failed => self.failed += 1,
        }
        if matches!(answered, Answered::Direct | Answered::Reconstructed) {
            let microseconds = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
            self.latencies.saturating_record(microseconds);
        }
    }

    /// Queries that were answered.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.direct + self.reconstructed
    }

    /// All queries.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.answered() + self.rejected + self.failed
    }

    /// The latency that this share of the answers did not exceed, to three digits; zero when there
    /// was no answer.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.latencies.value_at_quantile(quantile))
    }

    /// The mean latency.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.latencies.mean() / 1e6)
    }

    /// The longest latency.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.latencies.max())
    }

    /// The share of the answers that were reconstructed.
    #[must_use]
    pub fn approximate(&self) -> f64 {
        self.reconstructed as f64 / self.answered().max(1) as f64
    }

    /// Answers a second.
    #[must_use]
    pub fn goodput(&self) -> f64 {
        self.answered() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Sends `count` queries when they are due, and waits for the last. `send` is given the number of the
/// query.
///
/// As many queries are under way as the target lets wait: bound it there. With tokio's clock paused
/// the time is virtual.
pub async fn open_loop<F>(
    count: u64,
    arrivals: Arrivals,
    seed: &SeedTree,
    send: impl Fn(u64) -> F,
) -> Summary
where
    F: Future<Output = Answered> + Send + 'static,
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
        running.spawn(async move {
            let answered = sent.await;
            (answered, due.elapsed())
        });
        while let Some(done) = running.try_join_next() {
            take(&mut summary, done.ok());
        }
    }
    while let Some(done) = running.join_next().await {
        take(&mut summary, done.ok());
    }
    summary.elapsed = begin.elapsed();
    summary
}

/// Counts a query; one that panicked as failed.
fn take(summary: &mut Summary, done: Option<(Answered, Duration)>) {
    let (answered, latency) = done.unwrap_or((Answered::Failed, Duration::ZERO));
    summary.count(answered, latency);
}
