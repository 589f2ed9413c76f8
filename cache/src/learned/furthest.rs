//! A priority queue of slots by predicted next request.

use std::collections::BinaryHeap;

/// Maps a predicted time to an integer of the same order. NaN ranks as the furthest; the two zeros
/// are equal.
pub(crate) fn order(predicted: f64) -> u64 {
    if predicted.is_nan() {
        return u64::MAX;
    }
    // Adding 0 turns -0 into +0. Flipping all bits of negative numbers, and the sign bit of others,
    // maps the IEEE 754 order to that of integers.
    let bits = (predicted + 0.0).to_bits();
    if bits >> 63 == 1 {
        !bits
    } else {
        bits | 1 << 63
    }
}

/// Which of two slots with equal predictions ranks as the further one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ties {
    LowestSlot,
    HighestSlot,
}

/// A set of slots with predictions that returns the furthest in O(log k): a binary heap with lazy
/// deletion.
#[derive(Clone, Debug)]
pub(crate) struct Furthest {
    ties: Ties,
    /// By slot; `None` outside the set.
    key: Vec<Option<u64>>,
    heap: BinaryHeap<(u64, u32)>,
}

impl Furthest {
    pub(crate) fn new(ties: Ties) -> Self {
        Self {
            ties,
            key: Vec::new(),
            heap: BinaryHeap::new(),
        }
    }

    /// Adds a slot, or changes its prediction.
    pub(crate) fn insert(&mut self, slot: u32, predicted: f64) {
        let key = order(predicted);
        let index = slot as usize;
        if index >= self.key.len() {
            self.key.resize(index + 1, None);
        }
        if self.key[index] == Some(key) {
            return;
        }
        self.key[index] = Some(key);
        self.heap.push((key, self.tie(slot)));
        // Bounds the outdated entries to a constant factor.
        if self.heap.len() > 4 * self.key.len() + 64 {
            self.compact();
        }
    }

    pub(crate) fn contains(&self, slot: u32) -> bool {
        self.key.get(slot as usize).is_some_and(Option::is_some)
    }

    /// Takes a slot out.
    pub(crate) fn remove(&mut self, slot: u32) {
        if let Some(key) = self.key.get_mut(slot as usize) {
            *key = None;
        }
    }

    /// The furthest slot, which stays in the set.
    pub(crate) fn peek(&mut self) -> Option<u32> {
        while let Some(&(key, tie)) = self.heap.peek() {
            let slot = self.tie(tie);
            if self.key[slot as usize] == Some(key) {
                return Some(slot);
            }
            self.heap.pop();
        }
        None
    }

    /// A slot's number as the heap compares it; its own inverse.
    fn tie(&self, slot: u32) -> u32 {
        match self.ties {
            Ties::LowestSlot => !slot,
            Ties::HighestSlot => slot,
        }
    }

    fn compact(&mut self) {
        self.heap.clear();
        for slot in 0..self.key.len() as u32 {
            if let Some(key) = self.key[slot as usize] {
                let tie = self.tie(slot);
                self.heap.push((key, tie));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_are_totally_ordered() {
        let ascending = [
            f64::NEG_INFINITY,
            -1.0,
            -f64::MIN_POSITIVE,
            0.0,
            1e-300,
            1.0,
            f64::INFINITY,
            f64::NAN,
        ];
        for pair in ascending.windows(2) {
            assert!(order(pair[0]) < order(pair[1]), "{pair:?}");
        }
        assert_eq!(order(0.0), order(-0.0));
        assert_eq!(order(-f64::NAN), order(f64::NAN));
    }

    #[test]
    fn ties_go_to_the_chosen_end() {
        for (ties, expected) in [(Ties::LowestSlot, 0), (Ties::HighestSlot, 2)] {
            let mut furthest = Furthest::new(ties);
            for slot in 0..3 {
                furthest.insert(slot, 5.0);
            }
            assert_eq!(furthest.peek(), Some(expected));
        }
    }

    #[test]
    fn outdated_entries_never_surface() {
        let mut furthest = Furthest::new(Ties::LowestSlot);
        for round in 0..1_000 {
            furthest.insert(round % 3, f64::from(round));
        }
        assert_eq!(furthest.peek(), Some(0));
        furthest.remove(0);
        assert_eq!(furthest.peek(), Some(2));
        furthest.insert(2, -1.0);
        assert_eq!(furthest.peek(), Some(1));
        assert!(furthest.heap.len() <= 80);
    }
}
