//! Counters that stop at their largest value.

use core::fmt::Debug;

use crate::cache_lines::Cell;

/// An unsigned integer that counts, and stops at its largest value: `u8`, `u16`, `u32` or `u64`.
#[expect(
    private_bounds,
    reason = "sealed: the layouts are made for these four types"
)]
pub trait Counter: Cell + Ord + Debug + Send + Sync {
    /// The largest count.
    const MAX: u64;
    /// The name of the type, as in error messages: `u32`.
    const NAME: &'static str;
    /// The count, or the largest one.
    fn saturating_from(count: u64) -> Self;
    /// The count, which the caller knows to be at most [`MAX`](Self::MAX).
    #[doc(hidden)]
    fn from_small(count: u64) -> Self;
    /// The count.
    fn get(self) -> u64;
    /// The counters, when they are of the type that has instructions of its own.
    #[doc(hidden)]
    fn as_u32(_: &mut [Self]) -> Option<&mut [u32]> {
        None
    }
}

macro_rules! counters {
    ($integer:ident $(, $($as_u32:tt)*)?) => {
        impl Counter for $integer {
            const MAX: u64 = $integer::MAX as u64;
            const NAME: &'static str = stringify!($integer);

            #[inline(always)]
            fn saturating_from(count: u64) -> Self {
                $integer::try_from(count).unwrap_or($integer::MAX)
            }

            #[inline(always)]
            fn from_small(count: u64) -> Self {
                count as Self
            }

            #[inline(always)]
            fn get(self) -> u64 {
                self.into()
            }
            $($($as_u32)*)?
        }
    };
}
counters!(u8);
counters!(u16);
counters!(
    u32,
    #[inline]
    fn as_u32(counters: &mut [Self]) -> Option<&mut [u32]> {
        Some(counters)
    }
);
counters!(u64);
