//! Attacks on messages in transit: dropping, replaying and relabeling.

use rand::{Rng, RngCore};

use crate::aggregate::CountMatrix;

use super::harness::{Adaptive, Destination, Move, Protocol};

/// Drops messages that support a symbol.
#[derive(Clone, Copy, Debug)]
pub struct Erasure {
    /// The symbol.
    pub symbol: usize,
}

/// Replaces messages that do not support a symbol by ones that claim another group. The server rejects
/// them.
#[derive(Clone, Copy, Debug)]
pub struct WrongGroup {
    /// The symbol.
    pub symbol: usize,
}

/// Replaces messages by copies of honest ones of the same group that support a symbol.
#[derive(Clone, Copy, Debug)]
pub struct Replay {
    /// The symbol.
    pub symbol: usize,
}

/// Up to `budget` messages that support (or do not support) the symbol, as `(group, cell, number)`.
fn messages(
    protocol: &Protocol<'_>,
    counts: &CountMatrix,
    symbol: usize,
    supporting: bool,
    budget: u64,
    rng: &mut dyn RngCore,
) -> Vec<(usize, usize, u64)> {
    let matrix = protocol.matrix();
    let rows = matrix.rows_of(symbol);
    // The messages to choose from.
    let eligible = |group: usize, cell: usize| {
        let own = rows[group] as usize % matrix.cells();
        if (cell == own) == supporting {
            counts.group(group)[cell]
        } else {
            0
        }
    };
    let all = |group: usize| (0..matrix.cells()).map(move |cell| (group, cell));
    // Distribute the budget over groups and cells in proportion to their eligible messages, rounded
    // down, ..
    let total: u64 = (0..counts.groups())
        .flat_map(all)
        .map(|(group, cell)| eligible(group, cell))
        .sum();
    if total == 0 {
        return Vec::new();
    }
    let wanted = budget.min(total);
    let mut left = wanted;
    let start = rng.random_range(0..counts.groups());
    let mut taken = Vec::new();
    for offset in 0..counts.groups() {
        for (group, cell) in all((start + offset) % counts.groups()) {
            let have = eligible(group, cell);
            let share = u128::from(have) * u128::from(wanted) / u128::from(total);
            let number = u64::try_from(share).expect("a share of the budget");
            left -= number;
            taken.push((group, cell, number));
        }
    }
    // .. and give the rest to the first ones, from the random start.
    for (group, cell, number) in &mut taken {
        let more = (eligible(*group, *cell) - *number).min(left);
        *number += more;
        left -= more;
    }
    taken
}

impl Adaptive for Erasure {
    fn plan(
        &mut self,
        protocol: &Protocol<'_>,
        counts: &CountMatrix,
        budget: u64,
        rng: &mut dyn RngCore,
    ) -> Vec<Move> {
        messages(protocol, counts, self.symbol, true, budget, rng)
            .into_iter()
            .map(|(group, from, number)| Move {
                group,
                from,
                to: Destination::Dropped,
                number,
            })
            .collect()
    }
}

impl Adaptive for WrongGroup {
    fn plan(
        &mut self,
        protocol: &Protocol<'_>,
        counts: &CountMatrix,
        budget: u64,
        rng: &mut dyn RngCore,
    ) -> Vec<Move> {
        messages(protocol, counts, self.symbol, false, budget, rng)
            .into_iter()
            .map(|(group, from, number)| Move {
                group,
                from,
                to: Destination::OtherGroup,
                number,
            })
            .collect()
    }
}

impl Adaptive for Replay {
    fn plan(
        &mut self,
        protocol: &Protocol<'_>,
        counts: &CountMatrix,
        budget: u64,
        rng: &mut dyn RngCore,
    ) -> Vec<Move> {
        let matrix = protocol.matrix();
        let rows = matrix.rows_of(self.symbol);
        messages(protocol, counts, self.symbol, false, budget, rng)
            .into_iter()
            .filter_map(|(group, from, number)| {
                let own = rows[group] as usize % matrix.cells();
                // Requires an honest message to copy.
                (counts.group(group)[own] > 0).then_some(Move {
                    group,
                    from,
                    to: Destination::Cell(own),
                    number,
                })
            })
            .collect()
    }
}
