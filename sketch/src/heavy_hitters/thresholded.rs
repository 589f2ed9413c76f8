//! A count-sketch that answers 0 for keys that look like noise.

use crate::count_sketch::{CountSketch, SignedCounter};
use crate::error::SketchError;
use crate::frequency::{FrequencySketch, Merge};
use crate::key::hash_integer;

/// Rows of each table.
const DEPTH: usize = 3;

/// Cells that are drawn to measure the noise.
const DRAWN: usize = 1024;

/// The noise is measured anew when the stream has grown by one part in so many.
const GROWTH: u64 = 8;

/// Several small count-sketches vote on whether a key is frequent at all; if it is, a large one says
/// how frequent.
///
/// After A. Aamand, J. Chen, H. Nguyen, S. Silwal, A. Vakilian, "Improved frequency estimation
/// algorithms with and without predictions" (NeurIPS 2023). Of that algorithm these parts are kept:
/// `T` small tables of a half of the space together and one large of the other half, the median of
/// the small tables' estimates, the answer 0 below a threshold of `O(log log n)` times the noise.
/// These details are derived here: three rows a table, and the noise. An absent key's estimate by
/// one row is a cell of that row, with a random sign, so the median absolute value of the cells is
/// the noise that half of the absent keys exceed; by Zipf's law it is of the order `N / B` for `B`
/// cells, as the threshold of the paper. The threshold is `factor` times this median, measured
/// whenever the stream has grown by an eighth, on a sample of the small tables' cells.
///
/// Rare keys are underestimated, then: by their whole count. Where most keys are rare, the mean
/// error over keys is far below that of a count-sketch of the same size; frequent keys have the
/// error of a sketch of half the size.
#[derive(Clone, Debug)]
pub struct ThresholdedCountSketch<C: SignedCounter = i32> {
    small: Vec<CountSketch<C>>,
    large: CountSketch<C>,
    factor: f64,
    noise: f64,
    /// The total at which the noise is measured next.
    measure_at: u64,
}

impl<C: SignedCounter> ThresholdedCountSketch<C> {
    /// A sketch of at most this many bytes, with three small tables and a factor of 2.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when the bytes are too few.
    pub fn new(bytes: usize, seed: u64) -> Result<Self, SketchError> {
        Self::with(bytes, seed, 3, 2.0)
    }

    /// A sketch of at most this many bytes with `tables` small tables, an odd number, whose threshold
    /// is `factor` times the noise.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`], naming the parameter that is out of its range.
    pub fn with(bytes: usize, seed: u64, tables: usize, factor: f64) -> Result<Self, SketchError> {
        if tables.is_multiple_of(2) || tables > 31 {
            return Err(SketchError::parameter(
                "tables",
                "an odd number to 31",
                tables,
            ));
        }
        if !(factor >= 0.0 && factor.is_finite()) {
            return Err(SketchError::parameter("factor", "a number from 0", factor));
        }
        let table = |bytes| {
            let builder = CountSketch::builder().depth(DEPTH);
            builder.seed(seed).bytes(bytes).build()
        };
        let small: Result<Vec<_>, _> = (0..tables).map(|_| table(bytes / 2 / tables)).collect();
        Ok(Self {
            small: small?,
            large: table(bytes - bytes / 2)?,
            factor,
            noise: 0.0,
            measure_at: 1,
        })
    }

    /// The estimate below which a key counts as noise.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.factor * self.noise
    }

    /// The hash of a key for a small table: each has its own, since tables share their positions.
    #[inline]
    fn hash_for(hash: u64, table: usize) -> u64 {
        hash_integer(hash, table as u64)
    }

    /// Measures the noise.
    fn measure(&mut self) {
        let cells: usize = self.small.iter().map(cells_of).sum();
        let step = (cells / DRAWN).max(1);
        let mut drawn: Vec<u64> = self
            .small
            .iter()
            .flat_map(|table| table.cells().flatten())
            .step_by(step)
            .map(|cell| cell.get().unsigned_abs())
            .collect();
        let middle = drawn.len() / 2;
        let (_, &mut median, _) = drawn.select_nth_unstable(middle);
        self.noise = median as f64;
        let total = self.large.total();
        self.measure_at = total.saturating_add((total / GROWTH).max(1));
    }
}

fn cells_of<C: SignedCounter>(table: &CountSketch<C>) -> usize {
    table.depth() * table.width()
}

impl<C: SignedCounter> FrequencySketch for ThresholdedCountSketch<C> {
    type Estimate = f64;

    fn seed(&self) -> u64 {
        self.large.seed()
    }

    fn update_hash(&mut self, hash: u64, by: u64) {
        for (table, small) in self.small.iter_mut().enumerate() {
            small.update_hash(Self::hash_for(hash, table), by);
        }
        self.large.update_hash(hash, by);
        if self.large.total() >= self.measure_at {
            self.measure();
        }
    }

    fn update_hashes(&mut self, hashes: &[u64]) {
        let mut rest = hashes;
        let mut own = Vec::with_capacity(hashes.len());
        while !rest.is_empty() {
            // Up to the update after which the noise is measured.
            let until = self.measure_at.saturating_sub(self.large.total()).max(1);
            let until = usize::try_from(until).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at(until);
            for (table, small) in self.small.iter_mut().enumerate() {
                own.clear();
                own.extend(now.iter().map(|&hash| Self::hash_for(hash, table)));
                small.update_hashes(&own);
            }
            self.large.update_hashes(now);
            if self.large.total() >= self.measure_at {
                self.measure();
            }
            rest = later;
        }
    }

    fn estimate_hash(&self, hash: u64) -> f64 {
        let mut votes = [0.0; 31];
        let votes = &mut votes[..self.small.len()];
        for (table, (vote, small)) in votes.iter_mut().zip(&self.small).enumerate() {
            *vote = small.estimate_hash(Self::hash_for(hash, table));
        }
        votes.sort_unstable_by(f64::total_cmp);
        if votes[votes.len() / 2] < self.threshold() {
            0.0
        } else {
            // A frequency is not negative.
            self.large.estimate_hash(hash).max(0.0)
        }
    }

    fn total(&self) -> u64 {
        self.large.total()
    }

    fn size_bytes(&self) -> usize {
        let small: usize = self.small.iter().map(CountSketch::size_bytes).sum();
        small + self.large.size_bytes()
    }

    fn clear(&mut self) {
        for small in &mut self.small {
            small.clear();
        }
        self.large.clear();
        self.noise = 0.0;
        self.measure_at = 1;
    }
}

impl<C: SignedCounter> Merge for ThresholdedCountSketch<C> {
    fn merge(&mut self, other: &Self) -> Result<(), SketchError> {
        let same = |field, left: String, right: String| {
            if left == right {
                Ok(())
            } else {
                Err(SketchError::Incompatible { field, left, right })
            }
        };
        let tables = |sketch: &Self| sketch.small.len().to_string();
        same("small tables", tables(self), tables(other))?;
        same("factor", self.factor.to_string(), other.factor.to_string())?;
        // Small and large tables have sizes that follow from each other: when one fits, all do.
        self.large.merge(&other.large)?;
        for (mine, theirs) in self.small.iter_mut().zip(&other.small) {
            mine.merge(theirs)?;
        }
        self.measure();
        Ok(())
    }
}
