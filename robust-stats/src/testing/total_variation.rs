//! The total variation statistic, and its minimum under a bounded number of moved samples.

/// A distance in units of `1 / (2 n total)`, exact as an integer.
pub(super) type Distance = u128;

/// `sum_x |N_x total - n weight_x|`: the total variation between counts and a reference, in integer
/// units.
pub(super) fn distance(counts: &[u64], weights: &[u64], total: u64) -> Distance {
    let samples: u64 = counts.iter().sum();
    counts
        .iter()
        .zip(weights)
        .map(|(&count, &weight)| {
            let (have, want) = (
                u128::from(count) * u128::from(total),
                u128::from(samples) * u128::from(weight),
            );
            have.abs_diff(want)
        })
        .sum()
}

/// The minimum distance as a function of the number of moved samples, run-length encoded.
///
/// The distance is a sum of convex functions of the counts, so greedy moves are optimal (by an exchange
/// argument): each from the symbol whose loss decreases the distance most to the one whose gain does.
/// The gains of moves are non-increasing and mostly equal, so the path is short: O(k log k) time and
/// O(k) memory for any number of moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MinimumPath {
    start: Distance,
    /// Runs of `(gain, number of moves)` in descending order of gain.
    steps: Vec<(Distance, u64)>,
}

impl MinimumPath {
    /// The path for grouped counts, where samples move within their group. Each group has counts and
    /// reference weights; all references have the same total.
    pub(super) fn new<'a>(
        groups: impl IntoIterator<Item = (&'a [u64], &'a [u64])>,
        total: u64,
    ) -> Self {
        let mut start = 0;
        let mut steps = Vec::new();
        for (counts, weights) in groups {
            start += distance(counts, weights, total);
            steps_of_group(counts, weights, total, &mut steps);
        }
        steps.sort_unstable_by_key(|&(gain, _)| std::cmp::Reverse(gain));
        Self { start, steps }
    }

    /// The distance without moves.
    pub(super) fn start(&self) -> Distance {
        self.start
    }

    /// The minimum distance after at most `moves` moves.
    pub(super) fn after(&self, moves: u64) -> Distance {
        let mut left = moves;
        let mut distance = self.start;
        for &(gain, number) in &self.steps {
            let made = number.min(left);
            distance -= gain * u128::from(made);
            left -= made;
            if left == 0 {
                break;
            }
        }
        distance
    }

    /// The maximum number of moves after which the distance is still at least `bound`; `None` if it is
    /// below without moves, `u64::MAX` if no number of moves gets below.
    pub(super) fn moves_above(&self, bound: Distance) -> Option<u64> {
        let mut room = self.start.checked_sub(bound)?;
        let mut moves = 0;
        for &(gain, number) in &self.steps {
            // Whole moves of this run that keep the distance at or above the bound.
            let made = u64::try_from(room / gain).unwrap_or(u64::MAX).min(number);
            moves += made;
            room -= gain * u128::from(made);
            if made < number {
                return Some(moves);
            }
        }
        Some(u64::MAX)
    }
}

/// Appends the gains of the moves within one group.
fn steps_of_group(counts: &[u64], weights: &[u64], total: u64, steps: &mut Vec<(Distance, u64)>) {
    let samples: u64 = counts.iter().sum();
    let total = u128::from(total);
    // Removing a sample gains the full `total` while the excess is at least that, then once a
    // partial gain; likewise for adding samples to symbols with a deficit.
    let (mut sources, mut sinks) = (Gains::default(), Gains::default());
    for (&count, &weight) in counts.iter().zip(weights) {
        let have = u128::from(count) * total;
        let want = u128::from(samples) * u128::from(weight);
        if have > want {
            sources.add(have - want, total);
        } else {
            sinks.add(want - have, total);
        }
    }
    sources.finish();
    sinks.finish();
    // Moves with full gain on both sides are one run.
    let full = sources.full.min(sinks.full);
    if full > 0 {
        steps.push((2 * total, full));
    }
    let mut done = full;
    loop {
        let (from, to) = (sources.gain(done, total), sinks.gain(done, total));
        let (Some(from), Some(to)) = (from, to) else {
            break;
        };
        let gain = from + to;
        if gain <= 0 {
            break;
        }
        // Once either side has only partial gains left, every move is its own run.
        steps.push((gain.unsigned_abs(), 1));
        done += 1;
    }
}

/// The gains of removing (or adding) samples, in descending order.
#[derive(Default)]
struct Gains {
    /// Number of samples with the full gain.
    full: u64,
    /// The partial gain of the last sample of each symbol, between minus and plus one unit.
    partial: Vec<i128>,
}

impl Gains {
    fn add(&mut self, excess: u128, unit: u128) {
        self.full += u64::try_from(excess / unit).expect("no more than there are samples");
        // Moving the last, partial sample overshoots: the distance changes by unit - 2 * rest.
        let rest = excess % unit;
        if rest > 0 {
            self.partial.push(2 * rest as i128 - unit as i128);
        }
    }

    fn finish(&mut self) {
        self.partial
            .sort_unstable_by_key(|&gain| std::cmp::Reverse(gain));
    }

    /// The gain of the next sample after `done` samples.
    fn gain(&self, done: u64, unit: u128) -> Option<i128> {
        match done.checked_sub(self.full) {
            None => Some(unit as i128),
            Some(rest) => self.partial.get(usize::try_from(rest).ok()?).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All counts of so many samples over so many symbols.
    fn all_counts(symbols: usize, samples: u64) -> Vec<Vec<u64>> {
        if symbols == 1 {
            return vec![vec![samples]];
        }
        (0..=samples)
            .flat_map(|first| {
                all_counts(symbols - 1, samples - first)
                    .into_iter()
                    .map(move |rest| std::iter::once(first).chain(rest).collect())
            })
            .collect()
    }

    fn moves(a: &[u64], b: &[u64]) -> u64 {
        a.iter().zip(b).map(|(a, b)| a.saturating_sub(*b)).sum()
    }

    /// Reference weights of all shapes, uniform and not, with zeros.
    fn references(symbols: usize) -> Vec<Vec<u64>> {
        let mut references = vec![
            vec![1; symbols],
            (1..=symbols as u64).collect(),
            (0..symbols).map(|x| [5, 1, 0, 7, 2][x]).collect(),
        ];
        references.push((0..symbols).map(|x| u64::from(x == 0) * 3 + 1).collect());
        references
    }

    #[test]
    fn the_path_is_that_of_brute_force() {
        let mut instances = 0;
        for symbols in 1..=5 {
            for samples in 0..=8 {
                let everything = all_counts(symbols, samples);
                for weights in references(symbols) {
                    let total: u64 = weights.iter().sum();
                    let distances: Vec<Distance> = everything
                        .iter()
                        .map(|counts| distance(counts, &weights, total))
                        .collect();
                    for counts in &everything {
                        let path =
                            MinimumPath::new([(counts.as_slice(), weights.as_slice())], total);
                        for budget in 0..=3 {
                            let least = everything
                                .iter()
                                .zip(&distances)
                                .filter(|(other, _)| moves(counts, other) <= budget)
                                .map(|(_, distance)| *distance)
                                .min()
                                .unwrap();
                            assert_eq!(
                                path.after(budget),
                                least,
                                "{counts:?} {weights:?} {budget}"
                            );
                            instances += 1;
                        }
                    }
                }
            }
        }
        assert!(instances > 30_000, "{instances}");
    }

    #[test]
    fn groups_share_the_budget_in_the_best_way() {
        let weights = [3, 2, 1];
        let total = 6;
        let first = all_counts(3, 4);
        let second = all_counts(3, 3);
        for a in &first {
            for b in &second {
                let path = MinimumPath::new(
                    [(a.as_slice(), weights.as_slice()), (b.as_slice(), &weights)],
                    total,
                );
                for budget in 0..=3 {
                    let least = first
                        .iter()
                        .flat_map(|c| second.iter().map(move |d| (c, d)))
                        .filter(|(c, d)| moves(a, c) + moves(b, d) <= budget)
                        .map(|(c, d)| distance(c, &weights, total) + distance(d, &weights, total))
                        .min()
                        .unwrap();
                    assert_eq!(path.after(budget), least);
                }
            }
        }
    }

    #[test]
    fn the_number_of_moves_inverts_the_path() {
        let weights = [5, 1, 0, 7, 2];
        for counts in all_counts(5, 6) {
            let path = MinimumPath::new([(counts.as_slice(), weights.as_slice())], 15);
            for least in 0..path.start() + 2 {
                match path.moves_above(least) {
                    None => assert!(path.start() < least),
                    Some(u64::MAX) => assert!(path.after(1_000) >= least),
                    Some(moves) => {
                        assert!(path.after(moves) >= least);
                        assert!(path.after(moves + 1) < least);
                    }
                }
            }
        }
    }
}
