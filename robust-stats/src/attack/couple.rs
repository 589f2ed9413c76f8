//! Maximal coupling: rewrites honest messages of one distribution into those of another.

use rand::seq::SliceRandom;
use rand::{Rng, RngCore};
use rand_distr::{Binomial, Distribution};

use crate::aggregate::CountMatrix;
use crate::design::DesignMatrix;
use crate::distribution::{MultinomialSampler, Pmf};
use crate::error::RobustStatsError;

use super::harness::{Adaptive, Destination, Move, Protocol};

/// Makes the messages of clients with one distribution exactly distributed like those of clients with
/// another, which no estimator can undo.
///
/// A client with message `y` keeps it with probability `min(1, W(y | target) / W(y | truth))` and
/// otherwise sends a message from the normalized excess of the target's message distribution over the
/// true one. When the budget is spent, the remaining groups, in random order, are unchanged.
#[derive(Clone, Debug)]
pub struct MaxCoupling {
    /// The true distribution of the clients.
    pub truth: Pmf,
    /// The simulated distribution.
    pub target: Pmf,
}

impl Adaptive for MaxCoupling {
    fn plan(
        &mut self,
        protocol: &Protocol<'_>,
        counts: &CountMatrix,
        budget: u64,
        rng: &mut dyn RngCore,
    ) -> Vec<Move> {
        let matrix = protocol.matrix();
        let cells = matrix.cells();
        // The coupling needs only the message distributions of both hypotheses.
        let from_law = matrix.message_distribution(self.truth.masses());
        let to_law = matrix.message_distribution(self.target.masses());
        let mut order: Vec<usize> = (0..counts.groups()).collect();
        order.shuffle(rng);
        let mut left = budget;
        let mut plan = Vec::new();
        for group in order {
            let rows = group * cells..(group + 1) * cells;
            let (from, to) = (&from_law[rows.clone()], &to_law[rows]);
            // Where the target exceeds the truth, in proportion to the excess, the leaving messages go.
            let surplus: Vec<f64> = to.iter().zip(from).map(|(t, f)| (t - f).max(0.0)).collect();
            // Equal message distributions: nothing to do.
            let Ok(surplus) = Pmf::from_weights(&surplus) else {
                continue;
            };
            let sampler = MultinomialSampler::new(&surplus);
            for cell in 0..cells {
                // A message stays with probability min(1, to / from), the maximal coupling.
                let leave = if from[cell] > 0.0 {
                    (1.0 - to[cell] / from[cell]).clamp(0.0, 1.0)
                } else {
                    0.0
                };
                // Messages of a cell are exchangeable, so the number of leaving ones is binomial.
                let leaving = Binomial::new(counts.group(group)[cell], leave)
                    .map_or(0, |law| law.sample(rng))
                    .min(left);
                left -= leaving;
                for (other, number) in sampler.sample(leaving, rng).into_iter().enumerate() {
                    if number > 0 {
                        plan.push(Move {
                            group,
                            from: cell,
                            to: Destination::Cell(other),
                            number,
                        });
                    }
                }
            }
        }
        plan
    }
}

/// A distribution at the maximum distance from the truth that a budget of messages can hide.
#[derive(Clone, Debug, PartialEq)]
pub struct PlantedShift {
    /// The distribution.
    pub target: Pmf,
    /// Its total variation from the truth.
    pub shift: f64,
    /// The expected fraction of messages that the coupling rewrites.
    pub cost: f64,
}

impl PlantedShift {
    /// Searches for the direction of minimum cost and shifts along it as far as a `fraction` of the
    /// messages allows. Without sweeps the direction is a random sign vector, half of the symbols
    /// rising and half falling. Otherwise it is the better of two: a sign vector improved by `sweeps`
    /// attempted swaps per symbol, and the [weakest direction](DesignMatrix::weakest_direction) of the
    /// design. O(sweeps times symbols times groups).
    ///
    /// With a `fraction` above the budget, [`MaxCoupling`] plants a larger shift in some groups only,
    /// which is partly detectable but may shift an estimate further.
    ///
    /// # Errors
    ///
    /// When the domains differ.
    pub fn search<R: Rng + ?Sized>(
        matrix: &DesignMatrix,
        truth: &Pmf,
        fraction: f64,
        sweeps: usize,
        rng: &mut R,
    ) -> Result<Self, RobustStatsError> {
        let k = matrix.symbols();
        if truth.domain() != k {
            return Err(RobustStatsError::mismatch("domain", truth.domain(), k));
        }
        // Start from balanced random signs; an odd symbol stays at 0.
        let mut signs: Vec<f64> = (0..k)
            .map(|x| match x {
                _ if k % 2 == 1 && x == k - 1 => 0.0,
                _ if x < k / 2 => 1.0,
                _ => -1.0,
            })
            .collect();
        signs.shuffle(rng);
        improve_signs(matrix, &mut signs, sweeps * k, rng);
        // Compare the sign vector with both orientations of the least-identified direction.
        let mut best = Self::along(matrix, truth, fraction, &signs)?;
        let weakest = matrix.weakest_direction().filter(|_| sweeps > 0);
        if let Some(weakest) = weakest {
            let mut direction = weakest.direction;
            // Masses are bounded by 0, so the better of the two signs depends on the truth.
            for _ in 0..2 {
                let shift = Self::along(matrix, truth, fraction, &direction)?;
                if shift.shift > best.shift {
                    best = shift;
                }
                for value in &mut direction {
                    *value = -*value;
                }
            }
        }
        Ok(best)
    }

    /// The maximum shift along a direction at a cost of `fraction`, by bisection.
    pub(crate) fn along(
        matrix: &DesignMatrix,
        truth: &Pmf,
        fraction: f64,
        direction: &[f64],
    ) -> Result<Self, RobustStatsError> {
        let largest = direction.iter().fold(0.0_f64, |m, d| m.max(d.abs()));
        // Cost and shift increase with the height of the step.
        let at = |height: f64| {
            let target = stepped(truth, direction, height / largest.max(f64::MIN_POSITIVE));
            let cost = message_distance(matrix, truth.masses(), &target);
            (target, cost)
        };
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if at(middle).1 <= fraction {
                low = middle;
            } else {
                high = middle;
            }
        }
        let (target, cost) = at(low);
        let target = Pmf::from_weights(&target)?;
        Ok(Self {
            shift: target.total_variation(truth)?,
            target,
            cost,
        })
    }
}

/// The truth shifted along a direction: falling symbols are lowered by `height` times their fall, at
/// most to 0, and rising ones are raised by the same total.
fn stepped(truth: &Pmf, direction: &[f64], height: f64) -> Vec<f64> {
    // First lower the falling symbols, then distribute the removed mass to the rising ones.
    let rising: f64 = direction.iter().filter(|&&rise| rise > 0.0).sum();
    let mut masses = truth.masses().to_vec();
    let mut taken = 0.0;
    for (mass, &rise) in masses.iter_mut().zip(direction) {
        if rise < 0.0 {
            let part = mass.min(-rise * height);
            *mass -= part;
            taken += part;
        }
    }
    for (mass, &rise) in masses.iter_mut().zip(direction) {
        if rise > 0.0 {
            *mass += taken * rise / rising;
        }
    }
    masses
}

/// The total variation between message distributions, averaged over groups of equal size.
fn message_distance(matrix: &DesignMatrix, a: &[f64], b: &[f64]) -> f64 {
    let difference: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let mut cells = vec![0.0; matrix.groups() * matrix.cells()];
    matrix.cell_masses(&difference, &mut cells);
    let sum: f64 = cells.iter().map(|cell| cell.abs()).sum();
    0.5 * matrix.attenuation() * sum / matrix.groups() as f64
}

/// Attempts random swaps of a rising and a falling symbol, and keeps those that decrease `||A x||_1`.
fn improve_signs<R: Rng + ?Sized>(
    matrix: &DesignMatrix,
    signs: &mut [f64],
    tries: usize,
    rng: &mut R,
) {
    let k = signs.len();
    if k < 2 {
        return;
    }
    let mut sums = vec![0.0; matrix.groups() * matrix.cells()];
    matrix.cell_masses(signs, &mut sums);
    for _ in 0..tries {
        let (a, b) = (rng.random_range(0..k), rng.random_range(0..k));
        // Swapping the signs of a and b adds `step` to the cells of a and subtracts it from those of b.
        let step = signs[b] - signs[a];
        if step == 0.0 {
            continue;
        }
        let mut gain = 0.0;
        for (&row_a, &row_b) in matrix.rows_of(a).iter().zip(matrix.rows_of(b)) {
            if row_a != row_b {
                let (x, y) = (sums[row_a as usize], sums[row_b as usize]);
                gain += x.abs() - (x + step).abs() + y.abs() - (y - step).abs();
            }
        }
        if gain > 0.0 {
            for (&row_a, &row_b) in matrix.rows_of(a).iter().zip(matrix.rows_of(b)) {
                sums[row_a as usize] += step;
                sums[row_b as usize] -= step;
            }
            signs.swap(a, b);
        }
    }
}
