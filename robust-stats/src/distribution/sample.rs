//! Samplers: one symbol at a time by an alias table, all counts at once by conditional binomials.

use rand::Rng;
use rand_distr::{Binomial, Distribution};

use super::Pmf;

/// Draws one symbol in constant time (Walker's alias method in Vose's form).
#[derive(Clone, Debug)]
pub struct AliasSampler {
    /// The chance to keep the column, and the symbol to take otherwise.
    columns: Vec<(f64, u32)>,
}

impl AliasSampler {
    /// Builds the table in `O(domain)`.
    ///
    /// # Panics
    ///
    /// When the domain has more than `2^32` symbols.
    #[must_use]
    pub fn new(pmf: &Pmf) -> Self {
        let domain = u32::try_from(pmf.domain()).expect("a domain has at most 2^32 symbols");
        let mut columns: Vec<(f64, u32)> = pmf
            .masses()
            .iter()
            .zip(0..domain)
            .map(|(mass, symbol)| (mass * f64::from(domain), symbol))
            .collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) =
            (0..domain).partition(|&symbol| columns[symbol as usize].0 < 1.0);
        while let (Some(&from), Some(&to)) = (small.last(), large.last()) {
            small.pop();
            let missing = 1.0 - columns[from as usize].0;
            columns[from as usize].1 = to;
            columns[to as usize].0 -= missing;
            if columns[to as usize].0 < 1.0 {
                large.pop();
                small.push(to);
            }
        }
        // What is left is 1 up to rounding.
        for left in small.into_iter().chain(large) {
            columns[left as usize].0 = 1.0;
        }
        Self { columns }
    }

    /// Draws a symbol.
    pub fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> usize {
        let column = rng.random_range(0..self.columns.len());
        let (keep, alias) = self.columns[column];
        if rng.random::<f64>() < keep {
            column
        } else {
            alias as usize
        }
    }
}

/// Draws how often each symbol occurs among many draws: `O(domain)`, whatever the number of draws.
///
/// The counts follow the multinomial law: symbol after symbol, a binomial number of the draws that
/// are left.
#[derive(Clone, Debug)]
pub struct MultinomialSampler {
    /// For each symbol its mass divided by that of itself and all later symbols.
    conditional: Vec<f64>,
}

impl MultinomialSampler {
    /// Prepares to draw from `pmf`.
    #[must_use]
    pub fn new(pmf: &Pmf) -> Self {
        let mut conditional = pmf.masses().to_vec();
        let mut tail = 0.0;
        for mass in conditional.iter_mut().rev() {
            tail += *mass;
            if tail > 0.0 {
                *mass = (*mass / tail).min(1.0);
            }
        }
        Self { conditional }
    }

    /// How often each symbol occurs among `draws` draws.
    pub fn sample<R: Rng + ?Sized>(&self, draws: u64, rng: &mut R) -> Vec<u64> {
        let mut counts = vec![0; self.conditional.len()];
        self.sample_into(draws, rng, &mut counts);
        counts
    }

    /// The same without an allocation: writes over the first `domain` numbers of `counts`.
    pub fn sample_into<R: Rng + ?Sized>(&self, draws: u64, rng: &mut R, counts: &mut [u64]) {
        let mut left = draws;
        for (count, &chance) in counts.iter_mut().zip(&self.conditional) {
            *count = if left == 0 || chance <= 0.0 {
                0
            } else if chance >= 1.0 {
                left
            } else {
                Binomial::new(left, chance)
                    .expect("the chance lies between 0 and 1")
                    .sample(rng)
            };
            left -= *count;
        }
    }
}
