//! The isometry constant of a design, on which the decoder's guarantee depends.

use rand_chacha::rand_core::RngCore;

use super::{DesignMatrix, HashDesign};
use crate::mechanism::uniform_below;

/// Maximum number of entries (groups times symbols) for the search of the weakest direction.
const MAX_SEARCHED_ENTRIES: usize = 1 << 22;

/// The smallest observed `c` in `(1/N) ||A x||_1 >= c sqrt(L/k) ||x||_1`, over random `x` that sum to
/// zero. With it the decoded distribution is within `(1/c) sqrt(k/L) (sqrt(C k/n) + 2 gamma)` of the
/// truth: by the triangle inequality, `c sqrt(L/k)` times the error is at most twice the distance of
/// the observed from the true cell frequencies.
///
/// An empirical value, not a proof: the directions are sampled or searched, and the true minimum may be
/// lower.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IsometryReport {
    /// Over random sign vectors with equally many `+1` and `-1`: the hard directions.
    pub signs: f64,
    /// Over differences of two symbols.
    pub pairs: f64,
    /// Over sparse sign vectors with 2 to `k/2` nonzeros.
    pub sparse: f64,
    /// Along the [weakest direction](crate::design::DesignMatrix::weakest_direction) that a search
    /// finds, which is the relevant one against adversaries that know the partitions. `None` for
    /// designs of more than `2^22` entries, `groups * domain`.
    pub weakest: Option<f64>,
    /// Number of sampled vectors of each kind.
    pub vectors: usize,
}

impl IsometryReport {
    /// The minimum of all kinds.
    #[must_use]
    pub fn constant(&self) -> f64 {
        let drawn = self.signs.min(self.pairs).min(self.sparse);
        self.weakest.map_or(drawn, |weakest| weakest.min(drawn))
    }
}

impl HashDesign {
    /// Measures the constant on `vectors` sampled directions of each kind:
    /// `O(vectors * groups * domain)`.
    ///
    /// For a domain of one symbol, which has no direction, the constants are infinite.
    pub fn isometry<R: RngCore + ?Sized>(&self, vectors: usize, rng: &mut R) -> IsometryReport {
        let domain = u32::try_from(self.domain()).expect("a domain has 32-bit symbols");
        let mut report = IsometryReport {
            signs: f64::INFINITY,
            pairs: f64::INFINITY,
            sparse: f64::INFINITY,
            weakest: None,
            vectors,
        };
        if domain < 2 {
            return report;
        }
        if self.groups() * self.domain() <= MAX_SEARCHED_ENTRIES {
            let matrix = DesignMatrix::from_design(self).ok();
            let weakest = matrix.and_then(|matrix| matrix.weakest_direction());
            let scale = (self.domain() as f64 / self.cells() as f64).sqrt();
            report.weakest = weakest.map(|weakest| scale * weakest.ratio);
        }
        let mut symbols: Vec<u32> = (0..domain).collect();
        for _ in 0..vectors {
            let sparse = 2 + uniform_below(rng, (domain / 2).max(1));
            for (size, smallest) in [
                (domain, &mut report.signs),
                (2, &mut report.pairs),
                (sparse.min(domain), &mut report.sparse),
            ] {
                // A partial Fisher-Yates shuffle: the first `size` entries are a random subset.
                for place in 0..size {
                    let other = place + uniform_below(rng, domain - place);
                    symbols.swap(place as usize, other as usize);
                }
                let half = (size / 2) as usize;
                let (plus, rest) = symbols.split_at(half);
                *smallest = smallest.min(self.contraction(plus, &rest[..half]));
            }
        }
        report
    }

    /// `(1/N) ||A x||_1 / (sqrt(L/k) ||x||_1)` for `x` of `+1` on some symbols and `-1` on others.
    fn contraction(&self, plus: &[u32], minus: &[u32]) -> f64 {
        // Integer cell sums: only the listed symbols contribute.
        let mut cells = vec![0_i64; self.cells()];
        let mut norm = 0_u64;
        for group in 0..self.groups() {
            let partition = self.partition(group);
            cells.fill(0);
            for &symbol in plus {
                cells[usize::from(partition[symbol as usize])] += 1;
            }
            for &symbol in minus {
                cells[usize::from(partition[symbol as usize])] -= 1;
            }
            norm += cells.iter().map(|cell| cell.unsigned_abs()).sum::<u64>();
        }
        let length = (plus.len() + minus.len()) as f64;
        let scale = (self.cells() as f64 / self.domain() as f64).sqrt();
        norm as f64 / self.groups() as f64 / (scale * length)
    }
}
