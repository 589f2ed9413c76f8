//! Sets of slots, as bit masks.

use std::fmt;

/// The maximum number of tasks of a group.
pub const MAX_TASKS: usize = 128;

/// The index of a task in its group: for systematic codes the queries first, then the redundant tasks.
pub type Slot = usize;

/// A set of slots below [`MAX_TASKS`], the tasks or queries of a group, as a bit mask.
///
/// ```
/// use septet_coded_serving::code::Slots;
///
/// let arrived: Slots = [0, 2, 3].into_iter().collect();
/// assert!(arrived.contains(2) && !arrived.contains(1));
/// assert_eq!(Slots::below(4).without(arrived).iter().collect::<Vec<_>>(), [1]);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Slots(u128);

impl Slots {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// All slots below `end`, at most [`MAX_TASKS`].
    #[must_use]
    pub fn below(end: usize) -> Self {
        if end >= MAX_TASKS {
            Self(u128::MAX)
        } else {
            Self((1 << end) - 1)
        }
    }

    /// Whether the slot is in the set.
    #[must_use]
    pub fn contains(self, slot: Slot) -> bool {
        slot < MAX_TASKS && self.0 >> slot & 1 == 1
    }

    /// The set with this slot added. A slot of [`MAX_TASKS`] or above is ignored.
    #[must_use]
    pub fn with(self, slot: Slot) -> Self {
        if slot < MAX_TASKS {
            Self(self.0 | 1 << slot)
        } else {
            self
        }
    }

    /// The set difference.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The intersection.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Subtracts `by` from each slot, and drops the slots below `by`.
    #[must_use]
    pub fn shifted_down(self, by: usize) -> Self {
        Self(u32::try_from(by).map_or(0, |by| self.0.checked_shr(by).unwrap_or(0)))
    }

    /// The number of slots.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The slots in ascending order.
    pub fn iter(self) -> impl Iterator<Item = Slot> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let slot = left.trailing_zeros() as usize;
            // Clears the lowest set bit.
            left &= left - 1;
            Some(slot)
        })
    }
}

impl FromIterator<Slot> for Slots {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        slots.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
