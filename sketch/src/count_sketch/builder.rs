//! Builder for [`CountSketch`].

use core::marker::PhantomData;

use alloc::format;

use super::CountSketch;
use super::counter::SignedCounter;
use crate::cache_lines::{CacheLines, LINE_BYTES};
use crate::error::SketchError;
use crate::rows::{MAX_DEPTH, MAX_WIDTH};
use crate::simd::Simd;

/// Builder for [`CountSketch`]; see [`CountSketch::builder`].
#[derive(Clone, Debug)]
pub struct CountSketchBuilder<C> {
    depth: usize,
    size: Size,
    seed: u64,
    simd: Option<Simd>,
    counter: PhantomData<C>,
}

#[derive(Clone, Copy, Debug)]
enum Size {
    Width(usize),
    Bytes(usize),
}

impl<C: SignedCounter> CountSketchBuilder<C> {
    pub(super) fn new() -> Self {
        Self {
            depth: 3,
            size: Size::Bytes(1 << 20),
            seed: 0,
            simd: None,
            counter: PhantomData,
        }
    }

    /// Rows, from 1 to [`MAX_DEPTH`]. An odd depth has a median without averaging.
    #[must_use]
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// Counters in a row, from 1 to 2^32 - 1.
    #[must_use]
    pub fn width(mut self, width: usize) -> Self {
        self.size = Size::Width(width);
        self
    }

    /// The memory budget in bytes, rounded down to whole cache lines: at least 64 for each row.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.size = Size::Bytes(bytes);
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
    pub fn build(self) -> Result<CountSketch<C>, SketchError> {
        let (width, stride) = self.width_and_stride()?;
        Ok(CountSketch {
            depth: self.depth,
            width,
            stride,
            seed: self.seed,
            total: 0,
            saturated: false,
            simd: self.simd.map_or_else(|| Ok(Simd::detect()), Simd::check)?,
            cells: CacheLines::zeroed(stride * self.depth / CacheLines::<C>::PER_LINE),
        })
    }

    /// The sketch with these counters: `depth` times `width` of them, row by row, without padding.
    /// The inverse of `CountSketch::cells`.
    ///
    /// The number of counters is checked before anything is allocated.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`], naming the parameter that is out of its range, or `counters` when
    /// their number is wrong.
    #[cfg(feature = "std")]
    pub(crate) fn build_from_cells(
        self,
        total: i64,
        saturated: bool,
        mut cells: impl ExactSizeIterator<Item = C>,
    ) -> Result<CountSketch<C>, SketchError> {
        let (width, _) = self.width_and_stride()?;
        if cells.len() != self.depth * width {
            return Err(SketchError::parameter(
                "counters",
                format!("{}, {} rows of {width}", self.depth * width, self.depth),
                cells.len(),
            ));
        }
        let mut sketch = self.build()?;
        sketch.total = total;
        sketch.saturated = saturated;
        for row in sketch.cells.as_mut_slice().chunks_exact_mut(sketch.stride) {
            for (cell, read) in row[..width].iter_mut().zip(&mut cells) {
                // The range is symmetric: the smallest value of the type is clamped.
                *cell = C::saturating_from(read.get());
            }
        }
        Ok(sketch)
    }

    /// The width, and the width padded to whole cache lines.
    fn width_and_stride(&self) -> Result<(usize, usize), SketchError> {
        let depth = self.depth;
        let per_line = CacheLines::<C>::PER_LINE;
        if !(1..=MAX_DEPTH).contains(&depth) {
            return Err(SketchError::parameter(
                "depth",
                format!("1 to {MAX_DEPTH}"),
                depth,
            ));
        }
        let width = match self.size {
            Size::Width(width) => width,
            Size::Bytes(bytes) => {
                let min = depth * LINE_BYTES;
                if bytes < min {
                    let expected = format!("at least {min}");
                    return Err(SketchError::parameter("bytes", expected, bytes));
                }
                bytes / min * per_line
            }
        };
        // The whole table must fit into the address space.
        let stride = width.checked_next_multiple_of(per_line);
        let bytes = stride.and_then(|stride| stride.checked_mul(depth * size_of::<C>()));
        match (stride, bytes) {
            (Some(stride), Some(bytes))
                if (1..=MAX_WIDTH).contains(&width) && isize::try_from(bytes).is_ok() =>
            {
                Ok((width, stride))
            }
            _ => Err(SketchError::parameter(
                "width",
                format!("1 to {MAX_WIDTH} counters a row"),
                width,
            )),
        }
    }
}
