//! LIRS.

use super::table::{List, Slot, Table};
use super::{Needs, Policy};
use crate::request::{PageId, Request};

/// LIRS (Jiang and Zhang, SIGMETRICS 2002): pages with low inter-reference recency (LIR) take 99 % of
/// the cache. The others (HIR) pass through a queue of 1 % (at least 1) and stay on a recency stack,
/// where a second request makes them LIR. The stack is limited to twice the capacity. Amortized O(1).
#[derive(Clone, Debug)]
pub struct Lirs {
    lir_capacity: usize,
    queue_capacity: usize,
    stack_capacity: usize,
    stack_table: Table<Status>,
    stack: List,
    lir: usize,
    queue_table: Table<()>,
    queue: List,
    /// Non-resident pages on the stack, in order of eviction.
    gone_table: Table<()>,
    gone: List,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Lir,
    Queued,
    Gone,
}

impl Lirs {
    /// An empty cache of `capacity` pages.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let queue_capacity = (capacity / 100).max(1).min(capacity);
        Self {
            lir_capacity: capacity - queue_capacity,
            queue_capacity,
            stack_capacity: capacity.saturating_mul(2),
            stack_table: Table::default(),
            stack: List::default(),
            lir: 0,
            queue_table: Table::default(),
            queue: List::default(),
            gone_table: Table::default(),
            gone: List::default(),
        }
    }

    /// Stack pruning: pops HIR pages until the bottom of the stack is a LIR page.
    fn prune(&mut self) {
        while let Some(slot) = self.stack.oldest() {
            let entry = self.stack_table.get(slot);
            let (page, status) = (entry.page, entry.data);
            if status == Status::Lir {
                return;
            }
            self.remove_from_stack(slot);
            if status == Status::Gone {
                // A non-resident page off the stack leaves no trace; a queued one stays resident.
                self.forget_gone(page);
            }
        }
    }

    /// Turns the LIR page at the bottom of the stack into the newest resident HIR page.
    fn demote(&mut self, evicted: &mut Vec<PageId>) {
        let Some(slot) = self.stack.oldest() else {
            return;
        };
        let page = self.remove_from_stack(slot);
        self.lir -= 1;
        // The demoted page joins the queue, whose oldest page leaves the cache.
        self.make_queue_room(evicted);
        self.enqueue(page);
        self.prune();
    }

    fn make_queue_room(&mut self, evicted: &mut Vec<PageId>) {
        while self.queue.len() + 1 > self.queue_capacity {
            let Some(slot) = self.queue_table.pop_oldest(&mut self.queue) else {
                return;
            };
            let page = self.queue_table.remove(slot);
            evicted.push(page);
            // Still on the stack, the page becomes a non-resident HIR page: its recency is kept.
            if let Some(slot) = self.stack_table.find(page) {
                self.stack_table.get_mut(slot).data = Status::Gone;
                let slot = self.gone_table.insert(page, 1, ());
                self.gone_table.push_newest(&mut self.gone, slot);
            }
        }
    }

    fn enqueue(&mut self, page: PageId) {
        let slot = self.queue_table.insert(page, 1, ());
        self.queue_table.push_newest(&mut self.queue, slot);
    }

    fn dequeue(&mut self, page: PageId) {
        if let Some(slot) = self.queue_table.find(page) {
            self.queue_table.unlink(&mut self.queue, slot);
            self.queue_table.remove(slot);
        }
    }

    fn forget_gone(&mut self, page: PageId) {
        if let Some(slot) = self.gone_table.find(page) {
            self.gone_table.unlink(&mut self.gone, slot);
            self.gone_table.remove(slot);
        }
    }

    fn push_on_stack(&mut self, page: PageId, status: Status) {
        let slot = self.stack_table.insert(page, 1, status);
        self.stack_table.push_newest(&mut self.stack, slot);
    }

    fn remove_from_stack(&mut self, slot: Slot) -> PageId {
        self.stack_table.unlink(&mut self.stack, slot);
        self.stack_table.remove(slot)
    }

    /// Turns a HIR page on the stack, which was requested again, into a LIR page.
    fn promote(&mut self, slot: Slot, evicted: &mut Vec<PageId>) {
        self.stack_table.get_mut(slot).data = Status::Lir;
        self.lir += 1;
        self.stack_table.refresh(&mut self.stack, slot);
        while self.lir > self.lir_capacity {
            self.demote(evicted);
        }
        self.prune();
    }

    fn miss(&mut self, page: PageId, evicted: &mut Vec<PageId>) {
        if let Some(slot) = self.stack_table.find(page) {
            // Case 3 of the paper: a non-resident HIR page on the stack. Its recency is below that of
            // the bottom LIR page, so it becomes LIR.
            self.forget_gone(page);
            self.promote(slot, evicted);
        } else if self.lir < self.lir_capacity {
            // Warm-up: the first pages fill the LIR set.
            self.push_on_stack(page, Status::Lir);
            self.lir += 1;
        } else {
            self.make_queue_room(evicted);
            self.enqueue(page);
            if self.lir_capacity > 0 {
                self.push_on_stack(page, Status::Queued);
            }
        }
    }

    fn limit_stack(&mut self) {
        while self.stack.len() > self.stack_capacity {
            // Drop the longest non-resident page first; residents never leave the stack this way.
            let Some(slot) = self.gone_table.pop_oldest(&mut self.gone) else {
                return;
            };
            let page = self.gone_table.remove(slot);
            if let Some(slot) = self.stack_table.find(page) {
                self.remove_from_stack(slot);
            }
        }
    }
}

impl Policy for Lirs {
    fn name(&self) -> String {
        "LIRS".into()
    }

    fn needs(&self) -> Needs {
        Needs::PAGING
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        let page = request.page;
        // A cache of capacity 0 holds nothing.
        if self.queue_capacity == 0 {
            return false;
        }
        if let Some(slot) = self.stack_table.find(page)
            && self.stack_table.get(slot).data == Status::Lir
        {
            self.stack_table.refresh(&mut self.stack, slot);
            self.prune();
            return true;
        }
        // Case 2: a hit of a resident HIR page, which turns LIR if it is on the stack.
        if self.queue_table.find(page).is_some() {
            match self.stack_table.find(page) {
                Some(slot) => {
                    self.dequeue(page);
                    self.promote(slot, evicted);
                }
                None => {
                    self.dequeue(page);
                    self.enqueue(page);
                    if self.lir_capacity > 0 {
                        self.push_on_stack(page, Status::Queued);
                    }
                }
            }
            self.limit_stack();
            return true;
        }
        self.miss(page, evicted);
        self.limit_stack();
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.queue_table.find(page).is_some()
            || self
                .stack_table
                .find(page)
                .is_some_and(|slot| self.stack_table.get(slot).data == Status::Lir)
    }
}
