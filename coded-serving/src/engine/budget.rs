//! How many extra tasks may be sent.

/// A budget that grows with the queries: each earns a share of one extra task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    share: f64,
    saved: f64,
}

/// What can be saved up at most, in tasks: what a burst of failures may spend at once.
const MOST_SAVED: f64 = 10.0;

impl Budget {
    /// Begins with a full purse, so that the first failures are not refused; empty when nothing is
    /// earned.
    pub(super) fn new(share: f64) -> Self {
        let saved = if share > 0.0 { MOST_SAVED } else { 0.0 };
        Self { share, saved }
    }

    /// A query was let in.
    pub(super) fn earn(&mut self) {
        self.saved = (self.saved + self.share).min(MOST_SAVED);
    }

    /// Whether an extra task may be sent; it is then paid for.
    pub(super) fn spend(&mut self) -> bool {
        let enough = self.saved >= 1.0;
        self.saved -= f64::from(u8::from(enough));
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_tasks_stay_within_the_share() {
        let mut budget = Budget::new(0.05);
        let mut spent = 0;
        for _ in 0..10_000 {
            budget.earn();
            spent += u32::from(budget.spend());
        }
        assert!((500..=511).contains(&spent), "{spent}");
        let mut none = Budget::new(0.0);
        none.earn();
        assert!(!none.spend());
    }
}
