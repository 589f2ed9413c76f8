//! One thread for the mathematics of a model.

/// What candle reads, once, before its first operation on 65 536 numbers or more.
const POOL_SIZE: &str = "CANDLE_NUM_THREADS";

/// Makes candle compute on the thread that calls it. Call it first in `main`; the result says whether
/// it took effect.
///
/// A small model trains no faster on two threads: candle splits matrix products, and element-wise
/// operations on 65 536 numbers or more, among threads that spin while they wait (measured: 75 % of
/// the time of a small model), and lets one model at a time do so. Models are better trained beside
/// each other. Results are the same bits either way.
///
/// The size of candle's pool can only be given in the environment, which may be changed only while
/// the process has no other thread. Where there is one, or the platform does not say, this leaves
/// the environment as it is; set `CANDLE_NUM_THREADS=1` then.
#[must_use = "whether it took effect"]
pub fn one_math_thread() -> bool {
    // No product is large enough for threads.
    gemm::set_threading_threshold(usize::MAX);
    if std::env::var_os(POOL_SIZE).is_none() && is_only_thread() {
        #[expect(unsafe_code, reason = "candle offers no other way")]
        // SAFETY: no other thread exists that could read the environment meanwhile.
        unsafe {
            std::env::set_var(POOL_SIZE, "1");
        }
    }
    // Creates the pool, if there is none yet, and thereby fixes its size.
    candle_core::utils::barrier_pool().n_workers() == 0
}

/// Whether the process has one thread. `false` where that is unknown.
fn is_only_thread() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}
