//! The count-min sketch: `depth` counters a key, the least of which is its estimate.
//!
//! G. Cormode, S. Muthukrishnan, "An improved data stream summary: the count-min sketch and its
//! applications" (2005).
//!
//! Which to take: [`Update::Conservative`] with depth 2 has the smallest errors on skewed streams,
//! [`Update::Plain`] adds up exactly over threads and machines, and [`Layout::Blocked`] is the
//! fastest where the table is larger than the caches.

pub(crate) mod batch;
mod bounds;
mod builder;
mod counter;
mod layout;
#[cfg(target_arch = "x86_64")]
mod lines;

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

/// How an update changes the counters of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Update {
    /// Adds to every counter of the key. The sketch is linear: sketches of two streams add up,
    /// exactly, to the sketch of both.
    Plain,
    /// Raises only those counters of the key that are below its new estimate (C. Estan,
    /// G. Varghese, 2002). Estimates are five to twelve times closer on skewed streams. Merging two
    /// such sketches still never underestimates, but is less close than one sketch of both streams.
    #[default]
    Conservative,
}

impl fmt::Display for Update {
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

/// A count-min sketch with counters of type `C`, which stop at their largest value.
///
/// Frequencies only grow: there are no negative updates. Two sketches are equal when they have the
/// same parameters and counters.
#[derive(Clone)]
pub struct CountMin<C: Counter = u32> {
    shape: Shape,
    rule: Update,
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
    pub fn update_rule(&self) -> Update {
        self.rule
    }

    /// The vector instructions in use.
    #[must_use]
    pub fn simd(&self) -> Simd {
        self.simd
    }

    /// Whether a counter was to pass its largest value and stopped there. Estimates may be too
    /// small from then on.
    #[must_use]
    pub fn saturated(&self) -> bool {
        self.saturated
    }

    /// Whether two sketches have the same parameters.
    fn compatible(&self, other: &Self) -> Result<(), SketchError> {
        SketchError::same("depth", &self.shape.depth, &other.shape.depth)?;
        SketchError::same("width", &self.shape.width, &other.shape.width)?;
        SketchError::same("layout", &self.shape.layout, &other.shape.layout)?;
        SketchError::same("update rule", &self.rule, &other.rule)?;
        SketchError::same("seed", &self.seed, &other.seed)
    }

    /// The counters in the order of storage, without padding: row by row, or with blocks all lines
    /// in one run.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &[C]> {
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

    /// The length of a run of counters without padding, and how many there are.
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
            Update::Plain => {
                for row in 0..shape.depth {
                    let cell = &mut cells[shape.place(row, hash)];
                    let count = cell.get().checked_add(by);
                    self.saturated |= count.is_none_or(|count| count > C::MAX);
                    *cell = C::saturating_from(count.unwrap_or(u64::MAX));
                }
            }
            Update::Conservative => {
                let places = (0..shape.depth).map(|row| shape.place(row, hash));
                let least = places.clone().map(|place| cells[place].get()).min();
                let raised = least.unwrap_or_default().checked_add(by);
                self.saturated |= raised.is_none_or(|count| count > C::MAX);
                let raised = C::saturating_from(raised.unwrap_or(u64::MAX));
                for place in places {
                    cells[place] = cells[place].max(raised);
                }
            }
        }
    }

    fn update_hashes(&mut self, hashes: &[u64]) {
        self.update_all(hashes, batch::Once, &mut batch::Unasked);
    }

    fn update_hashes_by(&mut self, hashes: &[u64], by: &[u64]) {
        assert_eq!(hashes.len(), by.len(), "one weight for each hash");
        self.update_all(hashes, batch::Each(by), &mut batch::Unasked);
    }

    fn update_hashes_and_estimate(&mut self, hashes: &[u64], estimates: &mut [u64]) {
        assert_eq!(hashes.len(), estimates.len(), "one estimate for each hash");
        self.update_all(hashes, batch::Once, &mut batch::Asked(estimates));
    }

    #[inline]
    fn estimate_hash(&self, hash: u64) -> u64 {
        let cells = self.cells.as_slice();
        (0..self.shape.depth)
            .map(|row| cells[self.shape.place(row, hash)].get())
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
