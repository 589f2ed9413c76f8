//! W-TinyLFU.

use super::Policy;
use super::segmented_lru::Segments;
use super::table::{List, Table};
use crate::request::{PageId, Request};

/// W-TinyLFU (Einziger, Friedman, Manes, 2017): new objects enter an LRU window of 1 % of the capacity
/// (at least 1). An object that leaves the window is admitted to the main cache, a segmented LRU with
/// 20 % probation and 80 % protected, only if a frequency sketch estimates more requests for it than
/// for the next victim. O(1).
#[derive(Clone, Debug)]
pub struct WTinyLfu {
    capacity: u64,
    window_capacity: u64,
    main_capacity: u64,
    table: Table<()>,
    window: List,
    main: Segments,
    sketch: FrequencySketch,
}

impl WTinyLfu {
    /// An empty cache with a window of 1 % of the capacity.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        let window_capacity = (capacity / 100).max(1).min(capacity);
        let main_capacity = capacity - window_capacity;
        let probation = (main_capacity / 5).max(1);
        let protected = main_capacity.saturating_sub(probation).max(1);
        Self {
            capacity,
            window_capacity,
            main_capacity,
            table: Table::default(),
            window: List::default(),
            main: Segments::new(vec![probation, protected]),
            sketch: FrequencySketch::default(),
        }
    }

    /// Removes the oldest object of the window and admits it to the main cache or evicts it.
    fn drain(&mut self, requested: PageId, evicted: &mut Vec<PageId>) {
        let Some(slot) = self.table.pop_oldest(&mut self.window) else {
            return;
        };
        let size = self.table.get(slot).size;
        let page = self.table.remove(slot);
        // The candidate must beat every victim that it displaces. Ties favor the victim, which
        // resists scans.
        while self.main.size() + u64::from(size) > self.main_capacity {
            let wins = self
                .main
                .victim()
                .is_some_and(|victim| self.sketch.estimate(page) > self.sketch.estimate(victim));
            if !wins {
                // The requested object itself was never resident, so losing is no eviction.
                if page != requested {
                    evicted.push(page);
                }
                return;
            }
            self.main.evict(evicted);
        }
        self.main.insert(page, size);
    }
}

impl Policy for WTinyLfu {
    fn name(&self) -> String {
        "WTinyLFU".into()
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        let page = request.page;
        if let Some(slot) = self.table.find(page) {
            // Window hits are not counted: a burst does not predict long-term frequency.
            self.table.refresh(&mut self.window, slot);
            return true;
        }
        if let Some(slot) = self.main.find(page) {
            self.sketch.count(page);
            self.sketch.age();
            self.main.promote(slot, evicted);
            return true;
        }
        if u64::from(request.size) > self.capacity {
            return false;
        }
        self.sketch.count(page);
        let slot = self.table.insert(page, request.size, ());
        self.table.push_newest(&mut self.window, slot);
        // The window may be smaller than the new object, which then competes at once.
        while self.window.size() > self.window_capacity {
            self.drain(page, evicted);
        }
        self.sketch.fit(self.table.len() + self.main.len());
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.table.find(page).is_some() || self.main.find(page).is_some()
    }
}

/// Recent request frequencies up to 15: a count-min sketch with four rows of 4-bit counters and
/// conservative update. All counters are halved after 5n hits in the main cache, for n objects.
#[derive(Clone, Debug)]
struct FrequencySketch {
    /// 16 counters a word.
    words: Vec<u64>,
    objects: usize,
    counted: usize,
}

impl Default for FrequencySketch {
    fn default() -> Self {
        Self {
            words: vec![0; 64],
            objects: 64,
            counted: 0,
        }
    }
}

impl FrequencySketch {
    /// Word and bit shift of a page's counter in each row. Each row owns four counters of every word.
    fn counters(&self, page: PageId) -> [(usize, u32); 4] {
        let mut hash = u64::from(page).wrapping_add(0x9e37_79b9_7f4a_7c15);
        std::array::from_fn(|row| {
            // The finalizer of SplitMix64, iterated once per row.
            hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            hash ^= hash >> 31;
            let word = hash as usize & (self.words.len() - 1);
            let counter = row as u32 * 4 + (hash >> 62) as u32;
            (word, counter * 4)
        })
    }

    fn estimate(&self, page: PageId) -> u64 {
        self.counters(page)
            .iter()
            .map(|&(word, shift)| self.words[word] >> shift & 15)
            .min()
            .unwrap_or(0)
    }

    fn count(&mut self, page: PageId) {
        let counters = self.counters(page);
        let estimate = self.estimate(page);
        // Conservative update: only the counters at the minimum grow.
        if estimate < 15 {
            for (word, shift) in counters {
                if self.words[word] >> shift & 15 == estimate {
                    self.words[word] += 1 << shift;
                }
            }
        }
    }

    /// Counts a hit in the main cache towards the next halving.
    fn age(&mut self) {
        self.counted += 1;
        if self.counted >= 5 * self.objects {
            self.counted = 0;
            for word in &mut self.words {
                // Halves 16 counters at once; the mask drops the bits shifted in from a neighbor.
                *word = *word >> 1 & 0x7777_7777_7777_7777;
            }
        }
    }

    /// Grows the sketch for a cache of `objects` objects. Estimates do not change: a page's word in
    /// a sketch of twice the size is the same word or its copy.
    fn fit(&mut self, objects: usize) {
        if objects > self.objects {
            self.objects = objects.next_power_of_two();
            while self.words.len() < self.objects {
                self.words.extend_from_within(..);
            }
        }
    }
}
