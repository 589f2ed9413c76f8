//! Loops compiled for 256-bit vectors.

/// A loop that is compiled once more for the vector instructions that a processor may have.
pub(super) trait Loop {
    /// Must be `#[inline(always)]`, as all it calls, to be compiled for the instructions of its
    /// caller.
    fn run<const FUSED: bool>(self);
}

/// Runs a loop with the best instructions of this processor up to 256 bits. Such vectors reach the peak
/// of processors that execute 512-bit vectors in two halves; loops without products in registers run in
/// [`vectorized`](crate::nn::vector::vectorized), with the widest vectors.
pub(super) fn vectorize(work: impl Loop) {
    #[cfg(target_arch = "x86_64")]
    if let Some(instructions) = pulp::x86::V3::try_new() {
        instructions.vectorize(
            #[inline(always)]
            || work.run::<true>(),
        );
        return;
    }
    // Every aarch64 processor fuses; elsewhere `mul_add` may be a slow call of the C library.
    work.run::<{ cfg!(target_arch = "aarch64") }>();
}
