//! Background transfers that slow pairs of workers.

use std::time::Duration;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use septet_core::seed::SeedTree;
use tokio::time::Instant;

use super::{LoadError, check};

/// Network flows between random pairs of workers, as in the evaluation of Parity Models: each flow transfers
/// 128 to 256 MB over a link of 1.25 Gb/s (0.8 to 1.6 s), then moves to another pair. The service time of
/// a worker with `m` flows is multiplied by `1 + m * weight`.
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

/// The size of a transfer, in megabytes.
const SIZE: std::ops::RangeInclusive<f64> = 128.0..=256.0;
/// The bandwidth of a link, in megabytes per second.
const BANDWIDTH: f64 = 1250.0 / 8.0;

impl Shuffle {
    /// `flows` concurrent flows among `workers` workers.
    ///
    /// # Errors
    ///
    /// When the weight is negative or not finite.
    pub fn new(
        workers: usize,
        flows: usize,
        weight: f64,
        seed: &SeedTree,
    ) -> Result<Self, LoadError> {
        check("weight", "0 or more", weight, weight >= 0.0)?;
        let idle = Flow {
            pair: [0; 2],
            end: None,
        };
        Ok(Self {
            workers,
            weight,
            flows: vec![idle; flows],
            rng: seed.child("shuffle").rng(),
        })
    }

    /// The current slowdown of a worker, as a factor.
    pub(super) fn slowdown(&mut self, worker: usize) -> f64 {
        let now = Instant::now();
        // Advance every flow to the present: finished transfers are followed by new ones.
        for flow in &mut self.flows {
            let mut end = flow.end.unwrap_or(now);
            while end <= now {
                let seconds = self.rng.random_range(SIZE) / BANDWIDTH;
                end += Duration::from_secs_f64(seconds);
                if self.workers > 1 {
                    // Two different workers, all pairs equally likely.
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
