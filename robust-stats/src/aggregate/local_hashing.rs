//! Local hashing: counts of supported symbols, or of reports by hash function and cell.

use super::{Countable, FrequencyOracle, RejectReason, counts_each_once};
use crate::mechanism::{HashedCell, LocalHashing, Mechanism, PureMechanism};

impl Countable for LocalHashing {
    type Report = HashedCell;

    /// One count per symbol with 64-bit seeds; one per seed and cell with a family.
    fn slots(&self) -> usize {
        self.family()
            .map_or(self.domain(), |family| family as usize * self.cells())
    }

    fn is_consistent(&self, counts: &[u64], reports: u64) -> bool {
        self.family().is_none() || counts_each_once(counts, reports)
    }

    /// `O(domain)` with 64-bit seeds, `O(1)` with a family.
    fn count(&self, report: &HashedCell, counts: &mut [u32]) -> Result<(), RejectReason> {
        if report.cell as usize >= self.cells() {
            return Err(RejectReason::Range);
        }
        match self.family() {
            None => self.support_into(report, counts),
            Some(family) if report.seed < u64::from(family) => {
                let seed = usize::try_from(report.seed).map_err(|_| RejectReason::Range)?;
                counts[seed * self.cells() + report.cell as usize] += 1;
            }
            Some(_) => return Err(RejectReason::Range),
        }
        Ok(())
    }
}

impl FrequencyOracle for LocalHashing {
    /// `O(domain)` with 64-bit seeds, `O(family * domain)` with a family.
    fn estimates(&self, counts: &[u64], reports: u64) -> Vec<f64> {
        let support = self.support();
        let estimate = |&count: &u64| support.estimate(count, reports);
        let Some(family) = self.family() else {
            return counts.iter().map(estimate).collect();
        };
        // Hash each symbol once per seed, instead of once per report.
        let mut supports = vec![0_u64; self.domain()];
        for (seed, cells) in (0..u64::from(family)).zip(counts.chunks_exact(self.cells())) {
            if cells.iter().all(|&count| count == 0) {
                continue;
            }
            for (symbol, support) in (0..).zip(&mut supports) {
                *support += cells[self.cell(seed, symbol) as usize];
            }
        }
        supports.iter().map(estimate).collect()
    }

    /// With a family of `F`, symbols that collide under a seed collide for all its clients. The
    /// variance thus has a term independent of the number of reports, `sum p_x^2 / ((g - 1) F)` over
    /// the other symbols.
    fn variance(&self, masses: &[f64], symbol: usize, reports: u64) -> f64 {
        let support = self.support();
        let independent = support.variance(masses[symbol], reports);
        let Some(family) = self.family() else {
            return independent;
        };
        let cells = self.cells() as f64;
        let others = masses.iter().enumerate().filter(|(x, _)| *x != symbol);
        let squares: f64 = others.map(|(_, mass)| mass * mass).sum();
        // A symbol that collides with `symbol` under a seed supports it with probability p, otherwise
        // with (1-p)/(g-1). The difference is g/(g-1) times the estimate's scale p - 1/g, and the
        // collision probability is 1/g: (g/(g-1))^2 (1/g)(1 - 1/g) = 1/(g-1).
        independent + squares / ((cells - 1.0) * f64::from(family))
    }
}
