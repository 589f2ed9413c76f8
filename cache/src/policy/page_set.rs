//! A set of pages as a bitmap, so that the membership of a million pages fits into the second-level
//! cache.

use crate::request::PageId;

/// A set of pages, one bit each.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageSet {
    words: Vec<u64>,
}

impl PageSet {
    #[inline]
    pub(crate) fn contains(&self, page: PageId) -> bool {
        self.words
            .get(page as usize / 64)
            .is_some_and(|word| word >> (page % 64) & 1 == 1)
    }

    /// Whether the page was new.
    #[inline]
    pub(crate) fn insert(&mut self, page: PageId) -> bool {
        let word = page as usize / 64;
        if word >= self.words.len() {
            self.words.resize((word + 1).next_power_of_two(), 0);
        }
        let bit = 1 << (page % 64);
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        new
    }

    /// Whether the page was in the set.
    #[inline]
    pub(crate) fn remove(&mut self, page: PageId) -> bool {
        let Some(word) = self.words.get_mut(page as usize / 64) else {
            return false;
        };
        let bit = 1 << (page % 64);
        let present = *word & bit != 0;
        *word &= !bit;
        present
    }

    /// The members in ascending order; O(largest page / 64).
    pub(crate) fn iter(&self) -> impl Iterator<Item = PageId> + '_ {
        self.words.iter().enumerate().flat_map(|(index, &word)| {
            let bits = std::iter::successors((word != 0).then_some(word), |&rest| {
                let rest = rest & (rest - 1);
                (rest != 0).then_some(rest)
            });
            bits.map(move |rest| index as u32 * 64 + rest.trailing_zeros())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_back_in_order() {
        let mut set = PageSet::default();
        let pages = [0, 1, 63, 64, 127, 128, 1_000];
        for page in pages.into_iter().rev() {
            assert!(set.insert(page));
            assert!(!set.insert(page));
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), pages);
        assert!(set.remove(63) && !set.remove(63) && !set.remove(5_000));
        assert!(!set.contains(63) && set.contains(64) && !set.contains(5_000));
    }
}
