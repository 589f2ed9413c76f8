//! The positions of a key's counters.

use crate::cache_lines::LINE_BYTES;
use crate::rows::{MAX_WIDTH, choices, offset};

/// How the counters are arranged in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layout {
    /// `depth` rows, one after another. The counters of a key are in `depth` cache lines, chosen
    /// independently, so the textbook error bound holds.
    #[default]
    RowMajor,
    /// All counters of a key are in one cache line of 64 bytes. The line is divided into `depth`
    /// groups of equal size, and a key has one counter in each; `depth` is a power of two. An update
    /// touches one line, so tables larger than the caches are updated faster. The rows of a key are
    /// no longer independent: the mean error is about 1.4 to 2 times that of
    /// [`RowMajor`](Self::RowMajor), and its tail is heavier (see
    /// [`error_bound`](super::CountMin::error_bound)).
    Blocked,
}

/// The dimensions of a table of counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) layout: Layout,
    pub(crate) depth: usize,
    /// Counters in a row; if blocked, the counters of one group in all lines.
    pub(crate) width: usize,
    /// Counters from the start of a row to the start of the next; if blocked, counters in a line.
    pub(crate) stride: usize,
    /// Exclusive upper bound of offsets: the width, or if blocked the number of lines.
    pub(crate) range: u32,
    /// If blocked, the binary logarithm of the counters in a group.
    pub(crate) group_bits: u32,
}

impl Shape {
    /// Rows of `width` counters of `counter_bytes` bytes, each row padded to whole cache lines.
    /// `None` when the width is 0 or too large.
    pub(crate) fn row_major(depth: usize, width: usize, counter_bytes: usize) -> Option<Self> {
        if width == 0 || width > MAX_WIDTH {
            return None;
        }
        Some(Self {
            layout: Layout::RowMajor,
            depth,
            width,
            stride: width.next_multiple_of(LINE_BYTES / counter_bytes),
            range: u32::try_from(width).ok()?,
            group_bits: 0,
        })
    }

    /// `lines` cache lines, each divided into `depth` groups. `None` when there are no lines or too
    /// many, or the depth does not divide a line into groups of at least two counters.
    pub(crate) fn blocked(depth: usize, lines: usize, counter_bytes: usize) -> Option<Self> {
        let per_line = LINE_BYTES / counter_bytes;
        let group = per_line.checked_div(depth)?;
        if lines == 0 || lines > MAX_WIDTH || !depth.is_power_of_two() || group < 2 {
            return None;
        }
        Some(Self {
            layout: Layout::Blocked,
            depth,
            width: lines.checked_mul(group)?,
            stride: per_line,
            range: u32::try_from(lines).ok()?,
            group_bits: group.ilog2(),
        })
    }

    /// Cache lines of the whole table; `None` when their bytes exceed the address space.
    pub(crate) fn lines(&self, counter_bytes: usize) -> Option<usize> {
        let cells = match self.layout {
            Layout::RowMajor => self.stride.checked_mul(self.depth)?,
            Layout::Blocked => self.stride.checked_mul(self.range as usize)?,
        };
        let bytes = cells.checked_mul(counter_bytes)?;
        isize::try_from(bytes).is_ok().then_some(bytes / LINE_BYTES)
    }

    /// The number of rows with an offset of their own.
    #[inline(always)]
    pub(crate) fn rows_of_offsets(&self) -> usize {
        match self.layout {
            Layout::RowMajor => self.depth,
            Layout::Blocked => 1,
        }
    }

    /// Counters from one offset to the next.
    #[cfg(feature = "std")]
    #[inline(always)]
    pub(crate) fn offset_stride(&self) -> usize {
        match self.layout {
            Layout::RowMajor => 1,
            Layout::Blocked => self.stride,
        }
    }

    /// The counters of one row: if blocked, one group of each line.
    pub(crate) fn cells_of_row<'a, C: Copy>(
        &self,
        row: usize,
        cells: &'a [C],
    ) -> impl Iterator<Item = C> + use<'a, C> {
        // A row is `runs` runs of `run` counters, `stride` apart.
        let (begin, run, stride, runs) = match self.layout {
            Layout::RowMajor => (row * self.stride, self.width, self.stride, 1),
            Layout::Blocked => {
                let group = 1 << self.group_bits;
                (row * group, group, self.stride, self.range as usize)
            }
        };
        let runs = (0..runs).map(move |i| begin + i * stride);
        runs.flat_map(move |begin| &cells[begin..begin + run])
            .copied()
    }

    /// The counter in a line that `choices` selects from group `row`.
    #[inline(always)]
    pub(crate) fn slot(&self, row: usize, choices: u32) -> usize {
        let group = 1_usize << self.group_bits;
        // At most 32 bits are used: 16 groups of 4 take 2 bits each, 8 of 8 take 3.
        let choice = (choices >> (row as u32 * self.group_bits)) as usize & (group - 1);
        row * group + choice
    }

    /// The position of a key's counter in this row.
    #[inline(always)]
    pub(crate) fn position(&self, row: usize, hash: u64) -> usize {
        match self.layout {
            Layout::RowMajor => row * self.stride + offset(hash, row, self.range) as usize,
            Layout::Blocked => {
                let line = offset(hash, 0, self.range) as usize;
                line * self.stride + self.slot(row, choices(hash))
            }
        }
    }
}
