//! Reuse distances by program counter.

use std::collections::VecDeque;

use super::{Access, Predictor, entry_mut};
use crate::request::PageId;

/// Weight of a new distance in the moving average.
const LEARNING_RATE: f64 = 1.0 / 16.0;

/// Learns, per instruction, the moving average of the logarithm of the reuse distance. The table has
/// a fixed size and is indexed by a hash of the program counter (of the page, in traces without
/// program counters). An access not repeated within a bounded history counts as twice the history.
/// O(1) per request.
#[derive(Clone, Debug)]
pub struct ReuseTable {
    /// Base-2 logarithm of the distance; NaN before the first one.
    averages: Vec<f64>,
    /// Recent accesses that were not repeated yet, oldest first.
    history: VecDeque<Open>,
    history_limit: usize,
    /// By page: time of its last request, from 1, and the table entry of that request.
    last: Vec<(u32, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    page: PageId,
    /// Time of the access, from 1.
    at: u32,
}

impl ReuseTable {
    /// A table of 2^`bits` entries (`bits` is clamped to 20) with a history of `history` requests
    /// (at least 1).
    #[must_use]
    pub fn new(bits: u32, history: usize) -> Self {
        Self {
            averages: vec![f64::NAN; 1 << bits.min(20)],
            history: VecDeque::new(),
            history_limit: history.max(1),
            last: Vec::new(),
        }
    }

    fn entry(&self, access: &Access) -> u32 {
        let key = access.pc.unwrap_or(u64::from(access.page));
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        hash as u32 & (self.averages.len() as u32 - 1)
    }

    fn learn(&mut self, entry: u32, distance: f64) {
        let average = &mut self.averages[entry as usize];
        let sample = distance.log2();
        if average.is_nan() {
            *average = sample;
        } else {
            *average += LEARNING_RATE * (sample - *average);
        }
    }
}

impl Predictor for ReuseTable {
    fn predict(&mut self, access: &Access) -> f64 {
        let at = access.now + 1;
        let entry = self.entry(access);
        // 1. A repeated access trains the entry of the page's previous access.
        let (before, by) = std::mem::replace(entry_mut(&mut self.last, access.page), (at, entry));
        if before != 0 {
            self.learn(by, f64::from(at.saturating_sub(before).max(1)));
        }
        // 2. Accesses that leave the history unrepeated train their entries with twice its length.
        self.history.push_back(Open {
            page: access.page,
            at,
        });
        while self.history.len() > self.history_limit {
            let Some(open) = self.history.pop_front() else {
                break;
            };
            let (last, by) = self.last[open.page as usize];
            if last == open.at {
                // Not repeated: forget it, so that it is not counted again.
                self.last[open.page as usize] = (0, 0);
                self.learn(by, 2.0 * self.history_limit as f64);
            }
        }
        // 3. Predict by the entry of this access; an untrained one predicts the length of the history.
        let average = self.averages[entry as usize];
        let distance = if average.is_nan() {
            self.history_limit as f64
        } else {
            average.exp2()
        };
        f64::from(access.now) + distance
    }
}
