//! Hill climbing: a search that knows the decoder as a black box, to catch decoders that resist
//! known attacks only.

use rand::{Rng, RngCore};

use crate::aggregate::CountMatrix;

use super::harness::{Adaptive, Destination, Move, Protocol};

/// Moves batches of messages between cells of a group as long as the damage grows.
///
/// It begins with the plan of another adversary, if there is one, and improves on it: each step takes
/// back a random batch that was moved (when the budget is spent) and moves another one.
pub struct HillClimb<'a> {
    /// What the adversary wants to be large, as a function of what arrives: usually the error of a
    /// decoder.
    pub damage: Box<dyn FnMut(&CountMatrix) -> f64 + 'a>,
    /// How many steps it tries.
    pub steps: usize,
    /// Where it begins.
    pub start: Option<Box<dyn Adaptive + 'a>>,
}

impl std::fmt::Debug for HillClimb<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HillClimb")
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

fn apply(counts: &CountMatrix, plan: &[Move]) -> CountMatrix {
    let mut after = counts.clone();
    for step in plan {
        let group = after.group_mut(step.group);
        group[step.from] -= step.number;
        if let Destination::Cell(cell) = step.to {
            group[cell] += step.number;
        }
    }
    after
}

impl Adaptive for HillClimb<'_> {
    fn plan(
        &mut self,
        protocol: &Protocol<'_>,
        counts: &CountMatrix,
        budget: u64,
        rng: &mut dyn RngCore,
    ) -> Vec<Move> {
        let cells = protocol.matrix().cells();
        if budget == 0 || cells < 2 || counts.reports() == 0 {
            return Vec::new();
        }
        let mut plan = match &mut self.start {
            Some(start) => start.plan(protocol, counts, budget, rng),
            None => Vec::new(),
        };
        plan.retain(|step| step.number > 0);
        let mut most = (self.damage)(&apply(counts, &plan));
        let batch = budget.div_ceil(8);
        for _ in 0..self.steps {
            let mut candidate = plan.clone();
            let spent: u64 = candidate.iter().map(|step| step.number).sum();
            let mut room = budget.saturating_sub(spent);
            if room < batch && !candidate.is_empty() {
                let taken = candidate.swap_remove(rng.random_range(0..candidate.len()));
                room += taken.number;
                // Only a batch of a long run is taken back.
                if taken.number > batch {
                    candidate.push(Move {
                        number: taken.number - batch,
                        ..taken
                    });
                    room -= taken.number - batch;
                }
            }
            let group = rng.random_range(0..counts.groups());
            let from = rng.random_range(0..cells);
            let to = (from + rng.random_range(1..cells)) % cells;
            let moved: u64 = candidate
                .iter()
                .filter(|step| step.group == group && step.from == from)
                .map(|step| step.number)
                .sum();
            let number = (counts.group(group)[from] - moved).min(batch).min(room);
            if number == 0 {
                continue;
            }
            candidate.push(Move {
                group,
                from,
                to: Destination::Cell(to),
                number,
            });
            let damage = (self.damage)(&apply(counts, &candidate));
            if damage > most {
                most = damage;
                plan = candidate;
            }
        }
        plan
    }
}
