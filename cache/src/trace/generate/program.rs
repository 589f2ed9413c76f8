//! Memory accesses of loops over arrays that resemble programs of SPEC CPU2006: small substitutes
//! where traces of the programs themselves are unavailable.
//!
//! The accesses are those that reach the last-level cache: one per use of a 64-byte line. The lines
//! map to 64 of the 2 048 sets of a 16-way cache of 2 MiB, as in set-sampled traces, so that the cache
//! holds 1 024 lines.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::Requests;
use crate::trace::record::Record;

/// The shape of a program's loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Network simplex: passes over an array of arcs, some of which access their two nodes in a
    /// fixed order, with occasional walks from a tree node to the root.
    Mcf,
    /// Gates on a quantum register: each scans the whole array.
    Libquantum,
    /// A lattice Boltzmann method: sweeps from one grid into the other, alternating.
    Lbm,
    /// Path search on a grid: local steps with a heap, within a moving window of the grid.
    Astar,
}

/// An access as a line number within the arrays, and the loop that makes it.
type Access = (u64, u64);

/// Appends the accesses of the next round of the program.
type Rounds = Box<dyn FnMut(&mut Vec<Access>) + Send>;

impl Program {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mcf => "mcf-like",
            Self::Libquantum => "libquantum-like",
            Self::Lbm => "lbm-like",
            Self::Astar => "astar-like",
        }
    }

    /// The infinite accesses of the program on arrays of `lines` lines in total (at least 64).
    pub(super) fn accesses(self, lines: u64, mut rng: ChaCha8Rng) -> Requests {
        let mut rounds: Rounds = match self {
            Self::Mcf => {
                let mut network = Network::new(lines, &mut rng);
                Box::new(move |accesses| network.pass(&mut rng, accesses))
            }
            Self::Libquantum => Box::new(move |accesses| {
                let gate = rng.random_range(0..3);
                accesses.extend((0..lines).map(|line| (line, gate)));
            }),
            Self::Lbm => {
                let mut from_first = false;
                Box::new(move |accesses| {
                    from_first = !from_first;
                    sweep(lines / 2, from_first, accesses);
                })
            }
            Self::Astar => {
                let mut search = Search::new(lines);
                Box::new(move |accesses| search.run(&mut rng, accesses))
            }
        };
        let round = std::iter::repeat_with(move || {
            let mut accesses = Vec::new();
            rounds(&mut accesses);
            accesses
        });
        Box::new(round.flatten().map(|(line, place)| record(line, place)))
    }
}

fn record(line: u64, place: u64) -> Record {
    const SAMPLED_SETS: u64 = 64;
    const SETS: u64 = 2048;
    const LINE_BYTES: u64 = 64;
    const ARRAYS: u64 = 0x1000_0000;
    const CODE: u64 = 0x40_0000;
    const CODE_BYTES: u64 = 0x20;
    // Lines fill the sampled sets first; the next ones go to the same sets with another tag.
    let spread = line / SAMPLED_SETS * SETS + line % SAMPLED_SETS;
    Record {
        pc: Some(CODE + place * CODE_BYTES),
        ..Record::from_id(ARRAYS + spread * LINE_BYTES)
    }
}

/// The arrays of the network simplex: arcs in the first two thirds of the lines, nodes in the rest.
struct Network {
    arcs: u64,
    nodes: u64,
    /// By line of arcs: the lines of its two nodes, if it accesses them.
    ends: Vec<Option<(u64, u64)>>,
}

impl Network {
    fn new(lines: u64, rng: &mut ChaCha8Rng) -> Self {
        let arcs = lines * 2 / 3;
        let nodes = lines - arcs;
        // Tails are uniform; heads are skewed towards low numbers.
        let mut tails: Vec<u64> = (0..arcs).map(|arc| arc % nodes).collect();
        tails.shuffle(rng);
        let ends = tails
            .into_iter()
            .map(|tail| {
                let head = skewed(nodes, rng);
                rng.random_bool(0.4).then_some((tail, head))
            })
            .collect();
        Self { arcs, nodes, ends }
    }

    fn pass(&mut self, rng: &mut ChaCha8Rng, accesses: &mut Vec<Access>) {
        // A pass scans all arcs, with about eight walks from a random node to the root of a binary heap.
        let between_walks = self.arcs / 8 + 1;
        for (arc, ends) in (0..self.arcs).zip(&self.ends) {
            accesses.push((arc, 0));
            if let Some((tail, head)) = ends {
                accesses.push((self.arcs + tail, 1));
                accesses.push((self.arcs + head, 2));
            }
            if arc % between_walks == 0 {
                let mut node = rng.random_range(0..self.nodes);
                while node > 0 {
                    accesses.push((self.arcs + node, 3));
                    node /= 2;
                }
            }
        }
    }
}

/// The minimum of two uniform numbers below `count`, skewed towards low numbers.
fn skewed(count: u64, rng: &mut ChaCha8Rng) -> u64 {
    let first = rng.random_range(0..count);
    first.min(rng.random_range(0..count))
}

/// One sweep between two grids of `grid` lines, reading one plane ahead.
fn sweep(grid: u64, from_first: bool, accesses: &mut Vec<Access>) {
    // Reads run one plane ahead of writes, as in a stencil on a three-dimensional grid.
    let plane = grid / 8;
    let (source, target) = match from_first {
        true => (0, grid),
        false => (grid, 0),
    };
    for line in 0..grid {
        accesses.push((source + (line + plane) % grid, 4));
        accesses.push((target + line, 5));
    }
}

/// A heap, then a square map. The searched window moves over the map band by band, so that past
/// popularity does not predict future popularity.
struct Search {
    heap: u64,
    /// Lines per side of the map.
    side: u64,
    /// Lines per side of the searched window.
    window: u64,
    /// The lowest corner of the window.
    corner: (u64, u64),
    place: (u64, u64),
}

impl Search {
    fn new(lines: u64) -> Self {
        let heap = (lines / 64).max(1);
        let side = (lines - heap).isqrt();
        Self {
            heap,
            side,
            window: (side / 8).max(2),
            corner: (0, 0),
            place: (0, 0),
        }
    }

    /// Walks to a random goal in the window, mostly directly, and accesses neighbors at each step.
    fn run(&mut self, rng: &mut ChaCha8Rng, accesses: &mut Vec<Access>) {
        let goal = (
            self.corner.0 + rng.random_range(0..self.window),
            self.corner.1 + rng.random_range(0..self.window),
        );
        let mut open = 1;
        while self.place != goal {
            let (column, row) = self.place;
            for (place, row) in [(6, row.saturating_sub(1)), (7, row), (8, row + 1)] {
                if row < self.side {
                    accesses.push((self.heap + row * self.side + column, place));
                }
            }
            // The new entry sifts up from the end of the heap.
            let mut entry = open % self.heap;
            open += 1;
            while entry > 0 {
                accesses.push((entry, 9));
                entry /= 4;
            }
            self.place = if rng.random_bool(0.7) {
                (towards(column, goal.0), towards(row, goal.1))
            } else {
                (wander(column, self.side, rng), wander(row, self.side, rng))
            };
        }
        self.advance_window();
    }

    fn advance_window(&mut self) {
        let end = self.side - self.window;
        self.corner.0 += 1;
        if self.corner.0 > end {
            self.corner.0 = 0;
            self.corner.1 += self.window;
        }
        if self.corner.1 > end {
            self.corner.1 = 0;
        }
    }
}

fn towards(from: u64, to: u64) -> u64 {
    match from.cmp(&to) {
        std::cmp::Ordering::Less => from + 1,
        std::cmp::Ordering::Equal => from,
        std::cmp::Ordering::Greater => from - 1,
    }
}

fn wander(from: u64, side: u64, rng: &mut ChaCha8Rng) -> u64 {
    (from + rng.random_range(0..3))
        .saturating_sub(1)
        .min(side - 1)
}

#[cfg(test)]
mod tests {
    use septet_core::seed::SeedTree;

    use crate::PolicySpec;
    use crate::predict::{Popularity, predictions};
    use crate::set_associative::{Geometry, SetAssociative};
    use crate::trace::Trace;
    use crate::trace::generate::Pattern;

    /// Misses of a policy that follows predictions by popularity, and of LRU, in a cache of 16
    /// ways.
    fn misses(pattern: &str) -> (u64, u64) {
        let seed = SeedTree::new(1);
        let pattern: Pattern = pattern.parse().unwrap();
        let requests = pattern.requests(&seed).unwrap().take(100_000);
        let trace = Trace::from_records(requests.map(Ok)).unwrap();
        let mut sets = SetAssociative::split(&trace, Geometry::STUDY).unwrap();
        let each = sets.sets().to_vec();
        sets.predict_each(|set| Ok(predictions(&mut Popularity::default(), &each[set])))
            .unwrap();
        let [follow, lru] = ["FtP", "LRU"].map(|name| {
            let policy: PolicySpec = name.parse().unwrap();
            let tally = sets.replay(|_| policy.build(16, &seed)).unwrap();
            tally.misses
        });
        (follow, lru)
    }

    /// The regimes of the programs that the shapes are taken from.
    #[test]
    fn predictions_by_popularity_win_or_lose() {
        for program in ["mcf-like", "libquantum-like", "lbm-like"] {
            let (follow, lru) = misses(program);
            assert!(follow * 100 < lru * 95, "{program}: {follow} to {lru}");
        }
        let (follow, lru) = misses("astar-like");
        assert!(follow * 100 > lru * 120, "astar-like: {follow} to {lru}");
    }
}
