//! Quantiles of the times that the last answers took.

use std::collections::VecDeque;
use std::time::Duration;

/// How many answers are looked back upon.
const WINDOW: usize = 512;
/// How many there must be before a quantile is told, and how many come between two looks.
const LEAST: usize = 64;
const EVERY: usize = 16;

/// The last latencies, and the quantiles that somebody waits for.
#[derive(Debug)]
pub(super) struct Latencies {
    asked: [Option<f64>; 2],
    known: [Option<Duration>; 2],
    recent: VecDeque<Duration>,
    since: usize,
}

impl Latencies {
    pub(super) fn new(asked: [Option<f64>; 2]) -> Self {
        Self {
            asked,
            known: [None; 2],
            recent: VecDeque::new(),
            since: 0,
        }
    }

    /// An answer took so long.
    pub(super) fn add(&mut self, latency: Duration) {
        if self.asked == [None; 2] {
            return;
        }
        if self.recent.len() == WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(latency);
        self.since += 1;
        if self.recent.len() < LEAST || self.since < EVERY {
            return;
        }
        self.since = 0;
        let mut sorted: Vec<Duration> = self.recent.iter().copied().collect();
        sorted.sort_unstable();
        for (known, asked) in self.known.iter_mut().zip(self.asked) {
            *known = asked.and_then(|quantile| {
                let place = (quantile.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
                sorted.get(place.clamp(1, sorted.len()) - 1).copied()
            });
        }
    }

    /// A quantile that was asked for, once enough answers are known.
    pub(super) fn quantile(&self, which: usize) -> Option<Duration> {
        self.known.get(which).copied().flatten()
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
