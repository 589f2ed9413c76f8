//! The majority shift: the strongest attack on least absolute deviations.

use rand::{Rng, RngCore};

use crate::aggregate::CountMatrix;
use crate::decode::{MinL1Options, Observation, min_l1};
use crate::design::DesignMatrix;

use super::climb::apply;
use super::direction::{ShiftSearch, group_norms};
use super::harness::{Adaptive, Destination, Move, Protocol};
use super::stable::Residuals;

/// Makes the min-L1 estimate fit a slight majority of the groups, which it rewrites, instead of the honest
/// rest. Against [`MinL1`](crate::decode::Decoder::MinL1).
///
/// If `x` fits the honest messages, then `x + d` is the better fit as soon as groups with more than half
/// of `sum_j w_j ||A_j d||_1` look like `x + d`. That costs little more than half of the
/// [coupling](super::MaxCoupling) with `x + d`, so the estimate moves by nearly `2 gamma / kept` with
/// `kept = sum_j w_j ||A_j d||_1 / ||d||_1`: twice as far, and as far as any attack on min-L1 can
/// move it. The adversary searches for the shift that is kept least among those within the simplex, and
/// for the cheapest groups, and simulates the decoder to select the best plan. The honest groups remain
/// outliers, so a shift that is large against the noise shows in the residual of the estimate.
///
/// O(shifts times rounds) decodings, and O(restarts) more for the search of shifts.
#[derive(Clone, Copy, Debug)]
pub struct MajorityShift {
    /// Number of random sign vectors from which the search of shifts starts, besides the weakest
    /// direction of the design.
    pub restarts: usize,
    /// Number of shifts for which groups are chosen, the least kept ones.
    pub shifts: usize,
    /// Maximum number of simulated decodings for each shift.
    pub rounds: usize,
    /// Maximum number of changes of a shift such that a slight majority of its mass is in few groups.
    pub refinements: usize,
}

impl Default for MajorityShift {
    fn default() -> Self {
        Self {
            restarts: 8,
            shifts: 3,
            rounds: 24,
            refinements: 3,
        }
    }
}

/// The relative margin by which the shifted distribution must fit better than its competitors. Above the
/// tolerance of the decoder.
const MARGIN: f64 = 0.01;

/// Stop at this fraction of the largest movement that any choice of groups could reach.
const ENOUGH: f64 = 0.97;

/// The groups are fine enough if the cheapest majority reaches this fraction of the largest movement along
/// the shift.
const FINE: f64 = 0.93;

/// The increase by round of the mass of the changed groups beyond half of the total. More mass makes the
/// shifted distribution a better fit, and the affordable shift shorter.
const EXCESS: f64 = 0.015;

/// Stop if the estimate is off the planned one by this fraction of the shift.
const CLOSE: f64 = 0.02;

impl Adaptive for MajorityShift {
    fn plan(
        &mut self,
        protocol: &Protocol<'_>,
        counts: &CountMatrix,
        budget: u64,
        rng: &mut dyn RngCore,
    ) -> Vec<Move> {
        let matrix = protocol.matrix();
        if budget == 0 || matrix.cells() < 2 || matrix.symbols() < 2 {
            return Vec::new();
        }
        // 1. The honest estimate, which the attack moves.
        let Some(decoding) = Decoding::of(matrix, counts) else {
            return Vec::new();
        };
        // 2. The least kept shifts within the simplex around it. Half of a shift's row mass is changed; half
        // of the absolute changes of the cells are removed messages; privacy attenuates them.
        let fraction = budget as f64 / counts.reports() as f64;
        let weights = decoding.observation.weights();
        let reach = 4.0 * fraction / matrix.attenuation();
        let search = ShiftSearch::new(matrix, weights, &decoding.masses, reach);
        let mut shifts = search.run(self.restarts, rng);
        shifts.truncate(self.shifts.max(1));
        // 3. For each of them the groups; the best simulated plan of all. If the masses of the groups are
        // too coarse for a slight majority, shift the masses.
        let mut best = Best::default();
        for shift in &shifts {
            let mut direction = shift.direction.clone();
            for _ in 0..=self.refinements {
                let mut majority = Majority::new(matrix, counts, &decoding, &direction, budget);
                let size = majority.improve(self.rounds, &mut best, rng);
                if best.moved >= ENOUGH * search.reach(&shifts[0]) {
                    return best.plan;
                }
                if size >= FINE * search.reach(shift) {
                    break;
                }
                let Some(balanced) = majority
                    .half(rng)
                    .and_then(|half| search.balance(&direction, &half, 1.5 * MARGIN))
                else {
                    break;
                };
                direction = balanced.direction;
            }
        }
        best.plan
    }
}

/// The best plan so far.
#[derive(Default)]
struct Best {
    moved: f64,
    plan: Vec<Move>,
}

/// Counts with their min-L1 estimate.
struct Decoding {
    observation: Observation,
    /// The frequencies, corrected for randomized response.
    cells: Vec<f64>,
    masses: Vec<f64>,
}

impl Decoding {
    fn of(matrix: &DesignMatrix, counts: &CountMatrix) -> Option<Self> {
        let observation = Observation::from_counts(matrix, counts).ok()?;
        let noise = 2.0 * observation.noise_bound(matrix) / matrix.attenuation();
        let cells = observation.cell_estimates(matrix);
        let options = MinL1Options::default();
        let solution =
            min_l1::minimize(matrix, &cells, observation.weights(), noise, &options).ok()?;
        Some(Self {
            observation,
            cells,
            masses: solution.masses,
        })
    }
}

/// The choice of groups for one shift.
struct Majority<'a> {
    matrix: &'a DesignMatrix,
    counts: &'a CountMatrix,
    honest: &'a Decoding,
    direction: &'a [f64],
    budget: u64,
    /// Distributions that must fit worse than the shifted one, as differences from it for the whole shift.
    competitors: Vec<Vec<f64>>,
}

impl<'a> Majority<'a> {
    fn new(
        matrix: &'a DesignMatrix,
        counts: &'a CountMatrix,
        honest: &'a Decoding,
        direction: &'a [f64],
        budget: u64,
    ) -> Self {
        Self {
            matrix,
            counts,
            honest,
            direction,
            budget,
            // The honest estimate is the first competitor.
            competitors: vec![direction.iter().map(|value| -value).collect()],
        }
    }

    /// Alternates between the cheapest groups that beat all competitors and a decoding, whose estimate is
    /// the next competitor.
    /// Returns the planned movement by the cheapest majority.
    fn improve(&mut self, rounds: usize, best: &mut Best, rng: &mut dyn RngCore) -> f64 {
        let norm: f64 = self.direction.iter().map(|d| d.abs()).sum();
        let mut scale = 1.0;
        let mut first = 0.0;
        let mut attempt = 0;
        for round in 0..rounds {
            // Step 1: groups, and the scale at which they exhaust the budget.
            let Some((groups, fitted)) = self.affordable(scale, attempt, rng) else {
                return first;
            };
            scale = fitted;
            let size = 0.5 * scale * norm;
            if round == 0 {
                first = size;
            }
            let target = self.target(scale);
            let plan = self.plan(&groups, &target);
            // Step 2: the estimate under this plan.
            let Some(decoding) = Decoding::of(self.matrix, &apply(self.counts, &plan)) else {
                return first;
            };
            let moved = total_variation(&decoding.masses, &self.honest.masses);
            if moved > best.moved {
                *best = Best { moved, plan };
            }
            // Step 3: if it is not the planned one, it fits better, so it is a competitor.
            let off = total_variation(&decoding.masses, &target);
            if off <= CLOSE * size {
                if size >= ENOUGH * first {
                    return first;
                }
                // The groups have more mass than necessary: search for others.
                attempt = 1;
                continue;
            }
            attempt += 1;
            let pairs = decoding.masses.iter().zip(&target);
            self.competitors
                .push(pairs.map(|(found, aim)| (found - aim) / scale).collect());
        }
        first
    }

    /// The honest estimate, shifted.
    fn target(&self, scale: f64) -> Vec<f64> {
        let pairs = self.honest.masses.iter().zip(self.direction);
        pairs.map(|(mass, d)| mass + scale * d).collect()
    }

    /// Groups that beat all competitors, and a scale of the shift at which they cost the budget.
    fn affordable(
        &self,
        mut scale: f64,
        attempt: usize,
        rng: &mut dyn RngCore,
    ) -> Option<(Vec<bool>, f64)> {
        let fraction = self.budget as f64 / self.counts.reports() as f64;
        let mut found = None;
        // The cost is nearly proportional to the scale.
        for _ in 0..4 {
            let problem = self.cover(scale);
            let mut groups = problem.solve()?;
            if attempt > 0 {
                let weights = self.honest.observation.weights();
                Residuals::new(self.matrix, weights, &self.residual(scale)).stabilize(
                    &mut groups,
                    EXCESS * attempt as f64,
                    rng,
                );
            }
            let pairs = problem.costs.iter().zip(&groups);
            let cost: f64 = pairs.filter(|(_, changed)| **changed).map(|(c, _)| c).sum();
            let next = (scale * fraction / cost.max(f64::MIN_POSITIVE)).min(1.0);
            let settled = attempt > 0 || (next / scale - 1.0).abs() < 1e-3;
            found = Some((groups, next));
            if settled {
                break;
            }
            scale = next;
        }
        found
    }

    /// The cell masses of the target, less the honest ones.
    fn residual(&self, scale: f64) -> Vec<f64> {
        let mut fit = vec![0.0; self.honest.cells.len()];
        self.matrix.cell_masses(&self.target(scale), &mut fit);
        let pairs = fit.iter().zip(&self.honest.cells);
        pairs.map(|(a, b)| a - b).collect()
    }

    /// Groups with about half of the mass of the shift.
    fn half(&self, rng: &mut dyn RngCore) -> Option<Vec<bool>> {
        let mut problem = self.cover(1.0);
        problem.constraints.truncate(1);
        problem.constraints[0].need *= 0.85;
        // Of several such choices, a random one.
        for cost in &mut problem.costs {
            *cost *= rng.random_range(0.8..1.2);
        }
        problem.solve()
    }

    /// The covering problem of this scale.
    fn cover(&self, scale: f64) -> Cover {
        let cells = self.matrix.cells();
        let rows = self.matrix.groups() * cells;
        let weights = self.honest.observation.weights();
        // The distance of every group from the target. As many messages must change as half of it.
        let residual = self.residual(scale);
        let distances = group_norms(&residual, cells, weights);
        let costs = distances
            .iter()
            .map(|distance| 0.5 * self.matrix.attenuation() * distance)
            .collect();
        let mut image = vec![0.0; rows];
        let constraints = self.competitors.iter().map(|competitor| {
            // How much better a group fits the target than the competitor, if changed and if not.
            let step: Vec<f64> = competitor.iter().map(|value| scale * value).collect();
            self.matrix.cell_masses(&step, &mut image);
            let changed = group_norms(&image, cells, weights);
            let moved: Vec<f64> = image.iter().zip(&residual).map(|(a, b)| a + b).collect();
            let unchanged = group_norms(&moved, cells, weights)
                .iter()
                .zip(&distances)
                .map(|(there, here)| there - here)
                .collect::<Vec<f64>>();
            let margin = MARGIN * changed.iter().sum::<f64>();
            Constraint {
                need: margin - unchanged.iter().sum::<f64>(),
                gains: changed.iter().zip(&unchanged).map(|(c, u)| c - u).collect(),
            }
        });
        let constraints = constraints.collect();
        Cover { costs, constraints }
    }

    /// The moves that make these groups look like a distribution, within the budget.
    fn plan(&self, groups: &[bool], target: &[f64]) -> Vec<Move> {
        let cells = self.matrix.cells();
        let law = self.matrix.message_distribution(target);
        let mut left = self.budget;
        let mut plan = Vec::new();
        for group in (0..groups.len()).filter(|&group| groups[group]) {
            let have = self.counts.group(group);
            let wanted = rounded(
                &law[group * cells..(group + 1) * cells],
                self.counts.group_reports(group),
            );
            let mut sinks: Vec<(usize, u64)> = (0..cells)
                .map(|cell| (cell, wanted[cell].saturating_sub(have[cell])))
                .collect();
            for from in 0..cells {
                let mut surplus = have[from].saturating_sub(wanted[from]);
                for (to, room) in &mut sinks {
                    let number = surplus.min(*room).min(left);
                    if number > 0 {
                        plan.push(Move {
                            group,
                            from,
                            to: Destination::Cell(*to),
                            number,
                        });
                        surplus -= number;
                        *room -= number;
                        left -= number;
                    }
                }
            }
        }
        plan
    }
}

/// One competitor: the gains of the chosen groups must reach `need`.
struct Constraint {
    gains: Vec<f64>,
    need: f64,
}

/// The choice of groups of minimum cost whose gains reach the need of every constraint.
struct Cover {
    costs: Vec<f64>,
    constraints: Vec<Constraint>,
}

impl Cover {
    /// A greedy choice, improved by exchanges. `None` if all groups together do not suffice.
    fn solve(&self) -> Option<Vec<bool>> {
        let mut chosen = vec![false; self.costs.len()];
        let mut missing: Vec<f64> = self.constraints.iter().map(|c| c.need).collect();
        self.complete(&mut chosen, &mut missing)?;
        Some(chosen)
    }

    /// Adds groups until all needs are met, then improves by exchanges.
    fn complete(&self, chosen: &mut [bool], missing: &mut [f64]) -> Option<()> {
        // 1. Add the group with the most missing gain for its cost.
        while missing.iter().any(|&missing| missing > 0.0) {
            let value = |group: usize| -> f64 {
                let gains = self.constraints.iter().zip(&*missing);
                let gain: f64 = gains
                    .filter(|&(_, &missing)| missing > 0.0)
                    .map(|(c, missing)| c.gains[group].min(*missing) / c.need.abs())
                    .sum();
                gain / self.costs[group].max(f64::MIN_POSITIVE)
            };
            let next = (0..chosen.len())
                .filter(|&group| !chosen[group])
                .max_by(|&a, &b| value(a).total_cmp(&value(b)))?;
            self.put(next, true, chosen, missing);
        }
        // 2. Remove what is superfluous, and exchange for cheaper groups, until nothing changes.
        while self.exchange(chosen, missing) {}
        Some(())
    }

    /// Adds or removes a group.
    fn put(&self, group: usize, add: bool, chosen: &mut [bool], missing: &mut [f64]) {
        chosen[group] = add;
        for (missing, constraint) in missing.iter_mut().zip(&self.constraints) {
            let gain = constraint.gains[group];
            *missing += if add { -gain } else { gain };
        }
    }

    /// Whether the needs are met after `out` leaves and `enter` is added.
    fn allows(&self, out: usize, enter: Option<usize>, missing: &[f64]) -> bool {
        missing.iter().zip(&self.constraints).all(|(missing, c)| {
            missing + c.gains[out] - enter.map_or(0.0, |enter| c.gains[enter]) <= 0.0
        })
    }

    /// The exchange of one chosen group for none or one other that saves the most, if there is one.
    fn exchange(&self, chosen: &mut [bool], missing: &mut [f64]) -> bool {
        let groups = self.costs.len();
        let mut best: Option<(f64, usize, Option<usize>)> = None;
        for out in (0..groups).filter(|&group| chosen[group]) {
            let others = (0..groups).filter(|&group| !chosen[group]).map(Some);
            for enter in std::iter::once(None).chain(others) {
                let saved = self.costs[out] - enter.map_or(0.0, |enter| self.costs[enter]);
                let better = best.is_none_or(|(most, ..)| saved > most);
                if saved > 1e-12 && better && self.allows(out, enter, missing) {
                    best = Some((saved, out, enter));
                }
            }
        }
        let Some((_, out, enter)) = best else {
            return false;
        };
        self.put(out, false, chosen, missing);
        if let Some(enter) = enter {
            self.put(enter, true, chosen, missing);
        }
        true
    }
}

/// Whole numbers of messages nearest to a distribution, with the given total.
fn rounded(law: &[f64], total: u64) -> Vec<u64> {
    let exact = law.iter().map(|mass| mass.max(0.0) * total as f64);
    let mut numbers: Vec<u64> = exact.clone().map(|number| number as u64).collect();
    // The largest remainders are rounded up.
    let mut order: Vec<(f64, usize)> = exact.map(f64::fract).zip(0..).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    let missing = total.saturating_sub(numbers.iter().sum());
    for &(_, cell) in order.iter().take(missing as usize) {
        numbers[cell] += 1;
    }
    numbers
}

fn total_variation(a: &[f64], b: &[f64]) -> f64 {
    0.5 * a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>()
}
