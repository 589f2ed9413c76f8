//! Where the counters of a key lie.

use crate::cache_lines::LINE_BYTES;
use crate::rows::{MAX_WIDTH, choices, offset};

/// How the counters are arranged in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layout {
    /// `depth` rows, one after another; the counters of a key lie in as many cache lines, chosen
    /// independently. The bound of the count-min sketch holds as in the book.
    #[default]
    RowMajor,
    /// All counters of a key lie in one cache line of 64 bytes. The line is cut into `depth` groups
    /// of equal size, and a key has one counter in each; `depth` is a power of two. An update
    /// touches one line, so tables larger than the caches are faster to update. Keys that share a
    /// line share their bad luck: the mean error is about 1.4 to 2 times that of rows, and the tail
    /// is heavier (see [`error_bound`](super::CountMin::error_bound)).
    Blocked,
}

/// The measures of a table of counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) layout: Layout,
    pub(crate) depth: usize,
    /// Counters in a row; with blocks, the counters of one group in all lines.
    pub(crate) width: usize,
    /// Counters from the beginning of a row to that of the next; with blocks, counters in a line.
    pub(crate) stride: usize,
    /// What offsets are below: the width, or with blocks the number of lines.
    pub(crate) range: u32,
    /// With blocks, the binary logarithm of the counters in a group.
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

    /// So many lines, each cut into `depth` groups. `None` when there is no line, or there are too
    /// many, or the depth does not cut a line into groups of at least two.
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

    /// Cache lines of the whole table; `None` when their bytes are more than memory can hold.
    pub(crate) fn lines(&self, counter_bytes: usize) -> Option<usize> {
        let cells = match self.layout {
            Layout::RowMajor => self.stride.checked_mul(self.depth)?,
            Layout::Blocked => self.stride.checked_mul(self.range as usize)?,
        };
        let bytes = cells.checked_mul(counter_bytes)?;
        isize::try_from(bytes).is_ok().then_some(bytes / LINE_BYTES)
    }

    /// Rows in which a key has an offset of its own.
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

    /// The counters of one row: with blocks, one group of each line.
    pub(crate) fn cells_of_row<'a, C: Copy>(
        &self,
        row: usize,
        cells: &'a [C],
    ) -> impl Iterator<Item = C> + use<'a, C> {
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

    /// The group of counters `row` of a line, of which `choices` picks one.
    #[inline(always)]
    pub(crate) fn slot(&self, row: usize, choices: u32) -> usize {
        let group = 1_usize << self.group_bits;
        // At most 32 bits are used: 16 groups of 4 take 2 bits each, 8 of 8 take 3.
        let choice = (choices >> (row as u32 * self.group_bits)) as usize & (group - 1);
        row * group + choice
    }

    /// The place of a key's counter of this row.
    #[inline(always)]
    pub(crate) fn place(&self, row: usize, hash: u64) -> usize {
        match self.layout {
            Layout::RowMajor => row * self.stride + offset(hash, row, self.range) as usize,
            Layout::Blocked => {
                let line = offset(hash, 0, self.range) as usize;
                line * self.stride + self.slot(row, choices(hash))
            }
        }
    }
}
