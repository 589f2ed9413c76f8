//! The work function of paging as a partition of pages into layers.

use crate::request::PageId;

/// No layer: the page is outside the support.
const OUTSIDE: u32 = u32::MAX;

/// The partition of the requested pages into layers `L_1..L_k` (Koutsoupias and Papadimitriou; in the
/// form of Brodal, Moruz and Negoescu, "OnlineMin"): a set of k pages is a possible current cache of
/// an optimal algorithm if and only if it contains at most i pages of `L_1..L_i`, for every i. Pages
/// outside the support (`L_0`) are in no such cache, so the optimal cost of the requests so far grows
/// by one exactly when a page outside the support is requested.
///
/// Layers are numbered from 0 here. Worst-case time O(k) per request.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    capacity: usize,
    /// By rank: the group that forms this layer.
    order: Vec<u32>,
    /// By group: its rank; `OUTSIDE` for a free group.
    rank_of: Vec<u32>,
    members: Vec<Vec<PageId>>,
    /// By page: its group and its index among the group's members.
    place_of: Vec<(u32, u32)>,
    free: Vec<u32>,
    support: usize,
}

impl Layers {
    /// The work function before the first request, for k = `capacity`.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            order: Vec::new(),
            rank_of: Vec::new(),
            members: Vec::new(),
            place_of: Vec::new(),
            free: Vec::new(),
            support: 0,
        }
    }

    /// The layer of a page, `None` outside the support.
    pub(crate) fn rank(&self, page: PageId) -> Option<usize> {
        match self.place_of.get(page as usize) {
            Some(&(group, _)) if group != OUTSIDE => Some(self.rank_of[group as usize] as usize),
            _ => None,
        }
    }

    /// Number of pages in all layers.
    pub(crate) fn support(&self) -> usize {
        self.support
    }

    /// The pages of a layer, in no particular order.
    pub(crate) fn members(&self, rank: usize) -> &[PageId] {
        &self.members[self.order[rank] as usize]
    }

    /// Number of trailing layers with one page each.
    pub(crate) fn trailing_singletons(&self) -> usize {
        self.order
            .iter()
            .rev()
            .take_while(|&&group| self.members[group as usize].len() == 1)
            .count()
    }

    /// Updates the work function by one request and returns whether the optimum grew.
    pub(crate) fn request(&mut self, page: PageId) -> bool {
        if self.capacity == 0 {
            return true;
        }
        match self.rank(page) {
            None => {
                // Case of the paper for a page of `L_0`: with all k layers present, the last two merge, and
                // the page forms the new last layer.
                if self.order.len() == self.capacity {
                    // The last two layers merge: any one of their pages may have been evicted.
                    let last = self.order.len() - 1;
                    if last == 0 {
                        self.drop_layer(0);
                    } else {
                        self.merge(last - 1, last);
                    }
                }
                self.append(page);
                true
            }
            Some(rank) => {
                // Case of the paper for a page of layer i: the rest of the layer merges into layer i - 1
                // (`L_0` for the first, which leaves the support), and the page forms the last layer.
                self.take(page);
                if rank == 0 {
                    self.drop_layer(0);
                } else {
                    self.merge(rank - 1, rank);
                }
                self.append(page);
                false
            }
        }
    }

    /// Drops the pages of the first layer from the support and appends a page from outside. Returns
    /// the dropped pages.
    pub(crate) fn forgive(&mut self, page: PageId) -> Vec<PageId> {
        let forgotten = self.members(0).to_vec();
        self.drop_layer(0);
        self.append(page);
        forgotten
    }

    /// Merges layer `upper` into layer `lower`; the layers above `upper` move down by one.
    fn merge(&mut self, lower: usize, upper: usize) {
        let (a, b) = (self.order[lower], self.order[upper]);
        // Union by size: the smaller group moves, so a page moves O(log) times.
        let (kept, moved) = if self.members[a as usize].len() >= self.members[b as usize].len() {
            (a, b)
        } else {
            (b, a)
        };
        let pages = std::mem::take(&mut self.members[moved as usize]);
        for page in pages {
            let index = self.members[kept as usize].len() as u32;
            self.place_of[page as usize] = (kept, index);
            self.members[kept as usize].push(page);
        }
        self.order[lower] = kept;
        self.rank_of[kept as usize] = lower as u32;
        self.release(moved);
        self.close_gap(upper);
    }

    fn drop_layer(&mut self, rank: usize) {
        let group = self.order[rank];
        for page in std::mem::take(&mut self.members[group as usize]) {
            self.place_of[page as usize] = (OUTSIDE, 0);
            self.support -= 1;
        }
        self.release(group);
        self.close_gap(rank);
    }

    fn release(&mut self, group: u32) {
        self.rank_of[group as usize] = OUTSIDE;
        self.free.push(group);
    }

    fn close_gap(&mut self, rank: usize) {
        self.order.remove(rank);
        // Layers above the gap are renumbered; their groups, hence `place_of`, stay.
        for (rank, &group) in self.order.iter().enumerate().skip(rank) {
            self.rank_of[group as usize] = rank as u32;
        }
    }

    fn append(&mut self, page: PageId) {
        let group = self.free.pop().unwrap_or_else(|| {
            self.members.push(Vec::new());
            self.rank_of.push(OUTSIDE);
            (self.members.len() - 1) as u32
        });
        self.rank_of[group as usize] = self.order.len() as u32;
        self.order.push(group);
        let index = page as usize;
        if index >= self.place_of.len() {
            self.place_of
                .resize((index + 1).next_power_of_two(), (OUTSIDE, 0));
        }
        self.place_of[index] = (group, 0);
        self.members[group as usize].clear();
        self.members[group as usize].push(page);
        self.support += 1;
    }

    fn take(&mut self, page: PageId) {
        let (group, index) = self.place_of[page as usize];
        let members = &mut self.members[group as usize];
        members.swap_remove(index as usize);
        // `swap_remove` moved the last member to this index.
        if let Some(&moved) = members.get(index as usize) {
            self.place_of[moved as usize].1 = index;
        }
        self.place_of[page as usize] = (OUTSIDE, 0);
        self.support -= 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::{Belady, Policy};
    use crate::trace::Trace;

    proptest! {
        #[test]
        fn the_optimum_misses_where_the_work_function_grows(
            ids in prop::collection::vec(0..9_u64, 0..80),
            capacity in 1..6_usize,
        ) {
            let mut layers = Layers::new(capacity);
            let mut misses = 0;
            for end in 1..=ids.len() {
                let mut prefix = Trace::from_ids(ids[..end].iter().copied());
                prefix.annotate();
                let page = prefix.pages()[end - 1];
                misses += u64::from(layers.request(page));
                let optimum = Belady::new(capacity as u64).replay(&prefix).unwrap().misses;
                prop_assert_eq!(misses, optimum, "after {} requests", end);
            }
        }
    }
}
