//! Follow the prediction.

use super::furthest::{Furthest, Ties};
use crate::policy::slots::Slots;
use crate::policy::{Needs, Policy};
use crate::request::{PageId, Request};

/// FtP, also called BlindOracle: evicts the page with the furthest last prediction. Equals Belady's
/// policy with perfect predictions; without guarantee otherwise. O(log k).
///
/// Ties are broken by the lowest slot number, as in the reference code of the study.
#[derive(Clone, Debug)]
pub struct FollowPrediction {
    slots: Slots,
    furthest: Furthest,
}

impl FollowPrediction {
    /// An empty cache of `capacity` slots.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            slots: Slots::new(capacity),
            furthest: Furthest::new(Ties::LowestSlot),
        }
    }

    /// The cached pages.
    pub(super) fn pages(&self) -> impl Iterator<Item = PageId> + '_ {
        self.slots.pages()
    }
}

impl Policy for FollowPrediction {
    fn name(&self) -> String {
        "FtP".into()
    }

    fn needs(&self) -> Needs {
        Needs::PREDICTED_PAGING
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        if let Some(slot) = self.slots.find(request.page) {
            self.furthest.insert(slot, request.predicted);
            return true;
        }
        let slot = self.slots.fill_empty(request.page).or_else(|| {
            let slot = self.furthest.peek()?;
            self.slots.replace(slot, request.page, evicted);
            Some(slot)
        });
        if let Some(slot) = slot {
            self.furthest.insert(slot, request.predicted);
        }
        false
    }

    fn contains(&self, page: PageId) -> bool {
        self.slots.contains(page)
    }
}
