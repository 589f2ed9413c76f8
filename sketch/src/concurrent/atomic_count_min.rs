//! A count-min sketch that many threads update concurrently.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::cache_lines::{LINE_BYTES, prefetch};
use crate::count_min::{CountMin, CountMinBuilder, Layout, Shape, UpdateRule};
use crate::error::SketchError;
use crate::frequency::HASHES;
use crate::key::Key;
use crate::prefetcher::PREFETCH_DISTANCE;
use crate::rows::{BATCH, Positions};
use crate::simd::Simd;

/// A count-min sketch of atomic `u32` counters, with plain update: no update is lost.
///
/// Its counters have the positions of a [`CountMin`] with the same parameters, and a
/// [snapshot](Self::snapshot) is one. Each update costs one atomic addition per row, and threads that
/// count the same keys contend for cache lines; [`Sharded`](super::Sharded) is faster where its
/// memory is affordable.
///
/// Conservative update is not available: it reads several counters before it writes them, so
/// interleaved updates could underestimate.
///
/// ```
/// use septet_sketch::count_min::{CountMin, UpdateRule};
/// use septet_sketch::concurrent::AtomicCountMin;
/// use septet_sketch::FrequencySketch;
///
/// let builder = CountMin::<u32>::builder().bytes(64 * 1024).update_rule(UpdateRule::Plain);
/// let sketch = AtomicCountMin::new(builder)?;
/// std::thread::scope(|scope| {
///     for _ in 0..2 {
///         scope.spawn(|| sketch.update_batch(&["day", "night", "day"]));
///     }
/// });
/// assert_eq!(sketch.estimate("day"), 4);
/// assert_eq!(sketch.snapshot()?.total(), 6);
/// # Ok::<(), septet_sketch::SketchError>(())
/// ```
pub struct AtomicCountMin {
    parameters: CountMinBuilder<u32>,
    shape: Shape,
    seed: u64,
    simd: Simd,
    lines: Box<[Line]>,
    saturated: AtomicBool,
}

/// Counters in a line.
const PER_LINE: usize = LINE_BYTES / size_of::<AtomicU32>();

#[derive(Default)]
#[repr(C, align(64))]
struct Line([AtomicU32; PER_LINE]);

/// A counter below this cannot overflow by an addition of at most [`SMALL`], even when 2^15 threads
/// have read it at the same time and all add.
const SAFE: u32 = 1 << 31;
/// See [`SAFE`].
const SMALL: u64 = 1 << 16;

impl AtomicCountMin {
    /// An empty sketch with these parameters.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`], naming the parameter that is out of its range; the update rule
    /// must be plain.
    pub fn new(builder: CountMinBuilder<u32>) -> Result<Self, SketchError> {
        let (shape, lines) = builder.shape()?;
        let (rule, seed, simd) = (
            builder.chosen_rule(),
            builder.chosen_seed(),
            builder.chosen_simd()?,
        );
        if rule != UpdateRule::Plain {
            let expected = "plain, for atomic counters";
            return Err(SketchError::parameter("update rule", expected, rule));
        }
        Ok(Self {
            parameters: builder,
            shape,
            seed,
            simd,
            lines: (0..lines).map(|_| Line::default()).collect(),
            saturated: AtomicBool::new(false),
        })
    }

    /// The seed under which keys are hashed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Bytes of memory that the counters take.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.lines.len() * LINE_BYTES
    }

    /// Whether a counter has saturated.
    #[must_use]
    pub fn saturated(&self) -> bool {
        self.saturated.load(Ordering::Relaxed)
    }

    /// Counts `by` more occurrences of the key of this hash.
    pub fn update_hash(&self, hash: u64, by: u64) {
        for row in 0..self.shape.depth {
            self.add(self.shape.position(row, hash), by);
        }
    }

    /// Counts one more occurrence of each.
    pub fn update_hashes(&self, hashes: &[u64]) {
        // As in `CountMin`: find all positions of a batch, prefetch, update.
        let shape = &self.shape;
        let mut positions = Positions::new();
        for hashes in hashes.chunks(BATCH) {
            positions.find(self.simd, hashes, shape.rows_of_offsets(), shape.range);
            for row in 0..shape.rows_of_offsets() {
                let offsets = positions.row(row);
                let position =
                    |offset: u32| row * shape.stride + offset as usize * shape.offset_stride();
                for (i, (&offset, &choices)) in offsets.iter().zip(positions.choices()).enumerate()
                {
                    if let Some(&later) = offsets.get(i + PREFETCH_DISTANCE) {
                        prefetch(&self.lines, position(later) / PER_LINE);
                    }
                    match shape.layout {
                        Layout::RowMajor => self.add(position(offset), 1),
                        Layout::Blocked => {
                            for row in 0..shape.depth {
                                self.add(position(offset) + shape.slot(row, choices), 1);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Counts one more occurrence of a key.
    pub fn update<K: Key + ?Sized>(&self, key: &K) {
        self.update_hash(key.hash64(self.seed), 1);
    }

    /// Counts one more occurrence of each key.
    pub fn update_batch<K: Key>(&self, keys: &[K]) {
        let mut hashes = [0; HASHES];
        for keys in keys.chunks(HASHES) {
            let hashes = &mut hashes[..keys.len()];
            K::hash64_all(keys, self.seed, hashes);
            self.update_hashes(hashes);
        }
    }

    /// The estimated count of the key with this hash: at least what was counted before this call
    /// began.
    #[must_use]
    pub fn estimate_hash(&self, hash: u64) -> u64 {
        let counts = (0..self.shape.depth).map(|row| {
            self.counter(self.shape.position(row, hash))
                .load(Ordering::Relaxed)
        });
        counts.min().unwrap_or_default().into()
    }

    /// The estimated count of a key.
    #[must_use]
    pub fn estimate<K: Key + ?Sized>(&self, key: &K) -> u64 {
        self.estimate_hash(key.hash64(self.seed))
    }

    /// A copy, taken while updates continue. It contains every update that ended before this call
    /// began; a concurrent update may be contained in some rows only. Estimates are therefore never
    /// below what was counted before the call. For a consistent copy use
    /// [`Sharded::snapshot`](super::Sharded::snapshot).
    ///
    /// # Errors
    ///
    /// None at present; the builder can fail in general.
    pub fn snapshot(&self) -> Result<CountMin<u32>, SketchError> {
        let saturated = self.saturated();
        let cells: Vec<u32> = self
            .lines
            .iter()
            .flat_map(|line| &line.0)
            .map(|counter| counter.load(Ordering::Relaxed))
            .collect();
        let shape = &self.shape;
        // Every update adds once to each row; a row that lacks a concurrent update has a smaller sum.
        // The largest sum is at least every counter, as `build_from_cells` requires.
        let sum = |row: usize| -> u64 { shape.cells_of_row(row, &cells).map(u64::from).sum() };
        let total = (0..shape.depth).map(sum).max().unwrap_or_default();
        let runs = match shape.layout {
            Layout::RowMajor => shape.width,
            Layout::Blocked => shape.stride,
        };
        let unpadded: Vec<u32> = cells
            .chunks_exact(shape.stride)
            .flat_map(|run| &run[..runs])
            .copied()
            .collect();
        self.parameters
            .clone()
            .build_from_cells(total, saturated, unpadded.into_iter())
    }

    fn counter(&self, position: usize) -> &AtomicU32 {
        &self.lines[position / PER_LINE].0[position % PER_LINE]
    }

    #[inline]
    fn add(&self, position: usize, by: u64) {
        let counter = self.counter(position);
        // The common case is one addition. Near the end of the range a compare-and-swap loop
        // saturates.
        if by <= SMALL && counter.load(Ordering::Relaxed) < SAFE {
            counter.fetch_add(by as u32, Ordering::Relaxed);
            return;
        }
        let sum = |count: u32| u64::from(count).saturating_add(by);
        let limit = |sum: u64| u32::try_from(sum).unwrap_or(u32::MAX);
        let add = |count| Some(limit(sum(count)));
        let before = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        if before.is_ok_and(|count| sum(count) > u32::MAX.into()) {
            self.saturated.store(true, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for AtomicCountMin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtomicCountMin")
            .field("parameters", &self.parameters)
            .field("saturated", &self.saturated())
            .finish_non_exhaustive()
    }
}
