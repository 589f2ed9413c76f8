//! The adversaries against the exact worst case of the min-L1 decoder, for designs of few symbols in two
//! cells.
//!
//! An estimate `q` is the best fit of changed counts if there are dual variables `y` in `[-1, 1]`, one for each
//! row, such that `A^T y` is constant over the symbols (larger where `q` is 0) and `y` is the sign of the residual
//! in every row that does not fit exactly. A row that is worth changing is changed until it fits. The worst case
//! maximizes `||q - truth||_1` over the honest and the changed rows: branch and bound over linear
//! programs, for each sign vector of `q - truth`.

#![expect(clippy::unwrap_used, reason = "what fails in a test is its message")]
#![expect(
    clippy::print_stdout,
    reason = "figures for those who run the test by hand"
)]
#![expect(
    clippy::needless_range_loop,
    reason = "groups and symbols number columns of a linear program"
)]

use clarabel::algebra::CscMatrix;
use clarabel::solver::{
    DefaultSettingsBuilder, DefaultSolver, IPSolver, SolverStatus, SupportedConeT,
};
use septet_core::seed::SeedTree;
use septet_robust_stats::aggregate::CountMatrix;
use septet_robust_stats::attack::{
    Adversary, MajorityShift, MaxCoupling, PlantedShift, SameMessage, SignAlign, attack,
};
use septet_robust_stats::decode::{Decoder, Observation};
use septet_robust_stats::design::{DesignMatrix, DesignParameters, HashDesign};
use septet_robust_stats::{Gamma, Pmf};

/// Clients of each group: rounding to whole counts is negligible noise.
const CLIENTS: u64 = 1_000_000;

/// A design that identifies the distribution.
fn design(symbols: usize, seed: u64) -> DesignMatrix {
    let parameters = DesignParameters::new(symbols, 2, [seed as u8; 32]).unwrap();
    let drawn = parameters.drawn().unwrap().parameters;
    DesignMatrix::from_design(&HashDesign::new(drawn).unwrap()).unwrap()
}

/// The counts of exactly this distribution.
fn exact_counts(matrix: &DesignMatrix, truth: &Pmf) -> CountMatrix {
    let law = matrix.message_distribution(truth.masses());
    let mut counts = Vec::new();
    for group in law.chunks_exact(matrix.cells()) {
        let mut left = CLIENTS;
        for (cell, mass) in group.iter().enumerate() {
            let number = if cell + 1 == group.len() {
                left
            } else {
                ((mass * CLIENTS as f64).round() as u64).min(left)
            };
            left -= number;
            counts.push(number);
        }
    }
    CountMatrix::from_counts(matrix.groups(), matrix.cells(), counts).unwrap()
}

fn estimate(matrix: &DesignMatrix, counts: &CountMatrix) -> Pmf {
    let observation = Observation::from_counts(matrix, counts).unwrap();
    let estimate = Decoder::default()
        .decode(matrix, &observation, Gamma::default())
        .unwrap();
    Pmf::from_weights(&estimate.masses).unwrap()
}

/// What a branch of the search assumes of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Group {
    Free,
    /// Honest, with more (`1`) or less (`-1`) mass in its first cell under the estimate than observed.
    Honest(i8),
    /// Rewritten to the masses of the estimate.
    Changed,
}

/// What a branch assumes of a symbol.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Symbol {
    Free,
    /// The estimated mass is 0.
    Absent,
    /// The estimated mass may be positive.
    Present,
}

/// By how much the estimate must be the better fit, in terms of the dual variables.
const STRICT: f64 = 0.01;

/// What is 0 in a solution of a linear program.
const ZERO: f64 = 1e-5;

struct WorstCase<'a> {
    matrix: &'a DesignMatrix,
    truth: &'a Pmf,
    gamma: f64,
    /// Number of solved programs, and the maximum.
    programs: usize,
    max_programs: usize,
}

/// The solution of a relaxation, in units of `gamma`.
struct Relaxed {
    /// `||q - truth||_1`, an upper bound for the branch.
    value: f64,
    /// `A (q - truth)` in the first cell of each group, at least its absolute value, and the changed part of that.
    changes: Vec<f64>,
    sizes: Vec<f64>,
    changed: Vec<f64>,
    /// The estimate, and the excess of `A^T y` over its minimum.
    estimate: Vec<f64>,
    excess: Vec<f64>,
}

impl<'a> WorstCase<'a> {
    fn new(matrix: &'a DesignMatrix, truth: &'a Pmf, gamma: f64, max_programs: usize) -> Self {
        assert_eq!(
            matrix.cells(),
            2,
            "the changes of the two cells are opposite"
        );
        Self {
            matrix,
            truth,
            gamma,
            programs: 0,
            max_programs,
        }
    }

    /// The maximum movement in total variation if it exceeds `floor`, otherwise `floor`. `None` if there are
    /// too many programs.
    fn find(&mut self, floor: f64) -> Option<f64> {
        let k = self.matrix.symbols();
        let mut best = 2.0 * floor / self.gamma;
        for signs in 1..(1_u32 << k) - 1 {
            let signs: Vec<f64> = (0..k)
                .map(|x| if signs >> x & 1 == 1 { 1.0 } else { -1.0 })
                .collect();
            let mut groups = vec![Group::Free; self.matrix.groups()];
            let mut symbols = vec![Symbol::Free; k];
            self.branch(&signs, &mut groups, &mut symbols, &mut best);
        }
        (self.programs <= self.max_programs).then_some(0.5 * self.gamma * best)
    }

    fn branch(
        &mut self,
        signs: &[f64],
        groups: &mut [Group],
        symbols: &mut [Symbol],
        best: &mut f64,
    ) {
        self.programs += 1;
        if self.programs > self.max_programs {
            return;
        }
        let Some(found) = self.relaxed(signs, groups, symbols) else {
            return;
        };
        if found.value <= *best * (1.0 + 1e-4) {
            return;
        }
        // 1. A group that is partly changed, the most undecided one first; then the largest.
        let urgency = |u: usize| {
            let split = found.changed[u].min(found.sizes[u] - found.changed[u]);
            if split > ZERO {
                1e3 + split
            } else {
                found.sizes[u]
            }
        };
        let group = (0..groups.len())
            .filter(|&u| groups[u] == Group::Free)
            .max_by(|&a, &b| urgency(a).total_cmp(&urgency(b)))
            .filter(|&u| urgency(u) > ZERO);
        if let Some(group) = group {
            let sign = if found.changes[group] >= 0.0 { 1 } else { -1 };
            for child in [Group::Changed, Group::Honest(sign), Group::Honest(-sign)] {
                groups[group] = child;
                self.branch(signs, groups, symbols, best);
            }
            groups[group] = Group::Free;
            return;
        }
        // 2. A symbol that has mass though its dual variable says that it has none.
        let slack = |x: usize| found.estimate[x].min(found.excess[x]);
        let symbol = (0..symbols.len())
            .filter(|&x| symbols[x] == Symbol::Free)
            .max_by(|&a, &b| slack(a).total_cmp(&slack(b)))
            .filter(|&x| slack(x) > ZERO);
        if let Some(symbol) = symbol {
            for child in [Symbol::Absent, Symbol::Present] {
                symbols[symbol] = child;
                self.branch(signs, groups, symbols, best);
            }
            symbols[symbol] = Symbol::Free;
            return;
        }
        *best = found.value;
    }

    fn relaxed(&self, signs: &[f64], states: &[Group], symbols: &[Symbol]) -> Option<Relaxed> {
        // Columns: q - truth, the sizes of changes, their changed parts, and the dual variables.
        let (k, groups) = (self.matrix.symbols(), states.len());
        let (t, x, y) = (k, k + groups, k + 2 * groups);
        let mu = y + groups;
        let lambda = mu + k;
        let columns = lambda + 1;
        let (mut i, mut j, mut v, mut bounds) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut add = |entries: &[(usize, f64)], bound: f64| {
            for &(column, value) in entries {
                i.push(bounds.len());
                j.push(column);
                v.push(value);
            }
            bounds.push(bound);
        };
        let contains = |u: usize, s: usize| self.matrix.rows_of(s)[u] as usize == 2 * u;
        // Equalities: zero sum, stationarity.
        add(&(0..k).map(|s| (s, 1.0)).collect::<Vec<_>>(), 0.0);
        for s in 0..k {
            let mut e: Vec<(usize, f64)> = (0..groups)
                .filter(|&u| contains(u, s))
                .map(|u| (y + u, 1.0))
                .collect();
            e.push((lambda, -1.0));
            e.push((mu + s, -1.0));
            add(&e, 0.0);
        }
        for s in 0..k {
            let mass = self.truth.masses()[s] / self.gamma;
            add(&[(s, -1.0)], mass);
            add(&[(mu + s, -1.0)], 0.0);
            match symbols[s] {
                Symbol::Free => {}
                Symbol::Absent => add(&[(s, 1.0)], -mass),
                Symbol::Present => add(&[(mu + s, 1.0)], 0.0),
            }
        }
        let mut majority = Vec::new();
        for u in 0..groups {
            let row = |sign: f64, slack: f64| {
                let mut e: Vec<(usize, f64)> = (0..k)
                    .filter(|&s| contains(u, s))
                    .map(|s| (s, sign))
                    .collect();
                e.push((t + u, slack));
                e
            };
            add(&row(1.0, -1.0), 0.0);
            add(&row(-1.0, -1.0), 0.0);
            if let Group::Honest(sign) = states[u] {
                add(&row(-f64::from(sign), 1.0), 0.0);
            }
            add(&[(x + u, -1.0)], 0.0);
            let (mut low, mut high) = (-1.0, 1.0);
            match states[u] {
                Group::Free => add(&[(x + u, 1.0), (t + u, -1.0)], 0.0),
                Group::Honest(sign) => {
                    add(&[(x + u, 1.0)], 0.0);
                    low = f64::from(sign);
                    high = low;
                }
                Group::Changed => {
                    add(&[(t + u, 1.0), (x + u, -1.0)], 0.0);
                    low = -(1.0 - STRICT);
                    high = 1.0 - STRICT;
                }
            }
            add(&[(y + u, 1.0)], high);
            add(&[(y + u, -1.0)], -low);
            majority.push((t + u, 1.0));
            majority.push((x + u, -(2.0 - STRICT)));
        }
        add(&majority, 0.0);
        // The budget: changes of all groups, in units of gamma.
        let budget = (0..groups).map(|u| (x + u, 1.0 / groups as f64));
        add(&budget.collect::<Vec<_>>(), 1.0);
        let constraints = CscMatrix::new_from_triplets(bounds.len(), columns, i, j, v);
        let cost: Vec<f64> = (0..columns)
            .map(|column| signs.get(column).map_or(0.0, |sign| -sign))
            .collect();
        let cones = [
            SupportedConeT::ZeroConeT(1 + k),
            SupportedConeT::NonnegativeConeT(bounds.len() - 1 - k),
        ];
        let settings = DefaultSettingsBuilder::default()
            .verbose(false)
            .presolve_enable(false)
            .build()
            .unwrap();
        let quadratic = CscMatrix::zeros((columns, columns));
        let mut solver =
            DefaultSolver::new(&quadratic, &cost, &constraints, &bounds, &cones, settings).unwrap();
        solver.solve();
        match solver.solution.status {
            SolverStatus::Solved | SolverStatus::AlmostSolved => {}
            SolverStatus::PrimalInfeasible | SolverStatus::AlmostPrimalInfeasible => return None,
            other => {
                println!("{other:?}");
                return None;
            }
        }
        let point = &solver.solution.x;
        Some(Relaxed {
            value: -solver.solution.obj_val,
            changes: (0..groups)
                .map(|u| (0..k).filter(|&s| contains(u, s)).map(|s| point[s]).sum())
                .collect(),
            sizes: point[t..t + groups].to_vec(),
            changed: point[x..x + groups].to_vec(),
            estimate: (0..k)
                .map(|s| point[s] + self.truth.masses()[s] / self.gamma)
                .collect(),
            excess: point[mu..mu + k].to_vec(),
        })
    }
}

/// The largest movement of the estimate by an adversary.
fn attacked(matrix: &DesignMatrix, truth: &Pmf, gamma: f64, seed: &SeedTree) -> f64 {
    let counts = exact_counts(matrix, truth);
    let honest = estimate(matrix, &counts);
    let mut rng = seed.rng();
    let shift = PlantedShift::search(matrix, truth, gamma, 30, &mut rng).unwrap();
    let team = [
        Adversary::Adaptive(Box::new(MajorityShift::default())),
        Adversary::Adaptive(Box::new(MaxCoupling {
            truth: truth.clone(),
            target: shift.target,
        })),
        Adversary::Adaptive(Box::new(SignAlign::default())),
        Adversary::Oblivious(Box::new(SameMessage { symbol: 0 })),
    ];
    let mut largest: f64 = 0.0;
    for mut adversary in team {
        let budget = Gamma::new(gamma).unwrap();
        let after = attack(matrix, &counts, &mut adversary, budget, &mut rng).unwrap();
        let moved = estimate(matrix, &after.counts)
            .total_variation(&honest)
            .unwrap();
        largest = largest.max(moved);
    }
    largest
}

/// What the comparison of the adversaries with the worst case found.
#[derive(Debug, Default)]
struct Comparison {
    /// Designs for which the search of the worst case has ended.
    proven: u32,
    /// Of these, those with an attack that reaches nine tenths of the worst case.
    reached: u32,
    /// The smallest share of the worst case, at most 0.9 being exact.
    smallest: f64,
}

/// Compares the adversaries with the worst case on `designs` designs, within `max_programs` linear
/// programs for each.
fn compare(designs: u64, max_programs: usize) -> Comparison {
    let gamma = 0.01;
    let mut comparison = Comparison {
        smallest: 1.0,
        ..Comparison::default()
    };
    for number in 0..designs {
        let symbols = 4 + (number % 3) as usize;
        let matrix = design(symbols, number);
        let truth = Pmf::zipf(symbols, [0.0, 1.0][number as usize / 3 % 2]).unwrap();
        let seed = SeedTree::new(21).index(number);
        let movement = attacked(&matrix, &truth, gamma, &seed);
        // Is there a movement above this?
        let floor = movement / 0.9;
        let mut search = WorstCase::new(&matrix, &truth, gamma, max_programs);
        if let Some(worst) = search.find(floor) {
            println!("{symbols} symbols, design {number}: {movement:.4} of at most {worst:.4}");
            comparison.proven += 1;
            comparison.reached += u32::from(worst <= floor * (1.0 + 1e-3));
            comparison.smallest = comparison.smallest.min(movement / worst);
        }
    }
    println!("{comparison:?}");
    comparison
}

#[test]
fn the_best_attack_reaches_nine_tenths_of_the_worst_case_of_nearly_all_designs() {
    let found = compare(50, 1_000);
    assert!(found.proven >= 30);
    assert!(f64::from(found.reached) >= 0.95 * f64::from(found.proven));
    assert!(found.smallest >= 0.8);
}
