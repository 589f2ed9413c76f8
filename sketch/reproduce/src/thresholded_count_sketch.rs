//! A count-sketch that answers 0 for keys that look like noise.

use septet_sketch::key::hash_integer;
use septet_sketch::{CountSketch, FrequencySketch, SketchError};

/// Small tables, an odd number, so that there is a median.
const TABLES: usize = 3;

/// Rows of each table.
const DEPTH: usize = 3;

/// A key counts as noise up to so many times the noise.
const FACTOR: f64 = 2.0;

/// Cells that are drawn to measure the noise.
const DRAWN: usize = 1024;

/// The noise is measured anew when the stream has grown by one part in so many.
const GROWTH: u64 = 8;

/// Three small count-sketches vote on whether a key is frequent at all; if it is, a large one says
/// how frequent.
///
/// After A. Aamand, J. Chen, H. Nguyen, S. Silwal, A. Vakilian, "Improved frequency estimation
/// algorithms with and without predictions" (NeurIPS 2023). Of that algorithm these parts are kept:
/// the small tables of a half of the space together and one large of the other half, the median of
/// the small tables' estimates, the answer 0 below a threshold of `O(log log n)` times the noise.
/// These details are derived here: three rows a table, and the noise. An absent key's estimate by
/// one row is a cell of that row, with a random sign, so the median absolute value of the cells is
/// the noise that half of the absent keys exceed; by Zipf's law it is of the order `N / B` for `B`
/// cells, as the threshold of the paper. The threshold is twice this median, measured whenever the
/// stream has grown by an eighth, on a sample of the small tables' cells.
///
/// Rare keys are underestimated, then: by their whole count. Where most keys are rare, the mean
/// error over keys is far below that of a count-sketch of the same size; frequent keys have the
/// error of a sketch of half the size.
#[derive(Debug)]
pub(crate) struct ThresholdedCountSketch {
    small: [CountSketch<i32>; TABLES],
    large: CountSketch<i32>,
    noise: f64,
    /// The total at which the noise is measured next.
    measure_at: u64,
}

impl ThresholdedCountSketch {
    /// A sketch of at most this many bytes.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when the bytes are too few.
    pub(crate) fn new(bytes: usize, seed: u64) -> Result<Self, SketchError> {
        let table = |bytes| {
            let builder = CountSketch::builder().depth(DEPTH);
            builder.seed(seed).bytes(bytes).build()
        };
        let small = table(bytes / 2 / TABLES)?;
        Ok(Self {
            small: [small.clone(), small.clone(), small],
            large: table(bytes - bytes / 2)?,
            noise: 0.0,
            measure_at: 1,
        })
    }

    /// The estimate below which a key counts as noise.
    fn threshold(&self) -> f64 {
        FACTOR * self.noise
    }

    /// The hash of a key for a small table: each has its own, since tables share their positions.
    #[inline]
    fn hash_for(hash: u64, table: usize) -> u64 {
        hash_integer(hash, table as u64)
    }

    /// Measures the noise.
    fn measure(&mut self) {
        let cells = TABLES * self.small[0].depth() * self.small[0].width();
        let step = (cells / DRAWN).max(1);
        let mut drawn: Vec<u64> = self
            .small
            .iter()
            .flat_map(|table| table.cells().flatten())
            .step_by(step)
            .map(|cell| u64::from(cell.unsigned_abs()))
            .collect();
        let middle = drawn.len() / 2;
        let (_, &mut median, _) = drawn.select_nth_unstable(middle);
        self.noise = median as f64;
        let total = self.large.total();
        self.measure_at = total.saturating_add((total / GROWTH).max(1));
    }
}

impl FrequencySketch for ThresholdedCountSketch {
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
        let mut votes = [0.0; TABLES];
        for (table, (vote, small)) in votes.iter_mut().zip(&self.small).enumerate() {
            *vote = small.estimate_hash(Self::hash_for(hash, table));
        }
        votes.sort_unstable_by(f64::total_cmp);
        if votes[TABLES / 2] < self.threshold() {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Zipf's law: 20 000 keys of frequency 20 000 / rank, one after another in strides.
    fn zipf() -> Vec<u64> {
        let mut keys = Vec::new();
        for round in 0..20_000u64 {
            keys.extend((1..=20_000u64).take_while(|rank| rank * (round + 1) <= 20_000));
        }
        keys
    }

    #[test]
    fn rare_keys_are_noise() {
        let keys = zipf();
        let bytes = 24 * 1024;
        let mut plain = CountSketch::<i32>::builder()
            .depth(3)
            .bytes(bytes)
            .build()
            .unwrap();
        plain.update_batch(&keys);
        let mut sketch = ThresholdedCountSketch::new(bytes, 0).unwrap();
        sketch.update_batch(&keys);
        assert!(sketch.size_bytes() <= bytes);
        let error = |estimate: &dyn Fn(u64) -> f64, ranks: std::ops::RangeInclusive<u64>| {
            let count = ranks.clone().count() as f64;
            let errors = ranks.map(|rank| (estimate(rank) - (20_000 / rank) as f64).abs());
            errors.sum::<f64>() / count
        };
        let by_sketch = |rank: u64| sketch.estimate(&rank);
        let by_plain = |rank: u64| plain.estimate(&rank);
        let all = (error(&by_sketch, 1..=20_000), error(&by_plain, 1..=20_000));
        let frequent = (error(&by_sketch, 1..=50), error(&by_plain, 1..=50));
        assert!(all.0 < 0.6 * all.1, "{all:?}");
        assert!(frequent.0 < 4.0 * frequent.1.max(10.0), "{frequent:?}");
        let absent = (30_000u64..40_000).filter(|key| sketch.estimate(key) == 0.0);
        assert!(absent.count() > 8_500);
    }

    #[test]
    fn batches_are_updates_one_by_one() {
        let keys = zipf();
        let mut one = ThresholdedCountSketch::new(8192, 3).unwrap();
        for key in &keys {
            one.update(key);
        }
        let mut batch = ThresholdedCountSketch::new(8192, 3).unwrap();
        batch.update_batch(&keys);
        assert_eq!(one.threshold(), batch.threshold());
        for key in 1u64..2000 {
            assert_eq!(one.estimate(&key), batch.estimate(&key));
        }
    }

    #[test]
    fn too_few_bytes_are_refused() {
        assert!(matches!(
            ThresholdedCountSketch::new(8, 0),
            Err(SketchError::Parameter { .. })
        ));
    }
}
