//! Builder for [`CountMin`].

use core::marker::PhantomData;

use alloc::format;

use super::bounds::{blocked_error_factor, inverse_power_of_e};
use super::counter::Counter;
use super::layout::{Layout, Shape};
use super::{CountMin, UpdateRule};
use crate::cache_lines::{CacheLines, LINE_BYTES};
use crate::error::SketchError;
use crate::rows::{MAX_DEPTH, MAX_WIDTH};
use crate::simd::Simd;

/// Builder for [`CountMin`]; see [`CountMin::builder`].
#[derive(Clone, Debug)]
pub struct CountMinBuilder<C> {
    depth: usize,
    size: Size,
    layout: Layout,
    rule: UpdateRule,
    seed: u64,
    simd: Option<Simd>,
    counter: PhantomData<C>,
}

#[derive(Clone, Copy, Debug)]
enum Size {
    Width(usize),
    Bytes(usize),
    Error { epsilon: f64, delta: f64 },
}

impl<C: Counter> CountMinBuilder<C> {
    pub(super) fn new() -> Self {
        Self {
            depth: 2,
            size: Size::Bytes(1 << 20),
            layout: Layout::RowMajor,
            rule: UpdateRule::Conservative,
            seed: 0,
            simd: None,
            counter: PhantomData,
        }
    }

    /// Rows, from 1 to [`MAX_DEPTH`]. In the blocked layout a power of two that leaves at least two
    /// counters for each group.
    #[must_use]
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// Counters in a row, from 1 to 2^32 - 1. In the blocked layout the counters of one group in
    /// all lines, rounded up to whole lines.
    #[must_use]
    pub fn width(mut self, width: usize) -> Self {
        self.size = Size::Width(width);
        self
    }

    /// The memory budget in bytes, rounded down to whole cache lines: at least 64 for each row, or
    /// 64 in the blocked layout.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.size = Size::Bytes(bytes);
        self
    }

    /// Chooses depth and width so that an estimate exceeds the count by more than `epsilon` times
    /// the total with probability at most `delta`: `ln(1 / delta)` rows of `e / epsilon` counters,
    /// both rounded up (Cormode and Muthukrishnan, theorem 1). Overrides [`depth`](Self::depth). In
    /// the blocked layout the depth is the next power of two, and rows are wider by the factor that
    /// [`error_bound`](CountMin::error_bound) gives.
    #[must_use]
    pub fn error(mut self, epsilon: f64, delta: f64) -> Self {
        self.size = Size::Error { epsilon, delta };
        self
    }

    /// How the counters are arranged.
    #[must_use]
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// How an update changes the counters of a key.
    #[must_use]
    pub fn update_rule(mut self, rule: UpdateRule) -> Self {
        self.rule = rule;
        self
    }

    /// The seed of the hash. Sketches can only be merged if their seeds are equal.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The vector instructions to use, instead of the widest that the processor has. Results do not
    /// depend on it.
    #[must_use]
    pub fn simd(mut self, simd: Simd) -> Self {
        self.simd = Some(simd);
        self
    }

    /// The empty sketch.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`], naming the parameter that is out of its range.
    pub fn build(self) -> Result<CountMin<C>, SketchError> {
        let (shape, lines) = self.shape()?;
        Ok(CountMin {
            shape,
            rule: self.rule,
            seed: self.seed,
            total: 0,
            saturated: false,
            simd: self.chosen_simd()?,
            cells: CacheLines::zeroed(lines),
        })
    }

    /// The sketch with these counters: `depth` times `width` of them, row by row, or line by line in
    /// the blocked layout, without padding. The inverse of `CountMin::cells`.
    ///
    /// The number of counters is checked before anything is allocated.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`], naming the parameter that is out of its range, or `counters` when
    /// their number is wrong or one exceeds the total, which no stream can cause.
    #[cfg(feature = "std")]
    pub(crate) fn build_from_cells(
        self,
        total: u64,
        saturated: bool,
        cells: impl ExactSizeIterator<Item = C>,
    ) -> Result<CountMin<C>, SketchError> {
        let (shape, _) = self.shape()?;
        let expected = shape.depth * shape.width;
        if cells.len() != expected {
            return Err(SketchError::parameter(
                "counters",
                format!("{expected}, {} rows of {}", shape.depth, shape.width),
                cells.len(),
            ));
        }
        let mut sketch = self.build()?;
        sketch.total = total;
        sketch.saturated = saturated;
        // Copy run by run: the padding between runs stays zero.
        let mut largest = C::default();
        let mut cells = cells;
        for run in sketch.runs_mut() {
            for (cell, read) in run.iter_mut().zip(&mut cells) {
                largest = largest.max(read);
                *cell = read;
            }
        }
        if largest.get() > total {
            return Err(SketchError::parameter(
                "counters",
                format!("at most {total}, the total"),
                largest.get(),
            ));
        }
        Ok(sketch)
    }

    /// The update rule.
    #[cfg(feature = "std")]
    pub(crate) fn chosen_rule(&self) -> UpdateRule {
        self.rule
    }

    /// The seed.
    #[cfg(feature = "std")]
    pub(crate) fn chosen_seed(&self) -> u64 {
        self.seed
    }

    /// The vector instructions: the requested set, or the widest available.
    pub(crate) fn chosen_simd(&self) -> Result<Simd, SketchError> {
        self.simd.map_or_else(|| Ok(Simd::detect()), Simd::check)
    }

    /// The dimensions of the table, and its number of cache lines.
    pub(crate) fn shape(&self) -> Result<(Shape, usize), SketchError> {
        let counter = size_of::<C>();
        // The depth: as given, or the smallest that reaches `delta`.
        let depth = match self.size {
            Size::Error { epsilon, delta } => {
                // Negated, so that NaN is refused as well.
                if !(epsilon > 0.0 && epsilon <= 1.0) {
                    return Err(SketchError::parameter(
                        "epsilon",
                        "0 < epsilon <= 1",
                        epsilon,
                    ));
                }
                if !(delta > 0.0 && delta < 1.0) {
                    return Err(SketchError::parameter("delta", "0 < delta < 1", delta));
                }
                let rows = (1..=MAX_DEPTH).find(|&rows| inverse_power_of_e(rows) <= delta);
                let rows = rows.ok_or_else(|| {
                    SketchError::parameter("delta", format!("at least e^-{MAX_DEPTH}"), delta)
                })?;
                match self.layout {
                    Layout::RowMajor => rows,
                    Layout::Blocked => rows.next_power_of_two(),
                }
            }
            _ => self.depth,
        };
        if !(1..=MAX_DEPTH).contains(&depth) {
            return Err(SketchError::parameter(
                "depth",
                format!("1 to {MAX_DEPTH}"),
                depth,
            ));
        }
        // Blocked lines are divided into `depth` groups that a few bits of the hash can index.
        let group = (LINE_BYTES / counter) / depth;
        if self.layout == Layout::Blocked && (!depth.is_power_of_two() || group < 2) {
            return Err(SketchError::parameter(
                "depth",
                format!(
                    "a power of two up to {}, because lines of {} {} counters are divided into groups",
                    LINE_BYTES / counter / 2,
                    LINE_BYTES / counter,
                    C::NAME
                ),
                depth,
            ));
        }
        // Every row needs one cache line, a blocked table one in all.
        if let Size::Bytes(bytes) = self.size {
            let min = match self.layout {
                Layout::RowMajor => depth * LINE_BYTES,
                Layout::Blocked => LINE_BYTES,
            };
            if bytes < min {
                return Err(SketchError::parameter(
                    "bytes",
                    format!("at least {min}"),
                    bytes,
                ));
            }
        }
        // The width: as given, as the budget allows, or the smallest that reaches `epsilon`.
        let width = match self.size {
            Size::Width(width) => width,
            Size::Bytes(bytes) => match self.layout {
                Layout::RowMajor => bytes / depth / LINE_BYTES * (LINE_BYTES / counter),
                Layout::Blocked => bytes / LINE_BYTES * group,
            },
            Size::Error { epsilon, .. } => {
                let factor = match self.layout {
                    Layout::RowMajor => 1.0,
                    Layout::Blocked => blocked_error_factor(depth, group),
                };
                round_up(factor * core::f64::consts::E / epsilon)
            }
        };
        let shape = match self.layout {
            Layout::RowMajor => Shape::row_major(depth, width, counter),
            Layout::Blocked => Shape::blocked(depth, width.div_ceil(group), counter),
        };
        let shape = shape.and_then(|shape| Some((shape, shape.lines(counter)?)));
        shape.ok_or_else(|| {
            SketchError::parameter("width", format!("1 to {MAX_WIDTH} counters a row"), width)
        })
    }
}

/// The ceiling of a positive number, saturating. (`f64::ceil` needs `std`.)
fn round_up(number: f64) -> usize {
    let down = number as usize;
    if (down as f64) < number {
        down.saturating_add(1)
    } else {
        down
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_up() {
        assert_eq!(round_up(3.0), 3);
        assert_eq!(round_up(3.001), 4);
        assert_eq!(round_up(f64::MAX), usize::MAX);
    }
}
