//! A proof of how much a design keeps of the distance of two distributions.
//!
//! A matrix `M` with `M A x = x` for all `x` of sum 0 is a linear decoder, and bounds the design from
//! below: `||x||_1 = ||M A x||_1 <= max_r ||M_r||_1 ||(A x)||_1`, where `M_r` is the column of `M` for
//! the cell `r`. The best `M` minimizes the largest norm of its columns; the alternating direction
//! method of multipliers (Boyd et al., 2011) splits this into a projection to the decoders and the
//! proximal operator of the largest norm, and reaches a percent of the optimum in some 50 rounds. Any
//! decoder on the way is a proof, whether the method has converged or not.

use super::DesignMatrix;
use super::gram::{Gram, subtract};

/// Maximum number of symbols for which a certificate is computed: beyond, factorizing the Gram matrix
/// takes minutes.
pub const MAX_CERTIFIED_SYMBOLS: usize = 2_048;

/// Maximum number of additions in one pass over a decoder.
const MAX_PASS: usize = 1 << 34;

/// Maximum number of entries of a decoder, `k N L`, of which there are four at a time.
const MAX_ENTRIES: usize = 1 << 26;

/// The rounds of a search take about this number of additions together.
const EFFORT: usize = 1 << 33;

/// Maximum number of rounds.
const MAX_ROUNDS: usize = 300;

/// The method stops when the last rounds have improved the certificate by less than this.
const MIN_IMPROVEMENT: f64 = 0.002;

/// The number of these rounds.
const PATIENCE: usize = 15;

/// Over-relaxation of the method, between 1 and 2.
const RELAXATION: f64 = 1.6;

/// The mean threshold of the proximal operator, relative to the mean magnitude of the entries.
const STEP: f64 = 0.5;

/// Rounding errors of the sums in a proof are below this, relative.
const ROUNDING: f64 = 1e-9;

/// What a design provably keeps.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Certificate {
    /// At least this fraction of the total variation of two distributions remains between their
    /// messages, averaged over groups, for all pairs of distributions: in `[0, 1]`, without randomized
    /// response. 0 if the design does not identify the distribution.
    pub kept: f64,
}

impl DesignMatrix {
    /// Certifies the design with groups of equal size, as [`certify_weighted`](Self::certify_weighted).
    #[must_use]
    pub fn certify(&self) -> Option<Certificate> {
        self.certify_weighted(&vec![1.0; self.groups()])
    }

    /// Proves a lower bound on `sum_j w_j ||A_j x||_1 / ||x||_1` over all `x` of sum 0, where the
    /// weights `w_j` of the groups are nonnegative and normalized to sum 1. Deterministic;
    /// `O(rounds (k^2 N + k^3 + k N L))` time with up to some 100 rounds, fewer for large designs, and
    /// `32 k N L` bytes.
    ///
    /// `None` if the design is too large: more than [`MAX_CERTIFIED_SYMBOLS`] symbols, `k^2 N` above about
    /// `2^34`, or `k N L` above `2^26`.
    ///
    /// # Panics
    ///
    /// When there is not one weight for each group, or a weight is negative or not finite.
    #[must_use]
    pub fn certify_weighted(&self, weights: &[f64]) -> Option<Certificate> {
        self.certify_with_directions(weights)
            .map(|(certificate, _)| certificate)
    }

    /// Number of additions in one pass over a decoder.
    pub(crate) fn pass(&self) -> usize {
        pass(self.symbols(), self.groups(), self.cells())
    }

    /// The certificate, with directions along which the best linear decoder fails: none if the design
    /// does not identify the distribution.
    pub(super) fn certify_with_directions(
        &self,
        weights: &[f64],
    ) -> Option<(Certificate, Vec<Vec<f64>>)> {
        assert_eq!(weights.len(), self.groups(), "one weight for each group");
        assert!(
            weights
                .iter()
                .all(|&weight| weight >= 0.0 && weight.is_finite()),
            "nonnegative weights"
        );
        let k = self.symbols();
        let total: f64 = weights.iter().sum();
        if total <= 0.0 {
            // Without a group nothing is kept.
            let kept = if k < 2 { 1.0 } else { 0.0 };
            return Some((Certificate { kept }, Vec::new()));
        }
        // With every symbol in a cell of its own nothing is lost.
        if k < 2 || self.sizes().iter().all(|&size| size <= 1) {
            return Some((Certificate { kept: 1.0 }, Vec::new()));
        }
        let entries = k.saturating_mul(self.groups()).saturating_mul(self.cells());
        if k > MAX_CERTIFIED_SYMBOLS || self.pass() > MAX_PASS || entries > MAX_ENTRIES {
            return None;
        }
        Some(match Search::new(self, weights, total) {
            Some(mut search) => {
                let kept = search.run().clamp(0.0, 1.0);
                (Certificate { kept }, search.directions())
            }
            None => (Certificate { kept: 0.0 }, Vec::new()),
        })
    }
}

/// Number of additions in one round of the method: `k^2 N` for the products with the design, `k^3` for that
/// with the inverse Gram matrix, and some for each of the `k N L` entries of a decoder.
pub(super) fn pass(symbols: usize, groups: usize, cells: usize) -> usize {
    let square = symbols.saturating_mul(symbols);
    let entries = symbols.saturating_mul(groups).saturating_mul(cells);
    (square.saturating_mul(groups))
        .saturating_add(square.saturating_mul(symbols))
        .saturating_add(entries.saturating_mul(8))
}

/// The state of the method. Decoders are stored with one row of `k` numbers for each cell.
struct Search {
    symbols: usize,
    /// The cells of each symbol in the groups with a positive weight, numbered anew.
    rows_of: Vec<Vec<usize>>,
    /// The symbols of each cell.
    symbols_of: Vec<Vec<usize>>,
    /// The weight of each cell's group, relative to the mean.
    weights: Vec<f64>,
    /// The sum of the groups' relative weights: their number.
    groups: f64,
    /// The inverse of the Gram matrix.
    inverse: Vec<f64>,
    /// A decoder.
    decoder: Vec<f64>,
    /// Its copy with bounded norms.
    bounded: Vec<f64>,
    /// The scaled dual variable.
    dual: Vec<f64>,
    /// The threshold of each cell in the proximal operator.
    thresholds: Vec<f64>,
    /// The largest norm of a bounded row.
    largest: f64,
}

impl Search {
    /// Starts from the pseudo-inverse; `None` if the groups do not identify the distribution.
    fn new(matrix: &DesignMatrix, weights: &[f64], total: f64) -> Option<Self> {
        let (k, cells) = (matrix.symbols(), matrix.cells());
        // Groups without weight are as good as absent.
        let present: Vec<usize> = (0..matrix.groups()).filter(|&j| weights[j] > 0.0).collect();
        let presence: Vec<f64> = weights
            .iter()
            .map(|&w| f64::from(u8::from(w > 0.0)))
            .collect();
        let inverse = Gram::new(matrix, &presence)?.inverse();
        let rows = present.len() * cells;
        let mut symbols_of = vec![Vec::new(); rows];
        let rows_of: Vec<Vec<usize>> = (0..k)
            .map(|symbol| {
                let of_symbol = matrix.rows_of(symbol);
                present
                    .iter()
                    .enumerate()
                    .map(|(new, &group)| new * cells + of_symbol[group] as usize % cells)
                    .inspect(|&row| symbols_of[row].push(symbol))
                    .collect()
            })
            .collect();
        let mean = total / present.len() as f64;
        let relative = present
            .iter()
            .flat_map(|&group| std::iter::repeat_n(weights[group] / mean, cells));
        let mut search = Self {
            symbols: k,
            rows_of,
            symbols_of,
            weights: relative.collect(),
            groups: present.len() as f64,
            inverse,
            decoder: vec![0.0; rows * k],
            bounded: Vec::new(),
            dual: vec![0.0; rows * k],
            thresholds: vec![0.0; rows],
            largest: 0.0,
        };
        // The projection of 0 is the pseudo-inverse.
        search.project();
        search.bounded = search.decoder.clone();
        Some(search)
    }

    /// The directions of the dual solution, one for each symbol: along them the best linear decoder
    /// fails, so that they are good starting points for the search of the least-kept direction.
    fn directions(&self) -> Vec<Vec<f64>> {
        let k = self.symbols;
        // A^T D, then the inverse Gram matrix: A W = D in the least squares sense.
        let mut sums = vec![0.0; k * k];
        for (sum, rows) in sums.chunks_exact_mut(k).zip(&self.rows_of) {
            for &row in rows {
                subtract(sum, -1.0, &self.dual[row * k..(row + 1) * k]);
            }
        }
        let mut directions = vec![vec![0.0; k]; k];
        let mut solved = vec![0.0; k];
        for (x, coefficients) in self.inverse.chunks_exact(k).enumerate() {
            solved.fill(0.0);
            for (coefficient, row) in coefficients.iter().zip(sums.chunks_exact(k)) {
                subtract(&mut solved, -coefficient, row);
            }
            for (direction, value) in directions.iter_mut().zip(&solved) {
                direction[x] = *value;
            }
        }
        directions
    }

    /// The method; returns the best proven value.
    fn run(&mut self) -> f64 {
        let groups = self.rows_of[0].len();
        let pass = pass(self.symbols, groups, self.symbols_of.len() / groups);
        let rounds = (EFFORT / (2 * pass)).min(MAX_ROUNDS);
        let entries = self.decoder.len() as f64;
        let magnitude = self.decoder.iter().map(|value| value.abs()).sum::<f64>() / entries;
        let budget = STEP * magnitude * self.weights.iter().sum::<f64>();
        let mut best = (self.norm(), self.decoder.clone());
        let mut history = vec![best.0];
        for _ in 0..rounds {
            // 1. The decoder next to the bounded copy.
            for ((decoder, bounded), dual) in
                self.decoder.iter_mut().zip(&self.bounded).zip(&self.dual)
            {
                *decoder = bounded - dual;
            }
            self.project();
            let norm = self.norm();
            if norm < best.0 {
                best.0 = norm;
                best.1.copy_from_slice(&self.decoder);
            }
            // 2. The bounded matrix next to the (over-relaxed) decoder; the difference accumulates.
            for ((dual, decoder), bounded) in
                self.dual.iter_mut().zip(&self.decoder).zip(&self.bounded)
            {
                *dual += RELAXATION * decoder + (1.0 - RELAXATION) * bounded;
            }
            self.bound(budget);
            for (dual, bounded) in self.dual.iter_mut().zip(&self.bounded) {
                *dual -= bounded;
            }
            history.push(best.0);
            // 3. Stop where more rounds gain little.
            if let Some(&before) = history
                .len()
                .checked_sub(PATIENCE + 1)
                .and_then(|i| history.get(i))
                && best.0 > (1.0 - MIN_IMPROVEMENT) * before
            {
                break;
            }
        }
        // The proof: the exact residual of the best decoder and its norm.
        self.decoder = best.1;
        let residual = self
            .residual()
            .chunks_exact(self.symbols)
            .map(|row| row.iter().map(|value| value.abs()).sum::<f64>())
            .fold(0.0, f64::max);
        (1.0 - residual) / (self.groups * self.norm()) * (1.0 - ROUNDING)
    }

    /// The largest `L1` norm of a row, relative to the weight of its group.
    fn norm(&self) -> f64 {
        self.decoder
            .chunks_exact(self.symbols)
            .zip(&self.weights)
            .map(|(row, weight)| above(row, 0.0).0 / weight)
            .fold(0.0, f64::max)
    }

    /// `A^T M - I` with the mean of every column subtracted: 0 for a decoder. One row for each symbol.
    fn residual(&self) -> Vec<f64> {
        let k = self.symbols;
        let mut residual = vec![0.0; k * k];
        let mut mean = vec![0.0; k];
        for (symbol, (sum, rows)) in residual.chunks_exact_mut(k).zip(&self.rows_of).enumerate() {
            for &row in rows {
                subtract(sum, -1.0, &self.decoder[row * k..(row + 1) * k]);
            }
            sum[symbol] -= 1.0;
            subtract(&mut mean, -1.0 / k as f64, sum);
        }
        for sum in residual.chunks_exact_mut(k) {
            subtract(sum, 1.0, &mean);
        }
        residual
    }

    /// Replaces `decoder` by the nearest decoder: `M -= A G^-1 (A^T M - I)` on vectors of sum 0.
    fn project(&mut self) {
        let k = self.symbols;
        let residual = self.residual();
        let mut correction = vec![0.0; k * k];
        for (out, coefficients) in correction
            .chunks_exact_mut(k)
            .zip(self.inverse.chunks_exact(k))
        {
            for (coefficient, row) in coefficients.iter().zip(residual.chunks_exact(k)) {
                subtract(out, -coefficient, row);
            }
        }
        for (row, symbols) in self.decoder.chunks_exact_mut(k).zip(&self.symbols_of) {
            for &symbol in symbols {
                subtract(row, 1.0, &correction[symbol * k..(symbol + 1) * k]);
            }
        }
    }

    /// Sets `bounded` to the minimizer of `1/2 ||Z - dual||^2 + budget max_r ||Z_r||_1 / w_r`: every row
    /// is shrunk towards 0 by a threshold, such that the norms are at most `w_r` times one largest norm,
    /// and the weighted thresholds sum to the budget. Newton's method on the largest norm, in which the
    /// sum of the thresholds is convex and piecewise linear.
    fn bound(&mut self, budget: f64) {
        let k = self.symbols;
        for _ in 0..30 {
            let (mut sum, mut slope) = (0.0, 0.0);
            for ((row, threshold), &weight) in self
                .dual
                .chunks_exact(k)
                .zip(&mut self.thresholds)
                .zip(&self.weights)
            {
                let (found, count) = shrinkage(row, weight * self.largest, *threshold);
                *threshold = found;
                if found > 0.0 {
                    sum += weight * found;
                    slope += weight * weight / count;
                }
            }
            let missing = sum - budget;
            if missing.abs() <= 1e-7 * budget {
                break;
            }
            // Too large a norm has no thresholds to change: restart from 0.
            self.largest = if slope > 0.0 {
                (self.largest + missing / slope).max(0.0)
            } else {
                0.0
            };
        }
        for ((bounded, row), &threshold) in self
            .bounded
            .chunks_exact_mut(k)
            .zip(self.dual.chunks_exact(k))
            .zip(&self.thresholds)
        {
            for (bounded, value) in bounded.iter_mut().zip(row) {
                *bounded = (value.abs() - threshold).max(0.0).copysign(*value);
            }
        }
    }
}

/// The threshold at which `sum max(|row| - threshold, 0)` is `norm`, 0 if the norm of the row is smaller;
/// with the number of entries above it, at least 1. Newton's method from a guess.
fn shrinkage(row: &[f64], norm: f64, guess: f64) -> (f64, f64) {
    let mut threshold = guess;
    let mut restarted = false;
    for _ in 0..50 {
        let (sum, count) = above(row, threshold);
        if count == 0.0 {
            // Beyond the largest entry the slope is 0: start again from 0, from where the method
            // increases up to the solution, which is the largest entry if it gets here again.
            if restarted || threshold == 0.0 {
                return (threshold, 1.0);
            }
            restarted = true;
            threshold = 0.0;
            continue;
        }
        let next = ((sum - norm) / count).max(0.0);
        if (next - threshold).abs() <= 1e-12 * next {
            return (next, count);
        }
        threshold = next;
    }
    (threshold, above(row, threshold).1.max(1.0))
}

/// The sum and the number of the magnitudes above a threshold.
fn above(row: &[f64], threshold: f64) -> (f64, f64) {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let mut counts = [0.0; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    // The remainder is filled up with zeros, which are not above.
    let mut last = [0.0; LANES];
    last[..rest.len()].copy_from_slice(rest);
    for chunk in chunks.iter().chain([&last]) {
        for ((sum, count), value) in sums.iter_mut().zip(&mut counts).zip(chunk) {
            let magnitude = value.abs();
            let on = if magnitude > threshold { 1.0 } else { 0.0 };
            *sum += on * magnitude;
            *count += on;
        }
    }
    (sums.iter().sum(), counts.iter().sum())
}
