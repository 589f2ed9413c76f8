//! Attacks that send one message repeatedly.

use rand::RngCore;

use crate::aggregate::CountMatrix;

use super::harness::{Adaptive, Destination, Move, Oblivious, Plant, Protocol};

/// All corrupted clients send the same message. This is the strongest attack in a central protocol, or
/// if clients choose their own hash function. In a hash design every group has its own cell of the
/// promoted symbol.
#[derive(Clone, Copy, Debug)]
pub struct SameMessage {
    /// The symbol that all messages support.
    pub symbol: usize,
}

impl Oblivious for SameMessage {
    fn plan(&mut self, protocol: &Protocol<'_>, budget: u64, rng: &mut dyn RngCore) -> Vec<Plant> {
        let cells = protocol.matrix().cells();
        let rows = protocol.matrix().rows_of(self.symbol);
        super::promote::victims_at_random(protocol, budget, rng)
            .into_iter()
            .map(|(group, number)| Plant {
                group,
                to: Destination::Cell(rows[group] as usize % cells),
                number,
            })
            .collect()
    }
}

/// All messages of a few groups name one cell. In an algebraic design, in which a row is an independent
/// direction, no decoder detects it.
#[derive(Clone, Copy, Debug)]
pub struct RowTakeover {
    /// The first group; the next ones follow while the budget lasts.
    pub group: usize,
    /// The cell of all messages.
    pub cell: usize,
}

impl Adaptive for RowTakeover {
    fn plan(
        &mut self,
        protocol: &Protocol<'_>,
        counts: &CountMatrix,
        budget: u64,
        _rng: &mut dyn RngCore,
    ) -> Vec<Move> {
        let mut left = budget;
        let mut plan = Vec::new();
        for offset in 0..counts.groups() {
            let group = (self.group + offset) % counts.groups();
            for from in 0..protocol.matrix().cells() {
                if from == self.cell {
                    continue;
                }
                let number = counts.group(group)[from].min(left);
                left -= number;
                plan.push(Move {
                    group,
                    from,
                    to: Destination::Cell(self.cell),
                    number,
                });
            }
            if left == 0 {
                break;
            }
        }
        plan
    }
}
