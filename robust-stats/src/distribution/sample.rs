//! Samplers: single symbols by an alias table, multinomial counts by conditional binomials.

use rand::Rng;
use rand_distr::{Binomial, Distribution};

use super::Pmf;

/// Draws one symbol in constant time (Walker's alias method in Vose's form).
#[derive(Clone, Debug)]
pub struct AliasSampler {
    /// The probability of keeping the column, and the alias symbol.
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
        // Vose's construction: fill each column below average from one above average.
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
        // The remaining columns are 1 up to rounding.
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

/// Samples multinomial counts in `O(domain)`, independently of the number of draws: symbol by symbol, a
/// binomial number of the remaining draws.
#[derive(Clone, Debug)]
pub struct MultinomialSampler {
    /// By symbol: its mass divided by the total mass from it on.
    conditional: Vec<f64>,
}

impl MultinomialSampler {
    /// Prepares to draw from `pmf`.
    #[must_use]
    pub fn new(pmf: &Pmf) -> Self {
        let mut conditional = pmf.masses().to_vec();
        // Suffix sums from the end, so that conditional probabilities are accurate in the tail.
        let mut tail = 0.0;
        for mass in conditional.iter_mut().rev() {
            tail += *mass;
            if tail > 0.0 {
                *mass = (*mass / tail).min(1.0);
            }
        }
        Self { conditional }
    }

    /// Samples the counts of `draws` draws.
    pub fn sample<R: Rng + ?Sized>(&self, draws: u64, rng: &mut R) -> Vec<u64> {
        let mut counts = vec![0; self.conditional.len()];
        self.sample_into(draws, rng, &mut counts);
        counts
    }

    /// The same without allocation, into the first `domain` entries of `counts`.
    pub fn sample_into<R: Rng + ?Sized>(&self, draws: u64, rng: &mut R, counts: &mut [u64]) {
        let mut left = draws;
        for (count, &probability) in counts.iter_mut().zip(&self.conditional) {
            *count = if left == 0 || probability <= 0.0 {
                0
            } else if probability >= 1.0 {
                left
            } else {
                Binomial::new(left, probability)
                    .expect("a probability in 0..=1")
                    .sample(rng)
            };
            left -= *count;
        }
    }
}
