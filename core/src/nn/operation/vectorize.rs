//! Loops compiled for the vector instructions of the processor.

/// A loop that is compiled once more for the vector instructions that a processor may have.
pub(super) trait Loop {
    /// Must be `#[inline(always)]`, as all it calls, to be compiled for the instructions of its
    /// caller.
    fn run<const FUSED: bool>(self);
}

/// Runs a loop with the best instructions of this processor. 256-bit vectors reach the peak of
/// processors that execute 512-bit vectors in two halves.
pub(super) fn vectorize(work: impl Loop) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn with_fma(work: impl Loop) {
            work.run::<true>();
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            #[expect(
                unsafe_code,
                reason = "code for one processor family; three times as fast as baseline x86-64"
            )]
            // SAFETY: the processor has the features that the function is compiled for.
            unsafe {
                with_fma(work);
            }
            return;
        }
    }
    // Every aarch64 processor fuses; elsewhere `mul_add` may be a slow call of the C library.
    work.run::<{ cfg!(target_arch = "aarch64") }>();
}
