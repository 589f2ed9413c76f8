//! Quantiles of recent latencies.

use std::collections::VecDeque;
use std::time::Duration;

/// The number of latencies kept.
const WINDOW: usize = 512;
/// Latencies needed before a quantile is known, and between two updates of the quantiles.
const MIN_SAMPLES: usize = 64;
const REFRESH_INTERVAL: usize = 16;

/// A sliding window of latencies and the requested quantiles of it.
#[derive(Debug)]
pub(super) struct Latencies {
    requested: [Option<f64>; 2],
    current: [Option<Duration>; 2],
    window: VecDeque<Duration>,
    /// Latencies since the last update.
    since_update: usize,
}

impl Latencies {
    pub(super) fn new(requested: [Option<f64>; 2]) -> Self {
        Self {
            requested,
            current: [None; 2],
            window: VecDeque::new(),
            since_update: 0,
        }
    }

    /// Records the latency of an answer.
    pub(super) fn add(&mut self, latency: Duration) {
        if self.requested == [None; 2] {
            return;
        }
        if self.window.len() == WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(latency);
        // Sorting 512 values takes microseconds; doing it every 16th time keeps that out of the way.
        self.since_update += 1;
        if self.window.len() < MIN_SAMPLES || self.since_update < REFRESH_INTERVAL {
            return;
        }
        self.since_update = 0;
        let mut sorted: Vec<Duration> = self.window.iter().copied().collect();
        sorted.sort_unstable();
        for (current, requested) in self.current.iter_mut().zip(self.requested) {
            *current = requested.and_then(|quantile| {
                // The smallest value that a share `quantile` of the window does not exceed.
                let rank = (quantile.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
                sorted.get(rank.clamp(1, sorted.len()) - 1).copied()
            });
        }
    }

    /// A requested quantile, once the window holds enough latencies.
    pub(super) fn quantile(&self, which: usize) -> Option<Duration> {
        self.current.get(which).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_follows_the_last_answers() {
        let mut latencies = Latencies::new([Some(0.9), None]);
        for ms in 1..=63 {
            latencies.add(Duration::from_millis(ms));
        }
        assert_eq!(latencies.quantile(0), None);
        for _ in 0..2 {
            for ms in 1..=500 {
                latencies.add(Duration::from_millis(ms));
            }
        }
        let quantile = latencies.quantile(0).map(|d| d.as_millis());
        assert!(
            quantile.is_some_and(|ms| (440..=470).contains(&ms)),
            "{quantile:?}"
        );
        assert_eq!(latencies.quantile(1), None);
    }
}
