//! Token buckets that bound retries and hedges.

/// A token bucket filled by queries: each accepted query adds `ratio` tokens, and an extra task takes one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    ratio: f64,
    balance: f64,
}

/// The capacity of the bucket in tasks: the largest burst after a quiet period.
const MAX_BALANCE: f64 = 10.0;

impl Budget {
    /// Starts full, so that failures right after the start are retried; empty for a ratio of 0.
    ///
    /// The builder has checked that `ratio` is finite: `f64::min` would turn NaN into a full bucket.
    pub(super) fn new(ratio: f64) -> Self {
        let balance = if ratio > 0.0 { MAX_BALANCE } else { 0.0 };
        Self { ratio, balance }
    }

    /// Accounts for an accepted query.
    pub(super) fn deposit(&mut self) {
        self.balance = (self.balance + self.ratio).min(MAX_BALANCE);
    }

    /// Takes a token for one extra task, if there is one.
    pub(super) fn try_spend(&mut self) -> bool {
        let enough = self.balance >= 1.0;
        self.balance -= f64::from(u8::from(enough));
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_tasks_stay_within_the_ratio() {
        let mut budget = Budget::new(0.05);
        let mut spent = 0;
        for _ in 0..10_000 {
            budget.deposit();
            spent += u32::from(budget.try_spend());
        }
        assert!((500..=511).contains(&spent), "{spent}");
        let mut none = Budget::new(0.0);
        none.deposit();
        assert!(!none.try_spend());
    }
}
