//! Sign alignment: the strongest attack on linear decoders of hash designs.

use rand::{Rng, RngCore};

use crate::aggregate::CountMatrix;

use super::harness::{Adaptive, Destination, Move, Oblivious, Plant, Protocol};

/// Shifts the linear estimate along a sign vector and maximizes the shift by alternating optimization:
/// victims follow from the signs, and signs from the resulting bias.
#[derive(Clone, Copy, Debug)]
pub struct SignAlign {
    /// Maximum number of alternations of signs and victims.
    pub rounds: usize,
    /// Number of restarts from random signs, of which the best is taken.
    pub restarts: usize,
}

impl Default for SignAlign {
    fn default() -> Self {
        Self {
            rounds: 10,
            restarts: 3,
        }
    }
}

impl SignAlign {
    /// Alternating optimization. `plan` makes a plan from the alignment of every cell with the signs;
    /// `push` adds its effect on every cell.
    fn improve<P>(
        self,
        protocol: &Protocol<'_>,
        rng: &mut dyn RngCore,
        plan: impl Fn(&[f64]) -> P,
        push: impl Fn(&P, &mut [f64]),
    ) -> Option<P> {
        let matrix = protocol.matrix();
        let k = matrix.symbols();
        let mut pushes = vec![0.0; matrix.groups() * matrix.cells()];
        let mut bias = vec![0.0; k];
        let mut alignment = vec![0.0; pushes.len()];
        let mut best: Option<(f64, P)> = None;
        // Alternate from several random sign vectors, because the objective has local maxima.
        for _ in 0..self.restarts.max(1) {
            let mut signs: Vec<f64> = (0..k)
                .map(|_| if rng.random::<bool>() { 1.0 } else { -1.0 })
                .collect();
            let mut last = 0.0;
            for _ in 0..self.rounds.max(1) {
                // Step 1: the best plan for these signs.
                matrix.cell_masses(&signs, &mut alignment);
                let candidate = plan(&alignment);
                // Step 2: the bias of the linear estimate under this plan.
                pushes.fill(0.0);
                push(&candidate, &mut pushes);
                matrix.sum_over_cells(&pushes, &mut bias);
                // The sum of the estimate is fixed, so the mean of the bias has no effect.
                let mean = bias.iter().sum::<f64>() / k as f64;
                let size: f64 = bias.iter().map(|b| (b - mean).abs()).sum();
                if best.as_ref().is_none_or(|(max, _)| size > *max) {
                    best = Some((size, candidate));
                }
                // Each step maximizes over one argument, so the size is monotone until it converges.
                if size <= last {
                    break;
                }
                last = size;
                for (sign, b) in signs.iter_mut().zip(&bias) {
                    *sign = if *b >= mean { 1.0 } else { -1.0 };
                }
            }
        }
        best.map(|(_, plan)| plan)
    }
}

/// The cell of a group with the maximum alignment; the first of several.
fn best_aligned(alignment: &[f64]) -> usize {
    let mut best = 0;
    for (cell, &value) in alignment.iter().enumerate() {
        if value > alignment[best] {
            best = cell;
        }
    }
    best
}

/// The adversary that controls clients from the start and chooses them: all clients of the groups with
/// the best aligned cell.
impl Oblivious for SignAlign {
    fn plan(&mut self, protocol: &Protocol<'_>, budget: u64, rng: &mut dyn RngCore) -> Vec<Plant> {
        let cells = protocol.matrix().cells();
        let plan = |alignment: &[f64]| {
            // Greedy: clients are interchangeable within a group, so fill the groups by their best alignment.
            let mut options: Vec<(f64, usize, usize)> = alignment
                .chunks_exact(cells)
                .enumerate()
                .map(|(group, alignment)| {
                    let best = best_aligned(alignment);
                    (alignment[best], group, best)
                })
                .collect();
            options.sort_by(|a, b| b.0.total_cmp(&a.0));
            let mut left = budget;
            let mut plan = Vec::new();
            for (_, group, cell) in options {
                let number = protocol.sizes()[group].min(left);
                left -= number;
                plan.push(Plant {
                    group,
                    to: Destination::Cell(cell),
                    number,
                });
                if left == 0 {
                    break;
                }
            }
            plan
        };
        // The effect of the plan: cells gain the messages of their victims.
        let push = |plan: &Vec<Plant>, pushes: &mut [f64]| {
            for plant in plan {
                if let Destination::Cell(cell) = plant.to {
                    pushes[plant.group * cells + cell] += plant.number as f64;
                }
            }
        };
        self.improve(protocol, rng, plan, push).unwrap_or_default()
    }
}

/// The adversary that sees the messages and replaces those that oppose the signs most.
impl Adaptive for SignAlign {
    fn plan(
        &mut self,
        protocol: &Protocol<'_>,
        counts: &CountMatrix,
        budget: u64,
        rng: &mut dyn RngCore,
    ) -> Vec<Move> {
        let cells = protocol.matrix().cells();
        let plan = |alignment: &[f64]| {
            // Greedy: a moved message gains the difference of alignments, so move in descending order of gain.
            let mut options: Vec<(f64, Move)> = Vec::new();
            for (group, alignment) in alignment.chunks_exact(cells).enumerate() {
                let best = best_aligned(alignment);
                for (from, &value) in alignment.iter().enumerate() {
                    let gain = alignment[best] - value;
                    if gain > 0.0 {
                        options.push((
                            gain,
                            Move {
                                group,
                                from,
                                to: Destination::Cell(best),
                                number: counts.group(group)[from],
                            },
                        ));
                    }
                }
            }
            options.sort_by(|a, b| b.0.total_cmp(&a.0));
            let mut left = budget;
            let mut plan = Vec::new();
            for (_, mut step) in options {
                step.number = step.number.min(left);
                left -= step.number;
                plan.push(step);
                if left == 0 {
                    break;
                }
            }
            plan
        };
        // The effect of the plan: the original cells lose messages, the destinations gain them.
        let push = |plan: &Vec<Move>, pushes: &mut [f64]| {
            for step in plan {
                if let Destination::Cell(cell) = step.to {
                    pushes[step.group * cells + step.from] -= step.number as f64;
                    pushes[step.group * cells + cell] += step.number as f64;
                }
            }
        };
        self.improve(protocol, rng, plan, push).unwrap_or_default()
    }
}
