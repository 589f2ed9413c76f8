//! Arrays of counters in whole, aligned cache lines.

#![expect(
    unsafe_code,
    reason = "allocation aligned to cache lines and huge pages, and prefetches"
)]

use alloc::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use core::ptr::NonNull;

/// Bytes of a cache line.
pub(crate) const LINE_BYTES: usize = 64;

/// An integer type for which every bit pattern is valid.
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

/// A fixed number of whole cache lines of counters, all zero at first.
pub(crate) struct CacheLines<C> {
    first: NonNull<C>,
    lines: usize,
}

// SAFETY: it owns its counters, as a vector does.
unsafe impl<C: Cell + Send> Send for CacheLines<C> {}
// SAFETY: shared, it only gives shared slices.
unsafe impl<C: Cell + Sync> Sync for CacheLines<C> {}

impl<C: Cell> CacheLines<C> {
    /// Counters in a line.
    pub(crate) const PER_LINE: usize = LINE_BYTES / size_of::<C>();

    /// `lines` cache lines of zeros.
    pub(crate) fn zeroed(lines: usize) -> Self {
        if lines == 0 {
            return Self {
                first: NonNull::dangling(),
                lines,
            };
        }
        let layout = allocation_layout(lines);
        // SAFETY: the size is not zero.
        let Some(first) = NonNull::new(unsafe { alloc(layout) }) else {
            handle_alloc_error(layout)
        };
        // Before the first write, so that the kernel backs the pages as advised.
        huge_pages::advise(first, layout.size());
        // SAFETY: these bytes were just allocated.
        unsafe { first.write_bytes(0, layout.size()) };
        Self {
            first: first.cast(),
            lines,
        }
    }

    /// Bytes of all counters.
    pub(crate) fn size_bytes(&self) -> usize {
        self.lines * LINE_BYTES
    }

    /// The counters.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[C] {
        // SAFETY: there are `lines` initialized lines, each of which is `PER_LINE` values of `C`, by
        // the contract of `Cell`; they are aligned to 64 bytes at least, more than `C`.
        unsafe { core::slice::from_raw_parts(self.first.as_ptr(), self.lines * Self::PER_LINE) }
    }

    /// The counters, to change them.
    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [C] {
        // SAFETY: as in `as_slice`; the counters are borrowed exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.first.as_ptr(), self.lines * Self::PER_LINE) }
    }
}

impl<C: Cell> Clone for CacheLines<C> {
    fn clone(&self) -> Self {
        let mut copy = Self::zeroed(self.lines);
        copy.as_mut_slice().copy_from_slice(self.as_slice());
        copy
    }
}

impl<C> Drop for CacheLines<C> {
    fn drop(&mut self) {
        if self.lines > 0 {
            // SAFETY: allocated by `zeroed` with the same layout.
            unsafe { dealloc(self.first.as_ptr().cast(), allocation_layout(self.lines)) };
        }
    }
}

/// Allocation layout of `lines` cache lines: large tables are aligned to huge pages.
fn allocation_layout(lines: usize) -> Layout {
    let bytes = lines * LINE_BYTES;
    let huge = cfg!(feature = "std") && bytes >= huge_pages::BYTES;
    let alignment = if huge { huge_pages::BYTES } else { LINE_BYTES };
    Layout::from_size_align(bytes, alignment).expect("builders check that tables fit into memory")
}

/// Huge pages, with which a large table needs few entries of the translation lookaside buffer.
mod huge_pages {
    use core::ptr::NonNull;

    /// Bytes of a huge page where pages are of 4 KiB, on x86-64 and on 64-bit Arm.
    pub(super) const BYTES: usize = 2 * 1024 * 1024;

    /// Advises the kernel to use huge pages. Nothing depends on whether it does.
    pub(super) fn advise(first: NonNull<u8>, bytes: usize) {
        #[cfg(all(feature = "std", target_os = "linux"))]
        if bytes >= BYTES {
            use rustix::mm::{Advice, madvise};
            // Whole pages only; the rest of the allocation stays as it is.
            let whole = bytes / BYTES * BYTES;
            // SAFETY: the range was just allocated, is aligned to huge pages, and the advice does
            // not change what is in it.
            let _ = unsafe { madvise(first.as_ptr().cast(), whole, Advice::LinuxHugepage) };
        }
        #[cfg(not(all(feature = "std", target_os = "linux")))]
        let _ = (first, bytes);
    }
}

/// Requests the cache line of the counter at `position`. Does nothing if there is no such counter.
#[inline(always)]
pub(crate) fn prefetch<C>(cells: &[C], position: usize) {
    let address = cells.as_ptr().wrapping_add(position);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch has no effect on memory and never faults, whatever the address.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
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
