//! The count-sketch: signed counters, whose median is an unbiased estimate.
//!
//! M. Charikar, K. Chen, M. Farach-Colton, "Finding frequent items in data streams" (2002).
//!
//! Each row adds a key with a random sign, so that collisions cancel in expectation. Errors have
//! either sign and are of the order of the Euclidean norm of the stream over the square root of the
//! width. Updates are signed: counts may also decrease.

mod batch;
mod bounds;
mod builder;
mod counter;
mod median;

use core::fmt;

pub use builder::CountSketchBuilder;
pub use counter::SignedCounter;

use crate::cache_lines::CacheLines;
use crate::error::SketchError;
use crate::frequency::{FrequencySketch, Merge};
use crate::rows::{MAX_DEPTH, choices, offset};
use crate::simd::Simd;

/// A count-sketch with counters of type `C`, which saturate at both ends of their range.
///
/// Two sketches are equal when they have the same parameters and counters.
#[derive(Clone)]
pub struct CountSketch<C: SignedCounter = i32> {
    depth: usize,
    width: usize,
    /// Counters from the start of a row to the start of the next.
    stride: usize,
    seed: u64,
    total: i64,
    saturated: bool,
    simd: Simd,
    cells: CacheLines<C>,
}

/// +1 or -1: the sign of a key in a row, one bit of its [`choices`].
#[inline(always)]
fn sign(choices: u32, row: usize) -> i64 {
    1 - 2 * i64::from((choices >> row) & 1)
}

impl<C: SignedCounter> CountSketch<C> {
    /// A builder: depth 3, 1 MiB, seed 0.
    #[must_use]
    pub fn builder() -> CountSketchBuilder<C> {
        CountSketchBuilder::new()
    }

    /// Rows.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Counters in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The vector instructions in use.
    #[must_use]
    pub fn simd(&self) -> Simd {
        self.simd
    }

    /// Whether a counter has saturated. From then on estimates may be biased.
    #[must_use]
    pub fn saturated(&self) -> bool {
        self.saturated
    }

    /// The sum of all updates, negative ones included; saturating.
    #[must_use]
    pub fn net_total(&self) -> i64 {
        self.total
    }

    /// Adds `by`, which may be negative, to the count of the key with this hash.
    #[inline]
    pub fn add_hash(&mut self, hash: u64, by: i64) {
        self.total = self.total.saturating_add(by);
        // One counter in each row, with the sign of the key in that row.
        let signs = choices(hash);
        let cells = self.cells.as_mut_slice();
        let mut saturated = false;
        for row in 0..self.depth {
            let position = row * self.stride + offset(hash, row, self.width as u32) as usize;
            saturated |= batch::add(&mut cells[position], sign(signs, row), by);
        }
        self.saturated |= saturated;
    }

    /// Adds `by[i]`, which may be negative, to the count of the key with hash `hashes[i]`.
    ///
    /// # Panics
    ///
    /// When the slices differ in length.
    pub fn add_hashes(&mut self, hashes: &[u64], by: &[i64]) {
        assert_eq!(hashes.len(), by.len(), "one weight for each hash");
        self.add_all(hashes, |i| by[i]);
    }

    /// Whether two sketches have the same parameters.
    fn compatible(&self, other: &Self) -> Result<(), SketchError> {
        SketchError::ensure_equal("depth", &self.depth, &other.depth)?;
        SketchError::ensure_equal("width", &self.width, &other.width)?;
        SketchError::ensure_equal("seed", &self.seed, &other.seed)
    }

    /// The counters row by row, `width` in each. Up to its sign, a counter is the estimate by its row
    /// of a key that never occurred: together they are a sample of the error.
    pub fn cells(&self) -> impl Iterator<Item = &[C]> {
        let strides = self.cells.as_slice().chunks_exact(self.stride);
        strides.map(|stride| &stride[..self.width])
    }
}

/// The largest weight of an update; a larger one exceeds every counter.
const MAX_WEIGHT: u64 = i64::MAX as u64;

fn signed(by: u64) -> i64 {
    by.min(MAX_WEIGHT).cast_signed()
}

impl<C: SignedCounter> FrequencySketch for CountSketch<C> {
    type Estimate = f64;

    fn seed(&self) -> u64 {
        self.seed
    }

    #[inline]
    fn update_hash(&mut self, hash: u64, by: u64) {
        self.saturated |= by > MAX_WEIGHT;
        self.add_hash(hash, signed(by));
    }

    fn update_hashes(&mut self, hashes: &[u64]) {
        self.add_all(hashes, |_| 1);
    }

    fn update_hashes_by(&mut self, hashes: &[u64], by: &[u64]) {
        assert_eq!(hashes.len(), by.len(), "one weight for each hash");
        // Clamping a weight loses occurrences, as saturation of a counter does.
        self.saturated |= by.iter().any(|&by| by > MAX_WEIGHT);
        self.add_all(hashes, |i| signed(by[i]));
    }

    /// The median of the counters of the key, for an even depth the mean of the middle two.
    fn estimate_hash(&self, hash: u64) -> f64 {
        // The sign is its own inverse: multiplying again recovers the count.
        let signs = choices(hash);
        let cells = self.cells.as_slice();
        let mut counts = [0; MAX_DEPTH];
        for (row, count) in counts.iter_mut().enumerate().take(self.depth) {
            let position = row * self.stride + offset(hash, row, self.width as u32) as usize;
            *count = sign(signs, row) * cells[position].get();
        }
        median::median(&mut counts[..self.depth])
    }

    fn estimate_hashes(&self, hashes: &[u64], estimates: &mut [f64]) {
        assert_eq!(hashes.len(), estimates.len(), "one estimate for each hash");
        self.estimate_all(hashes, estimates);
    }

    /// The [net total](CountSketch::net_total), or 0 when that is negative.
    fn total(&self) -> u64 {
        u64::try_from(self.total).unwrap_or(0)
    }

    fn size_bytes(&self) -> usize {
        self.cells.size_bytes()
    }

    fn clear(&mut self) {
        self.total = 0;
        self.saturated = false;
        self.cells.as_mut_slice().fill(C::default());
    }
}

impl<C: SignedCounter> Merge for CountSketch<C> {
    fn merge(&mut self, other: &Self) -> Result<(), SketchError> {
        self.compatible(other)?;
        self.total = self.total.saturating_add(other.total);
        // Linear: the sum of the tables is the table of the concatenated streams.
        let mut saturated = self.saturated | other.saturated;
        let pairs = self
            .cells
            .as_mut_slice()
            .iter_mut()
            .zip(other.cells.as_slice());
        for (mine, theirs) in pairs {
            saturated |= batch::add(mine, 1, theirs.get());
        }
        self.saturated = saturated;
        Ok(())
    }
}

impl<C: SignedCounter> PartialEq for CountSketch<C> {
    fn eq(&self, other: &Self) -> bool {
        self.compatible(other).is_ok()
            && self.total == other.total
            && self.saturated == other.saturated
            && self.cells.as_slice() == other.cells.as_slice()
    }
}

impl<C: SignedCounter> Eq for CountSketch<C> {}

impl<C: SignedCounter> fmt::Debug for CountSketch<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountSketch")
            .field("counter", &C::NAME)
            .field("depth", &self.depth)
            .field("width", &self.width)
            .field("seed", &self.seed)
            .field("total", &self.total)
            .field("saturated", &self.saturated)
            .finish_non_exhaustive()
    }
}
