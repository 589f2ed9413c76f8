//! The reduction of identity testing to uniformity testing (Goldreich, "The uniform distribution is
//! complete with respect to testing identity to a fixed distribution", 2016).

use rand::Rng;

use crate::aggregate::checked_total;
use crate::distribution::Pmf;
use crate::error::RobustStatsError;

/// Maximum number of samples of [`UniformReduction::map_counts`].
pub const MAX_MAPPED_SAMPLES: u64 = 10_000_000_000;

/// A random map of samples that turns the reference into the uniform distribution over `cells` cells
/// and preserves every distance up to a constant factor. A corrupted sample maps to one corrupted sample.
///
/// With probability 1/2 a sample is replaced by a uniform one, so that every symbol has at least half
/// the mass of a uniform one. Then symbol `x`, with mass `q_x`, owns `floor(cells q_x)` cells and maps
/// to a random one of them, except for the remainder of its mass, which maps to the leftover cells.
#[derive(Clone, Debug, PartialEq)]
pub struct UniformReduction {
    /// The first cell of each symbol; the last entry is the first left-over cell.
    first: Vec<usize>,
    /// The probability that a sample of the symbol goes to its own cells.
    kept: Vec<f64>,
    cells: usize,
}

impl UniformReduction {
    /// The reduction of a reference to `cells_per_symbol` times as many cells as it has symbols.
    ///
    /// # Errors
    ///
    /// When `cells_per_symbol` is below 2, where a symbol may own no cell, or there are too many cells.
    pub fn new(reference: &Pmf, cells_per_symbol: usize) -> Result<Self, RobustStatsError> {
        if cells_per_symbol < 2 {
            return Err(RobustStatsError::parameter(
                "cells_per_symbol",
                "at least 2",
                cells_per_symbol,
            ));
        }
        let symbols = reference.domain();
        let cells = symbols
            .checked_mul(cells_per_symbol)
            .filter(|&cells| u32::try_from(cells).is_ok())
            .ok_or_else(|| {
                RobustStatsError::parameter(
                    "cells_per_symbol",
                    "at most 4294967295 cells",
                    cells_per_symbol,
                )
            })?;
        // Assign consecutive cells to the symbols, in proportion to the mixed masses, rounded down.
        let mut first = vec![0];
        let mut kept = Vec::with_capacity(symbols);
        let mut next = 0;
        for mass in reference.masses() {
            let wanted = cells as f64 * f64::midpoint(*mass, 1.0 / symbols as f64);
            // Rounding must not exceed the total number of cells.
            let own = ((wanted * (1.0 + 1e-12)) as usize).min(cells - next);
            kept.push((own as f64 / wanted).min(1.0));
            next += own;
            first.push(next);
        }
        Ok(Self { first, kept, cells })
    }

    /// Number of cells.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.cells
    }

    /// The cell of one sample.
    ///
    /// # Panics
    ///
    /// When the symbol is outside the reference's domain.
    pub fn map<R: Rng + ?Sized>(&self, symbol: usize, rng: &mut R) -> usize {
        let symbols = self.kept.len();
        let symbol = if rng.random::<bool>() {
            symbol
        } else {
            rng.random_range(0..symbols)
        };
        // Keep the sample in its own cells with the probability that fills them exactly.
        let (begin, end) = (self.first[symbol], self.first[symbol + 1]);
        let left_over = self.first[symbols];
        if rng.random::<f64>() < self.kept[symbol] || left_over == self.cells {
            rng.random_range(begin..end)
        } else {
            rng.random_range(left_over..self.cells)
        }
    }

    /// The counts of the cells of all samples: O(samples + cells).
    ///
    /// # Errors
    ///
    /// When the number of counts is not that of symbols, or there are more than
    /// [`MAX_MAPPED_SAMPLES`] samples.
    pub fn map_counts<R: Rng + ?Sized>(
        &self,
        counts: &[u64],
        rng: &mut R,
    ) -> Result<Vec<u64>, RobustStatsError> {
        if counts.len() != self.kept.len() {
            return Err(RobustStatsError::mismatch(
                "domain",
                counts.len(),
                self.kept.len(),
            ));
        }
        let samples = checked_total(counts)?;
        if samples > MAX_MAPPED_SAMPLES {
            return Err(RobustStatsError::parameter(
                "samples",
                format!("at most {MAX_MAPPED_SAMPLES}"),
                samples,
            ));
        }
        let mut mapped = vec![0; self.cells];
        for (symbol, &count) in counts.iter().enumerate() {
            for _ in 0..count {
                mapped[self.map(symbol, rng)] += 1;
            }
        }
        Ok(mapped)
    }

    /// The distribution of the cells for samples from `pmf`.
    ///
    /// # Errors
    ///
    /// When the domains differ.
    pub fn cell_distribution(&self, pmf: &Pmf) -> Result<Pmf, RobustStatsError> {
        let symbols = self.kept.len();
        if pmf.domain() != symbols {
            return Err(RobustStatsError::mismatch("domain", pmf.domain(), symbols));
        }
        let mut law = vec![0.0; self.cells];
        let left_over = self.first[symbols];
        let mut rest = 0.0;
        for (symbol, mass) in pmf.masses().iter().enumerate() {
            let mixed = f64::midpoint(*mass, 1.0 / symbols as f64);
            let (begin, end) = (self.first[symbol], self.first[symbol + 1]);
            let kept = if left_over == self.cells {
                1.0
            } else {
                self.kept[symbol]
            };
            for cell in &mut law[begin..end] {
                *cell = mixed * kept / (end - begin) as f64;
            }
            rest += mixed * (1.0 - kept);
        }
        for cell in &mut law[left_over..] {
            *cell = rest / (self.cells - left_over) as f64;
        }
        Pmf::from_weights(&law)
    }
}

#[cfg(test)]
mod tests {
    use septet_core::seed::SeedTree;

    use super::*;

    #[test]
    fn the_reference_becomes_uniform_and_distances_stay() {
        for reference in [
            Pmf::uniform(10).unwrap(),
            Pmf::zipf(50, 1.0).unwrap(),
            Pmf::geometric(30, 0.7).unwrap(),
            Pmf::from_weights(&[1.0, 0.0, 2.0]).unwrap(),
        ] {
            let reduction = UniformReduction::new(&reference, 4).unwrap();
            let uniform = Pmf::uniform(reduction.cells()).unwrap();
            let law = reduction.cell_distribution(&reference).unwrap();
            assert!(law.total_variation(&uniform).unwrap() < 1e-9);
            // The cells of a symbol hold at least floor(2 + ..) / (2 + ..) of it, 2/3 or more, and
            // mixing keeps one half.
            let other = Pmf::from_weights(
                &(0..reference.domain())
                    .map(|x| (x + 1) as f64)
                    .collect::<Vec<_>>(),
            )
            .unwrap();
            let before = other.total_variation(&reference).unwrap();
            let after = reduction
                .cell_distribution(&other)
                .unwrap()
                .total_variation(&uniform)
                .unwrap();
            assert!(after >= before / 3.0 - 1e-12 && after <= before / 2.0 + 1e-12);
        }
    }

    #[test]
    fn too_many_samples_are_refused() {
        let reduction = UniformReduction::new(&Pmf::uniform(2).unwrap(), 2).unwrap();
        let mut rng = SeedTree::new(3).rng();
        for counts in [[MAX_MAPPED_SAMPLES, 1], [u64::MAX, u64::MAX]] {
            assert!(reduction.map_counts(&counts, &mut rng).is_err());
        }
    }

    #[test]
    fn samples_follow_the_law() {
        let reference = Pmf::zipf(8, 1.0).unwrap();
        let reduction = UniformReduction::new(&reference, 3).unwrap();
        let counts = [40_000, 0, 0, 10_000, 0, 0, 0, 50_000];
        let mut rng = SeedTree::new(3).rng();
        let mapped = reduction.map_counts(&counts, &mut rng).unwrap();
        assert_eq!(mapped.iter().sum::<u64>(), 100_000);
        let law = reduction
            .cell_distribution(&Pmf::from_counts(&counts).unwrap())
            .unwrap();
        for (count, mass) in mapped.iter().zip(law.masses()) {
            // Six standard deviations: a false alarm below 1e-7 over all cells.
            let deviation = (1e5 * mass * (1.0 - mass)).sqrt().max(1.0);
            assert!((*count as f64 - 1e5 * mass).abs() < 6.0 * deviation);
        }
    }
}
