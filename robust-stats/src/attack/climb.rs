//! Hill climbing: a black-box search against a decoder, to detect decoders that resist only known
//! attacks.

use rand::{Rng, RngCore};

use crate::aggregate::CountMatrix;

use super::harness::{Adaptive, Destination, Move, Protocol};

/// Moves batches of messages between cells of a group while the damage increases.
///
/// It starts from the plan of another adversary, if given. Each step reverts a random batch (if the
/// budget is spent) and moves another one.
pub struct HillClimb<'a> {
    /// The objective as a function of the received counts, usually the error of a decoder.
    pub damage: Box<dyn FnMut(&CountMatrix) -> f64 + 'a>,
    /// Number of steps.
    pub steps: usize,
    /// The adversary that supplies the initial plan.
    pub start: Option<Box<dyn Adaptive + 'a>>,
}

impl std::fmt::Debug for HillClimb<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HillClimb")
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

/// The counts after a plan.
pub(super) fn apply(counts: &CountMatrix, plan: &[Move]) -> CountMatrix {
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
        // 1. The initial plan and its damage.
        let mut plan = match &mut self.start {
            Some(start) => start.plan(protocol, counts, budget, rng),
            None => Vec::new(),
        };
        plan.retain(|step| step.number > 0);
        let mut max_damage = (self.damage)(&apply(counts, &plan));
        let batch = budget.div_ceil(8);
        for _ in 0..self.steps {
            // 2. Free budget for one batch by reverting a random move.
            let mut candidate = plan.clone();
            let spent: u64 = candidate.iter().map(|step| step.number).sum();
            let mut room = budget.saturating_sub(spent);
            if room < batch && !candidate.is_empty() {
                let taken = candidate.swap_remove(rng.random_range(0..candidate.len()));
                room += taken.number;
                // Revert only one batch of a longer run.
                if taken.number > batch {
                    candidate.push(Move {
                        number: taken.number - batch,
                        ..taken
                    });
                    room -= taken.number - batch;
                }
            }
            // 3. Move a random batch, at most the messages of the cell that the plan has not moved yet.
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
            // 4. Keep the candidate only if the damage increases.
            let damage = (self.damage)(&apply(counts, &candidate));
            if damage > max_damage {
                max_damage = damage;
                plan = candidate;
            }
        }
        plan
    }
}
