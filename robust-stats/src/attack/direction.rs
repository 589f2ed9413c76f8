//! The shifts of a distribution that change its messages least.
//!
//! `||A d||_1 / ||d||_1` over the shifts `d` with `origin + d` in the simplex is the ratio of two convex
//! functions. The search alternates (Dinkelbach, Management Science 1967): for a fixed price and fixed
//! signs of `d` it minimizes `||A d||_1 - price <signs, d>`, which is convex; then it updates both. The
//! linear term is the distance of one more group, of two cells, from a group in which only rising
//! symbols occur. Hence the inner problem is one of least absolute deviations over the simplex.

use rand::{Rng, RngCore};

use crate::decode::{MinL1Options, min_l1};
use crate::design::DesignMatrix;

/// Maximum number of alternations of shift and signs.
const ROUNDS: usize = 12;

/// The accuracy of the inner problems. It must be well below [`PRICE_MARGIN`].
const INNER: MinL1Options = MinL1Options {
    relative_tolerance: 1e-4,
    noise_tolerance: 0.0,
    max_iterations: 3_000,
};

/// The price of a unit of `||d||_1`, relative to its present cost. Above 1, so that the optimum is not 0.
const PRICE_MARGIN: f64 = 1.05;

/// The increase of the price while a shift does not exhaust the budget.
const PRICE_INCREASE: f64 = 1.5;

/// Number of bisections of the ratio of prices.
const BALANCE_ROUNDS: usize = 10;

/// A search for shifts around a distribution.
pub(super) struct ShiftSearch<'a> {
    matrix: &'a DesignMatrix,
    /// The share of each group in all reports.
    weights: &'a [f64],
    /// The distribution to shift.
    origin: &'a [f64],
    /// Its cell masses, followed by the target of the additional group: everything in its first cell.
    targets: Vec<f64>,
    /// The maximum of `sum_j w_j ||A_j d||_1`.
    budget: f64,
}

/// A shift `d`, with `origin + d` in the simplex.
#[derive(Clone, Debug)]
pub(super) struct Shift {
    /// The shift, which sums to 0.
    pub direction: Vec<f64>,
    /// `sum_j w_j ||A_j d||_1`.
    cost: f64,
    /// `||d||_1`.
    norm: f64,
}

impl Shift {
    fn is_close(&self, other: &Self) -> bool {
        let pairs = self.direction.iter().zip(&other.direction);
        let distance: f64 = pairs.map(|(a, b)| (a - b).abs()).sum();
        distance <= 0.01 * self.norm
    }
}

impl<'a> ShiftSearch<'a> {
    pub(super) fn new(
        matrix: &'a DesignMatrix,
        weights: &'a [f64],
        origin: &'a [f64],
        budget: f64,
    ) -> Self {
        let rows = matrix.groups() * matrix.cells();
        let mut targets = vec![0.0; rows + matrix.cells()];
        matrix.cell_masses(origin, &mut targets[..rows]);
        targets[rows] = 1.0;
        Self {
            matrix,
            weights,
            origin,
            targets,
            budget,
        }
    }

    /// The best shift from the weakest direction of the design, in both orientations, and from
    /// `restarts` random sign vectors. The one with the largest affordable part comes first.
    pub(super) fn run(&self, restarts: usize, rng: &mut dyn RngCore) -> Vec<Shift> {
        let k = self.matrix.symbols();
        let mut starts: Vec<Vec<f64>> = Vec::new();
        if let Some(weakest) = self.matrix.weakest_direction() {
            starts.push(weakest.direction.iter().map(|value| -value).collect());
            starts.push(weakest.direction);
        }
        for _ in 0..restarts {
            starts.push((0..k).map(|_| rng.random_range(-1.0..1.0)).collect());
        }
        let mut shifts: Vec<Shift> = starts
            .iter()
            .filter_map(|start| self.descend(start, self.weights))
            .collect();
        shifts.sort_by(|a, b| self.reach(b).total_cmp(&self.reach(a)));
        // Different starts often end at the same shift.
        let mut different: Vec<Shift> = Vec::new();
        for shift in shifts {
            if !different.iter().any(|other| other.is_close(&shift)) {
                different.push(shift);
            }
        }
        different
    }

    /// The best shift near this one of which the changed groups have a majority of the mass, by the given
    /// margin. `None` if none was found.
    ///
    /// It minimizes the larger of the masses of the changed and the unchanged groups, by bisection of
    /// their ratio of prices.
    pub(super) fn balance(&self, near: &[f64], changed: &[bool], margin: f64) -> Option<Shift> {
        let excess = |shift: &Shift| {
            let norms = group_norms(
                &self.image(&shift.direction),
                self.matrix.cells(),
                self.weights,
            );
            let pairs = norms.iter().zip(changed);
            pairs
                .map(|(norm, &changed)| {
                    if changed {
                        *norm
                    } else {
                        -norm * (1.0 + margin)
                    }
                })
                .sum::<f64>()
        };
        let (mut low, mut high) = (0.0, 1.0);
        let (mut minority, mut majority): (Option<Shift>, Option<Shift>) = (None, None);
        for _ in 0..BALANCE_ROUNDS {
            let price = f64::midpoint(low, high);
            let groups = self.weights.iter().zip(changed);
            let weights: Vec<f64> = groups
                .map(|(weight, &changed)| 2.0 * weight * if changed { 1.0 - price } else { price })
                .collect();
            let found = self.descend(near, &weights)?;
            if excess(&found) >= 0.0 {
                high = price;
                majority = Some(found);
            } else {
                low = price;
                minority = Some(found);
            }
        }
        let majority = majority?;
        let Some(minority) = minority else {
            return Some(majority);
        };
        // The combination with just the required majority; its sign pattern is that of both, or else it is
        // no improvement.
        let (mut low, mut high) = (0.0, 1.0);
        let at = |share: f64| {
            let pairs = majority.direction.iter().zip(&minority.direction);
            self.shift(
                pairs.map(|(a, b)| a + share * (b - a)).collect(),
                self.weights,
            )
        };
        for _ in 0..40 {
            let share = f64::midpoint(low, high);
            if excess(&at(share)) >= 0.0 {
                low = share;
            } else {
                high = share;
            }
        }
        Some(at(low))
    }

    fn image(&self, direction: &[f64]) -> Vec<f64> {
        let mut rows = vec![0.0; self.matrix.groups() * self.matrix.cells()];
        self.matrix.cell_masses(direction, &mut rows);
        rows
    }

    /// The part of a shift that the budget allows, in total variation.
    pub(super) fn reach(&self, shift: &Shift) -> f64 {
        0.5 * shift.norm * (self.budget / shift.cost.max(f64::MIN_POSITIVE)).min(1.0)
    }

    fn shift(&self, direction: Vec<f64>, weights: &[f64]) -> Shift {
        let norms = group_norms(&self.image(&direction), self.matrix.cells(), weights);
        Shift {
            cost: norms.iter().sum(),
            norm: direction.iter().map(|value| value.abs()).sum(),
            direction,
        }
    }

    /// Alternates from the signs and the cost of a direction, with these weights of the groups. `None` if
    /// no shift was found.
    fn descend(&self, start: &[f64], weights: &[f64]) -> Option<Shift> {
        let mut rising: Vec<bool> = start.iter().map(|&value| value > 0.0).collect();
        let initial = self.shift(start.to_vec(), weights);
        let mut price = PRICE_MARGIN * initial.cost / initial.norm;
        let mut best: Option<Shift> = None;
        // The last shifts within and beyond the budget, between which the best one lies.
        let (mut within, mut beyond): (Option<Shift>, Option<Shift>) = (None, None);
        for _ in 0..ROUNDS {
            // Step 1: the best shift for these signs at this price.
            let Some(found) = self.priced(&rising, price, weights) else {
                break;
            };
            if found.norm <= 1e-6 {
                price *= PRICE_INCREASE;
                continue;
            }
            // Step 2: the new signs; symbols without a change keep theirs.
            for (rising, &value) in rising.iter_mut().zip(&found.direction) {
                if value.abs() > 1e-9 {
                    *rising = value > 0.0;
                }
            }
            // Step 3: the new price. As long as the boundary of the simplex stops the shift within
            // the budget, pay more for a longer one.
            let ratio = found.cost / found.norm;
            let before = best.as_ref().map_or(0.0, |best| self.reach(best));
            let mut candidates = vec![found.clone()];
            if found.cost < 0.999 * self.budget {
                price = PRICE_INCREASE * price.max(ratio);
                within = Some(found);
            } else {
                price = PRICE_MARGIN * ratio;
                beyond = Some(found);
            }
            if let (Some(within), Some(beyond)) = (&within, &beyond) {
                candidates.push(self.between(within, beyond, weights));
            }
            for candidate in candidates {
                if best
                    .as_ref()
                    .is_none_or(|best| self.reach(&candidate) > self.reach(best))
                {
                    best = Some(candidate);
                }
            }
            // Without binding boundary the ratio decreases monotonically until it converges.
            let after = best.as_ref().map_or(0.0, |best| self.reach(best));
            if beyond.is_some() && after <= before * (1.0 + 1e-4) {
                break;
            }
        }
        best
    }

    /// The minimum of `||A d||_1 - price <signs, d>` over the shifts within the simplex.
    fn priced(&self, rising: &[bool], price: f64, weights: &[f64]) -> Option<Shift> {
        let (cells, groups) = (self.matrix.cells(), self.matrix.groups());
        let extended =
            DesignMatrix::new(self.matrix.symbols(), cells, groups + 1, |group, symbol| {
                if group < groups {
                    self.matrix.rows_of(symbol)[group] as usize % cells
                } else {
                    usize::from(!rising[symbol])
                }
            })
            .ok()?;
        let mut prices = weights.to_vec();
        prices.push(price);
        let solution = min_l1::minimize(&extended, &self.targets, &prices, 0.0, &INNER).ok()?;
        let pairs = solution.masses.iter().zip(self.origin);
        Some(self.shift(
            pairs.map(|(found, origin)| found - origin).collect(),
            weights,
        ))
    }

    /// The convex combination that costs at most the budget.
    fn between(&self, within: &Shift, beyond: &Shift, weights: &[f64]) -> Shift {
        let share = (self.budget - within.cost) / (beyond.cost - within.cost);
        let pairs = within.direction.iter().zip(&beyond.direction);
        self.shift(pairs.map(|(a, b)| a + share * (b - a)).collect(), weights)
    }
}

/// `w_j ||rows_j||_1` of every group.
pub(super) fn group_norms(rows: &[f64], cells: usize, weights: &[f64]) -> Vec<f64> {
    let groups = rows.chunks_exact(cells).zip(weights);
    groups
        .map(|(group, weight)| weight * group.iter().map(|row| row.abs()).sum::<f64>())
        .collect()
}
