//! The count-min sketch: `depth` counters for each key, whose minimum is the estimate.
//!
//! G. Cormode, S. Muthukrishnan, "An improved data stream summary: the count-min sketch and its
//! applications" (2005).
//!
//! Which variant to use: [`UpdateRule::Conservative`] with depth 2 has the smallest errors on skewed
//! streams, [`UpdateRule::Plain`] merges exactly over threads and machines, and [`Layout::Blocked`]
//! is the fastest where the table is larger than the caches.

mod batch;
mod bounds;
mod builder;
mod counter;
mod layout;
#[cfg(target_arch = "x86_64")]
mod lines;
mod sinks;

use core::fmt;

pub use bounds::{ErrorBound, Interval};
pub use builder::CountMinBuilder;
pub use counter::Counter;
pub use layout::Layout;
pub(crate) use layout::Shape;

use crate::cache_lines::CacheLines;
use crate::error::SketchError;
use crate::frequency::{FrequencySketch, Merge};
pub use crate::rows::MAX_DEPTH;
use crate::simd::Simd;
use sinks::{Discard, Record, SliceWeights, UnitWeights};

/// How an update changes the counters of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UpdateRule {
    /// Adds to every counter of the key. The sketch is linear: sketches of two streams add up,
    /// exactly, to the sketch of both.
    Plain,
    /// Raises only those counters of the key that are below its new estimate (C. Estan,
    /// G. Varghese, 2002). Errors are five to twelve times smaller on skewed streams. A merge of two
    /// such sketches never underestimates either, but has larger errors than one sketch of both
    /// streams.
    #[default]
    Conservative,
}

impl fmt::Display for UpdateRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Conservative => "conservative",
        })
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RowMajor => "row-major",
            Self::Blocked => "blocked",
        })
    }
}

/// A count-min sketch with counters of type `C`, which saturate at their largest value.
///
/// Frequencies only grow: there are no negative updates. Two sketches are equal when they have the
/// same parameters and counters.
#[derive(Clone)]
pub struct CountMin<C: Counter = u32> {
    shape: Shape,
    rule: UpdateRule,
    seed: u64,
    total: u64,
    saturated: bool,
    simd: Simd,
    cells: CacheLines<C>,
}

impl<C: Counter> CountMin<C> {
    /// A builder: depth 2, 1 MiB, row-major, conservative update, seed 0.
    #[must_use]
    pub fn builder() -> CountMinBuilder<C> {
        CountMinBuilder::new()
    }

    /// Rows.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.shape.depth
    }

    /// Counters in a row; in the blocked layout, counters of one group in all lines.
    #[must_use]
    pub fn width(&self) -> usize {
        self.shape.width
    }

    /// How the counters are arranged.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.shape.layout
    }

    /// How an update changes the counters of a key.
    #[must_use]
    pub fn update_rule(&self) -> UpdateRule {
        self.rule
    }

    /// The vector instructions in use.
    #[must_use]
    pub fn simd(&self) -> Simd {
        self.simd
    }

    /// Whether a counter has saturated. From then on estimates may be too small.
    #[must_use]
    pub fn saturated(&self) -> bool {
        self.saturated
    }

    /// Whether two sketches have the same parameters.
    fn compatible(&self, other: &Self) -> Result<(), SketchError> {
        SketchError::ensure_equal("depth", &self.shape.depth, &other.shape.depth)?;
        SketchError::ensure_equal("width", &self.shape.width, &other.shape.width)?;
        SketchError::ensure_equal("layout", &self.shape.layout, &other.shape.layout)?;
        SketchError::ensure_equal("update rule", &self.rule, &other.rule)?;
        SketchError::ensure_equal("seed", &self.seed, &other.seed)
    }

    /// The counters in storage order, without padding: one slice for each row, or one slice of all
    /// lines in the blocked layout.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &[C]> {
        // The length of the table is a multiple of the runs; what follows a run is padding.
        let (run, runs) = self.run();
        let strides = self
            .cells
            .as_slice()
            .chunks_exact(self.cells.as_slice().len() / runs);
        strides.map(move |stride| &stride[..run])
    }

    #[cfg(feature = "std")]
    fn runs_mut(&mut self) -> impl Iterator<Item = &mut [C]> {
        let (run, runs) = self.run();
        let cells = self.cells.as_mut_slice();
        let stride = cells.len() / runs;
        cells
            .chunks_exact_mut(stride)
            .map(move |stride| &mut stride[..run])
    }

    /// The length of a run of counters without padding, and the number of runs.
    fn run(&self) -> (usize, usize) {
        match self.shape.layout {
            Layout::RowMajor => (self.shape.width, self.shape.depth),
            Layout::Blocked => (self.shape.width * self.shape.depth, 1),
        }
    }
}

impl<C: Counter> FrequencySketch for CountMin<C> {
    type Estimate = u64;

    fn seed(&self) -> u64 {
        self.seed
    }

    fn never_underestimates(&self) -> bool {
        true
    }

    #[inline]
    fn update_hash(&mut self, hash: u64, by: u64) {
        self.total = self.total.saturating_add(by);
        let (shape, cells) = (self.shape, self.cells.as_mut_slice());
        match self.rule {
            UpdateRule::Plain => {
                // Add to each counter; a sum beyond 64 bits saturates as well.
                for row in 0..shape.depth {
                    let cell = &mut cells[shape.position(row, hash)];
                    let count = cell.get().checked_add(by);
                    self.saturated |= count.is_none_or(|count| count > C::MAX);
                    *cell = C::saturating_from(count.unwrap_or(u64::MAX));
                }
            }
            UpdateRule::Conservative => {
                // The new estimate is the minimum plus `by`; larger counters already cover it.
                let positions = (0..shape.depth).map(|row| shape.position(row, hash));
                let min = positions
                    .clone()
                    .map(|position| cells[position].get())
                    .min();
                let raised = min.unwrap_or_default().checked_add(by);
                self.saturated |= raised.is_none_or(|count| count > C::MAX);
                let raised = C::saturating_from(raised.unwrap_or(u64::MAX));
                for position in positions {
                    cells[position] = cells[position].max(raised);
                }
            }
        }
    }

    fn update_hashes(&mut self, hashes: &[u64]) {
        self.update_all(hashes, UnitWeights, &mut Discard);
    }

    fn update_hashes_by(&mut self, hashes: &[u64], by: &[u64]) {
        assert_eq!(hashes.len(), by.len(), "one weight for each hash");
        self.update_all(hashes, SliceWeights(by), &mut Discard);
    }

    fn update_hashes_and_estimate(&mut self, hashes: &[u64], estimates: &mut [u64]) {
        assert_eq!(hashes.len(), estimates.len(), "one estimate for each hash");
        self.update_all(hashes, UnitWeights, &mut Record(estimates));
    }

    #[inline]
    fn estimate_hash(&self, hash: u64) -> u64 {
        let cells = self.cells.as_slice();
        (0..self.shape.depth)
            .map(|row| cells[self.shape.position(row, hash)].get())
            .min()
            .unwrap_or_default()
    }

    fn estimate_hashes(&self, hashes: &[u64], estimates: &mut [u64]) {
        assert_eq!(hashes.len(), estimates.len(), "one estimate for each hash");
        self.estimate_all(hashes, estimates);
    }

    fn total(&self) -> u64 {
        self.total
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

impl<C: Counter> Merge for CountMin<C> {
    fn merge(&mut self, other: &Self) -> Result<(), SketchError> {
        self.compatible(other)?;
        self.total = self.total.saturating_add(other.total);
        self.saturated |= other.saturated;
        // Padding is zero on both sides, so the whole table can be added.
        let mut saturated = false;
        let pairs = self
            .cells
            .as_mut_slice()
            .iter_mut()
            .zip(other.cells.as_slice());
        for (mine, theirs) in pairs {
            let count = mine.get().checked_add(theirs.get());
            saturated |= count.is_none_or(|count| count > C::MAX);
            *mine = C::saturating_from(count.unwrap_or(u64::MAX));
        }
        self.saturated |= saturated;
        Ok(())
    }
}

impl<C: Counter> PartialEq for CountMin<C> {
    fn eq(&self, other: &Self) -> bool {
        self.compatible(other).is_ok()
            && self.total == other.total
            && self.saturated == other.saturated
            && self.cells.as_slice() == other.cells.as_slice()
    }
}

impl<C: Counter> Eq for CountMin<C> {}

impl<C: Counter> fmt::Debug for CountMin<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountMin")
            .field("counter", &C::NAME)
            .field("depth", &self.shape.depth)
            .field("width", &self.shape.width)
            .field("layout", &self.shape.layout)
            .field("update_rule", &self.rule)
            .field("seed", &self.seed)
            .field("total", &self.total)
            .field("saturated", &self.saturated)
            .finish_non_exhaustive()
    }
}
