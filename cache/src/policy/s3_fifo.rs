//! S3-FIFO.

use super::Policy;
use super::table::{List, Slot, Table};
use crate::request::{PageId, Request};

/// S3-FIFO (Yang et al., SOSP 2023): new objects enter a small FIFO queue. Those requested there move
/// to the main queue; the others are evicted into a ghost queue, from which a request takes them
/// directly to the main queue. The main queue is FIFO with reinsertion. Amortized O(1).
///
/// The defaults are those of libCacheSim: a small queue of 10 % of the capacity (at least 1), a ghost
/// queue of 90 %, and a promotion threshold of two requests. Until the cache is full for the first
/// time, objects enter the main queue when the small queue is full. Objects larger than the small
/// queue are not admitted.
#[derive(Clone, Debug)]
pub struct S3Fifo {
    capacity: u64,
    small_capacity: u64,
    ghost_capacity: u64,
    threshold: u8,
    table: Table<State>,
    small: List,
    main: List,
    ghost: List,
    was_full: bool,
}

#[derive(Clone, Copy, Debug)]
struct State {
    place: Place,
    /// Requests since it entered the queue, up to 3.
    requests: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Small,
    Main,
    Ghost,
}

impl S3Fifo {
    /// An empty cache with the default parameters.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self::with_parameters(capacity, 0.1, 2)
    }

    /// An empty cache whose small queue takes `small_fraction` (clamped to 0..=1) of the capacity.
    /// Objects with at least `threshold` requests there (clamped to 1..=3) move to the main queue.
    #[must_use]
    pub fn with_parameters(capacity: u64, small_fraction: f64, threshold: u8) -> Self {
        let small = (capacity as f64 * small_fraction.clamp(0.0, 1.0)) as u64;
        Self {
            capacity,
            small_capacity: small.max(1),
            ghost_capacity: (capacity as f64 * 0.9) as u64,
            threshold: threshold.clamp(1, 3),
            table: Table::default(),
            small: List::default(),
            main: List::default(),
            ghost: List::default(),
            was_full: false,
        }
    }

    fn evict(&mut self, evicted: &mut Vec<PageId>) {
        self.was_full = true;
        let main_capacity = self.capacity.saturating_sub(self.small_capacity);
        // Evict from main only when it exceeds its share: otherwise one-hit wonders in the small
        // queue leave first, which is the point of the policy.
        if self.main.size() > main_capacity || self.small.is_empty() {
            self.evict_from_main(evicted);
        } else {
            self.evict_from_small(evicted);
        }
    }

    fn evict_from_small(&mut self, evicted: &mut Vec<PageId>) {
        while let Some(slot) = self.table.pop_oldest(&mut self.small) {
            // Requested while in the small queue: promote without evicting, and go on.
            if self.table.get(slot).data.requests >= self.threshold {
                self.table.get_mut(slot).data = State {
                    place: Place::Main,
                    requests: 0,
                };
                self.table.push_newest(&mut self.main, slot);
            } else {
                evicted.push(self.table.get(slot).page);
                self.remember(slot);
                return;
            }
        }
    }

    fn evict_from_main(&mut self, evicted: &mut Vec<PageId>) {
        while let Some(slot) = self.main.oldest() {
            let state = &mut self.table.get_mut(slot).data;
            // Lazy promotion: a requested object is reinserted with one request less.
            if state.requests > 0 {
                state.requests -= 1;
                self.table.refresh(&mut self.main, slot);
            } else {
                self.table.unlink(&mut self.main, slot);
                evicted.push(self.table.remove(slot));
                return;
            }
        }
    }

    /// Moves a slot that is in no queue into the ghost queue.
    fn remember(&mut self, slot: Slot) {
        let size = u64::from(self.table.get(slot).size);
        if size > self.ghost_capacity {
            self.table.remove(slot);
            return;
        }
        while self.ghost.size() + size > self.ghost_capacity {
            let Some(oldest) = self.table.pop_oldest(&mut self.ghost) else {
                break;
            };
            self.table.remove(oldest);
        }
        self.table.get_mut(slot).data.place = Place::Ghost;
        self.table.push_newest(&mut self.ghost, slot);
    }
}

impl Policy for S3Fifo {
    fn name(&self) -> String {
        "S3FIFO".into()
    }

    #[inline]
    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        let mut remembered = false;
        if let Some(slot) = self.table.find(request.page) {
            let state = &mut self.table.get_mut(slot).data;
            if state.place != Place::Ghost {
                state.requests = (state.requests + 1).min(3);
                return true;
            }
            // A ghost hit goes straight to the main queue.
            self.table.unlink(&mut self.ghost, slot);
            self.table.remove(slot);
            remembered = true;
        }
        let size = u64::from(request.size);
        if size > self.small_capacity.min(self.capacity) {
            return false;
        }
        while self.small.size() + self.main.size() + size > self.capacity {
            self.evict(evicted);
        }
        let small_is_full = self.small.size() >= self.small_capacity;
        let (place, queue) = if remembered || (small_is_full && !self.was_full) {
            (Place::Main, &mut self.main)
        } else {
            (Place::Small, &mut self.small)
        };
        let slot = self
            .table
            .insert(request.page, request.size, State { place, requests: 0 });
        self.table.push_newest(queue, slot);
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.table
            .find(page)
            .is_some_and(|slot| self.table.get(slot).data.place != Place::Ghost)
    }
}
