//! Counters in memory that begins at a cache line and ends with one.

#![expect(
    unsafe_code,
    reason = "a vector of lines is seen as a slice of counters, and lines are prefetched"
)]

use alloc::vec;
use alloc::vec::Vec;
use core::marker::PhantomData;

/// Bytes of a cache line.
pub(crate) const LINE_BYTES: usize = 64;

/// An integer that any bytes are a value of.
///
/// # Safety
///
/// Implementors have no padding and no forbidden values, and their size divides [`LINE_BYTES`].
pub(crate) unsafe trait Cell: Copy + Default + 'static {}

macro_rules! cells {
    ($($integer:ident),*) => {$(
        // SAFETY: integers of 1, 2, 4 and 8 bytes.
        unsafe impl Cell for $integer {}
        // SAFETY: as above.
    )*};
}
cells!(u8, u16, u32, u64, i16, i32, i64);

#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([u8; LINE_BYTES]);

/// A fixed number of whole cache lines of counters, all zero at first.
#[derive(Clone)]
pub(crate) struct CacheLines<C> {
    lines: Vec<Line>,
    cell: PhantomData<C>,
}

impl<C: Cell> CacheLines<C> {
    /// Counters in a line.
    pub(crate) const PER_LINE: usize = LINE_BYTES / size_of::<C>();

    /// So many lines of zeros.
    pub(crate) fn zeroed(lines: usize) -> Self {
        Self {
            lines: vec![Line([0; LINE_BYTES]); lines],
            cell: PhantomData,
        }
    }

    /// Bytes of all counters.
    pub(crate) fn size_bytes(&self) -> usize {
        self.lines.len() * LINE_BYTES
    }

    /// The counters.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[C] {
        let length = self.lines.len() * Self::PER_LINE;
        // SAFETY: the vector owns `lines.len()` initialised lines, each of which is `PER_LINE`
        // values of `C` by the contract of `Cell`; a line is aligned to 64 bytes, more than `C`.
        unsafe { core::slice::from_raw_parts(self.lines.as_ptr().cast(), length) }
    }

    /// The counters, to change them.
    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [C] {
        let length = self.lines.len() * Self::PER_LINE;
        // SAFETY: as in `as_slice`; the vector is borrowed exclusively, and every value of `C` is a
        // valid piece of a line.
        unsafe { core::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), length) }
    }
}

/// Asks the processor to load the cache line of this value.
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch has no effect on memory; the address is that of a live value.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(value).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_fill_whole_aligned_lines() {
        let mut cells = CacheLines::<u16>::zeroed(3);
        assert_eq!(cells.as_slice().len(), 96);
        assert_eq!(cells.as_slice().as_ptr().addr() % LINE_BYTES, 0);
        cells.as_mut_slice()[95] = 7;
        assert_eq!(cells.clone().as_slice()[95], 7);
        assert_eq!(cells.size_bytes(), 192);
        assert!(CacheLines::<u64>::zeroed(0).as_slice().is_empty());
    }
}
