//! The memory of tensors that are no longer needed.

/// Makes the C library's allocator keep memory that is freed, instead of giving it back to the
/// operating system. Call it first in `main`; the result says whether it took effect.
///
/// Each training step frees the tensors of its graph, and the next allocates the same. glibc returns
/// large blocks and the end of its heap at once, so that the system clears every page again and the
/// program faults on each: with tensors of some megabytes that costs more than the arithmetic
/// (measured: 2.9 ms instead of 16 ms for a rectifier and its gradient on two million numbers). The price is
/// that the process stays as large as it once was. The main thread keeps blocks of up to two gigabytes,
/// other threads what fits into heaps of 64 MB.
///
/// It changes nothing and returns `false` on other C libraries; other allocators are not concerned.
#[must_use = "whether it took effect"]
pub fn keep_freed_memory() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::ffi::c_int;

        // From malloc.h.
        const TRIM_THRESHOLD: c_int = -1;
        const MMAP_THRESHOLD: c_int = -3;

        #[expect(unsafe_code, reason = "std has no settings of the allocator")]
        // SAFETY: the declaration is that of malloc.h, and mallopt may be called at any time.
        unsafe {
            unsafe extern "C" {
                fn mallopt(parameter: c_int, value: c_int) -> c_int;
            }
            // Neither the end of the heap nor a large block goes back below these thresholds.
            mallopt(TRIM_THRESHOLD, c_int::MAX) == 1 && mallopt(MMAP_THRESHOLD, c_int::MAX) == 1
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    {
        false
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use std::hint::black_box;

    /// Page faults of this thread that needed no input, as proc(5) counts them.
    fn page_faults() -> Option<u64> {
        let line = std::fs::read_to_string("/proc/thread-self/stat").ok()?;
        // The name in parentheses may contain spaces.
        let (_, fields) = line.rsplit_once(')')?;
        fields.split_whitespace().nth(7)?.parse().ok()
    }

    #[test]
    fn a_block_is_used_again() {
        assert!(super::keep_freed_memory());
        let use_block = || drop(black_box(vec![1_u8; 16 << 20]));
        use_block();
        let before = page_faults().unwrap();
        use_block();
        let faults = page_faults().unwrap() - before;
        // A fresh block has 4096 pages of 4 KiB.
        assert!(faults < 256, "{faults}");
    }
}
