//! Saturating unsigned counters.

use core::fmt::Debug;

use crate::cache_lines::Cell;

/// A saturating unsigned counter: `u8`, `u16`, `u32` or `u64`.
#[expect(
    private_bounds,
    reason = "sealed: the layouts support these four types"
)]
pub trait Counter: Cell + Ord + Debug + Send + Sync {
    /// The largest count.
    const MAX: u64;
    /// The name of the type, as in error messages: `u32`.
    const NAME: &'static str;
    /// The counter of this count, or [`MAX`](Self::MAX) if it is larger.
    fn saturating_from(count: u64) -> Self;
    /// The counter of a count that the caller knows to be at most [`MAX`](Self::MAX).
    #[doc(hidden)]
    fn from_small(count: u64) -> Self;
    /// The count.
    fn get(self) -> u64;
    /// The counters as `u32`, the type with vector code, if they are of that type.
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
