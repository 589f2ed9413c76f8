//! A hash index over the entries of an array.

use crate::error::SketchError;

/// Places in the index for every two entries: the load factor is at most two thirds.
const PLACES_FOR_TWO: usize = 3;

/// The word of a free place; positions are stored plus one.
const EMPTY: u64 = 0;

/// An open-addressed table from hashes to positions in arrays of the caller, for a bounded number of
/// entries.
///
/// A place stores the upper half of a hash and a position. The home of a hash is its upper half
/// scaled to the number of places, so the table can be rehashed and entries be moved after a removal
/// without the keys (linear probing with backward shifts, D. Knuth, TAOCP 3, algorithm 6.4R).
#[derive(Clone, Debug)]
pub(super) struct Index {
    places: Vec<u64>,
    /// The number of places at full capacity.
    max_places: usize,
}

impl Index {
    /// An empty index for up to `entries` entries.
    pub(super) fn new(argument: &'static str, entries: usize) -> Result<Self, SketchError> {
        let mut index = Self::growing(argument, entries)?;
        index.places = vec![EMPTY; index.max_places];
        Ok(index)
    }

    /// An empty index for up to `entries` entries that allocates as it grows.
    pub(super) fn growing(argument: &'static str, entries: usize) -> Result<Self, SketchError> {
        if entries == 0 || entries > (u32::MAX / 4) as usize {
            return Err(SketchError::parameter(argument, "1 to 1073741823", entries));
        }
        Ok(Self {
            places: vec![EMPTY; places_for(1)],
            max_places: places_for(entries),
        })
    }

    /// Rehashes into places for twice as many entries, or at full capacity.
    #[cold]
    fn grow(&mut self, entries: usize) {
        let places = (2 * places_for(entries)).min(self.max_places);
        let words = std::mem::replace(&mut self.places, vec![EMPTY; places]);
        for word in words {
            if word != EMPTY {
                self.store(word);
            }
        }
    }

    #[inline]
    fn store(&mut self, word: u64) {
        let mut place = self.home(word);
        while self.places[place] != EMPTY {
            place = self.after(place);
        }
        self.places[place] = word;
    }

    #[inline]
    fn home(&self, word: u64) -> usize {
        (((word >> 32) * self.places.len() as u64) >> 32) as usize
    }

    #[inline]
    fn after(&self, place: usize) -> usize {
        if place + 1 == self.places.len() {
            0
        } else {
            place + 1
        }
    }

    /// The position stored under `hash` for which `matches` is true.
    #[inline]
    pub(super) fn find(&self, hash: u64, matches: impl Fn(usize) -> bool) -> Option<usize> {
        let mut place = self.home(hash);
        loop {
            let word = self.places[place];
            if word == EMPTY {
                return None;
            }
            // Equal upper halves: compare the keys.
            if (word ^ hash) >> 32 == 0 {
                let position = (word as u32 - 1) as usize;
                if matches(position) {
                    return Some(position);
                }
            }
            place = self.after(place);
        }
    }

    /// Stores a position under a hash. Positions are assigned in order, so that there are at most
    /// `position + 1` entries; the caller keeps them within the capacity.
    #[inline]
    pub(super) fn insert(&mut self, hash: u64, position: usize) {
        if self.places.len() < self.max_places && self.places.len() < places_for(position + 1) {
            self.grow(position + 1);
        }
        self.store((hash >> 32 << 32) | (position as u64 + 1));
    }

    /// Removes the position stored under a hash, if present.
    #[inline]
    pub(super) fn remove(&mut self, hash: u64, position: usize) {
        let word = (hash >> 32 << 32) | (position as u64 + 1);
        let mut hole = self.home(hash);
        while self.places[hole] != word {
            if self.places[hole] == EMPTY {
                return;
            }
            hole = self.after(hole);
        }
        // Backward shift: close the hole with later entries of the same run.
        let places = self.places.len();
        let mut place = hole;
        loop {
            place = self.after(place);
            let word = self.places[place];
            if word == EMPTY {
                break;
            }
            // An entry may move if the hole lies between its home and its place.
            let home = self.home(word);
            let traveled = (place + places - home) % places;
            let to_hole = (place + places - hole) % places;
            if traveled >= to_hole {
                self.places[hole] = word;
                hole = place;
            }
        }
        self.places[hole] = EMPTY;
    }

    /// Loads the homes of a batch of hashes into the cache: independent loads overlap their latency.
    #[inline]
    pub(super) fn touch(&self, hashes: &[u64]) {
        let mut read = 0;
        for &hash in hashes {
            read ^= self.places[self.home(hash)];
        }
        core::hint::black_box(read);
    }

    pub(super) fn clear(&mut self) {
        self.places.fill(EMPTY);
    }

    /// Bytes at full capacity.
    pub(super) fn size_bytes(&self) -> usize {
        self.max_places * size_of::<u64>()
    }
}

/// The number of places for `entries` entries.
fn places_for(entries: usize) -> usize {
    entries * PLACES_FOR_TWO / 2 + 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn finds_what_was_stored_and_not_removed(
            steps in prop::collection::vec((0u64..24, any::<bool>()), 1..200),
        ) {
            // Few different homes, so that runs are long and wrap around the end.
            let hash = |key: u64| (key % 5).wrapping_mul(0x3333_3333_0000_0000) | key;
            let mut index = Index::new("entries", 24).expect("in range");
            let mut stored = [false; 24];
            for (key, insert) in steps {
                let position = key as usize;
                if insert && !stored[position] {
                    index.insert(hash(key), position);
                } else if !insert {
                    index.remove(hash(key), position);
                }
                stored[position] = insert;
                for (other, &there) in stored.iter().enumerate() {
                    let found = index.find(hash(other as u64), |position| position == other);
                    prop_assert_eq!(found, there.then_some(other));
                }
            }
        }
    }

    #[test]
    fn a_growing_index_finds_everything_and_grows_no_larger() {
        let hash = |key: usize| (key as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut index = Index::growing("entries", 1000).expect("in range");
        assert!(index.places.len() < 10);
        for entries in 1..=1000 {
            index.insert(hash(entries - 1), entries - 1);
            for key in (0..entries).step_by(37) {
                assert_eq!(index.find(hash(key), |position| position == key), Some(key));
            }
        }
        let full = Index::new("entries", 1000).expect("in range");
        assert_eq!(index.places.len(), full.places.len());
        assert!(Index::growing("entries", usize::MAX).is_err());
    }
}
