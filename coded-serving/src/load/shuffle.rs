//! Transfers in the background that slow pairs of workers.

use std::time::Duration;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;
use tokio::time::Instant;

/// Flows between random pairs of workers, as in the evaluation of Parity Models: each flow moves 128 to
/// 256 MB over a link of 1.25 Gb/s, 0.8 to 1.6 s, then picks another pair. A worker that `m` flows
/// touch takes `1 + m * weight` times as long.
#[derive(Clone, Debug)]
pub struct Shuffle {
    workers: usize,
    weight: f64,
    flows: Vec<Flow>,
    rng: ChaCha8Rng,
}

#[derive(Clone, Copy, Debug)]
struct Flow {
    pair: [usize; 2],
    end: Option<Instant>,
}

/// What a flow moves, in megabytes, and how fast, in megabytes a second.
const SIZE: std::ops::RangeInclusive<f64> = 128.0..=256.0;
const SPEED: f64 = 1250.0 / 8.0;

impl Shuffle {
    /// So many flows among so many workers.
    #[must_use]
    pub fn new(workers: usize, flows: usize, weight: f64, seed: &SeedTree) -> Self {
        let idle = Flow {
            pair: [0; 2],
            end: None,
        };
        Self {
            workers,
            weight,
            flows: vec![idle; flows],
            rng: seed.child("shuffle").rng(),
        }
    }

    /// By how much a worker is slowed now.
    pub(super) fn slowdown(&mut self, worker: usize) -> f64 {
        let now = Instant::now();
        for flow in &mut self.flows {
            let mut end = flow.end.unwrap_or(now);
            while end <= now {
                let seconds = self.rng.random_range(SIZE) / SPEED;
                end += Duration::from_secs_f64(seconds);
                if self.workers > 1 {
                    let first = self.rng.random_range(0..self.workers);
                    let other = self.rng.random_range(0..self.workers - 1);
                    flow.pair = [first, other + usize::from(other >= first)];
                }
            }
            flow.end = Some(end);
        }
        let touching = self.flows.iter().filter(|flow| flow.pair.contains(&worker));
        1.0 + self.weight * touching.count() as f64
    }
}
