//! CLOCK, the second-chance approximation of LRU.

use std::collections::VecDeque;

use super::Policy;
use crate::request::{PageId, Request};

/// CLOCK with one reference bit (also called second chance or FIFO-reinsertion): a hit sets the
/// bit. The hand clears set bits and evicts the first object whose bit is clear. Amortized O(1).
#[derive(Clone, Debug)]
pub struct Clock {
    capacity: u64,
    used: u64,
    /// By page.
    state: Vec<State>,
    /// In ring order, starting at the hand.
    ring: VecDeque<(PageId, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Absent,
    Resident,
    Referenced,
}

impl Clock {
    /// An empty cache.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self {
            capacity,
            used: 0,
            state: Vec::new(),
            ring: VecDeque::new(),
        }
    }

    fn evict(&mut self, evicted: &mut Vec<PageId>) -> bool {
        while let Some((page, size)) = self.ring.pop_front() {
            // The hand is the front of the queue: a referenced object gets a second chance at the back.
            // Each pass clears a bit, so the loop ends after at most one round.
            let state = &mut self.state[page as usize];
            if *state == State::Referenced {
                *state = State::Resident;
                self.ring.push_back((page, size));
            } else {
                *state = State::Absent;
                self.used -= u64::from(size);
                evicted.push(page);
                return true;
            }
        }
        false
    }
}

impl Policy for Clock {
    fn name(&self) -> String {
        "CLOCK".into()
    }

    #[inline]
    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        let page = request.page as usize;
        if page >= self.state.len() {
            self.state
                .resize((page + 1).next_power_of_two(), State::Absent);
        }
        if self.state[page] != State::Absent {
            self.state[page] = State::Referenced;
            return true;
        }
        let size = u64::from(request.size);
        if size > self.capacity {
            return false;
        }
        while self.used + size > self.capacity && self.evict(evicted) {}
        self.state[page] = State::Resident;
        self.ring.push_back((request.page, request.size));
        self.used += size;
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.state
            .get(page as usize)
            .is_some_and(|&state| state != State::Absent)
    }
}
