//! Saturating signed counters.

use core::fmt::Debug;

use crate::cache_lines::Cell;

/// A saturating signed counter: `i16`, `i32` or `i64`. The range is symmetric: the smallest value of
/// the type is not used.
#[expect(
    private_bounds,
    reason = "sealed: batch updates support these three types"
)]
pub trait SignedCounter: Cell + Ord + Debug + Send + Sync {
    /// The largest count.
    const MAX: i64;
    /// The name of the type, as in error messages: `i32`.
    const NAME: &'static str;
    /// The counter of this count, clamped to the range.
    fn saturating_from(count: i64) -> Self;
    /// The count.
    fn get(self) -> i64;
}

macro_rules! counters {
    ($($integer:ident),*) => {$(
        impl SignedCounter for $integer {
            const MAX: i64 = $integer::MAX as i64;
            const NAME: &'static str = stringify!($integer);

            #[inline(always)]
            fn saturating_from(count: i64) -> Self {
                count.clamp(-<Self as SignedCounter>::MAX, <Self as SignedCounter>::MAX) as Self
            }

            #[inline(always)]
            fn get(self) -> i64 {
                self.into()
            }
        }
    )*};
}
counters!(i16, i32, i64);
