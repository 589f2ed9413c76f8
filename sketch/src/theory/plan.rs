//! Planning: the division of a memory budget between the table of exact counts and the sketch.

use super::count_min::{aafe, approximate_aafe};
use super::coverage_curve::CoverageCurve;
use crate::error::SketchError;
use crate::rows::MAX_DEPTH;

/// Sizes of the table in the coarse search.
const SIZES: usize = 24;

/// A memory budget and the costs of its parts, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The total budget.
    pub bytes: usize,
    /// The part that is already spent: the model, the rejection cache.
    pub reserved: usize,
    /// Bytes of a slot of the table: 8 as in the paper (a 32-bit fingerprint and a 32-bit count), or
    /// 16 (a 64-bit hash and a 64-bit count); more to account for empty slots.
    pub slot_bytes: usize,
    /// Bytes of a counter.
    pub counter_bytes: usize,
    /// The maximum depth to consider, at least 1.
    pub max_depth: usize,
}

impl Budget {
    /// A budget with the costs of the paper: 8 bytes per slot, 4 per counter, depths from 1 to 4, a model
    /// without cost.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            bytes,
            reserved: 0,
            slot_bytes: 8,
            counter_bytes: 4,
            max_depth: 4,
        }
    }

    /// The width of `depth` rows besides a table of `slots` slots; zero if nothing is left.
    #[must_use]
    pub fn width(&self, slots: usize, depth: usize) -> usize {
        let spent = slots
            .saturating_mul(self.slot_bytes)
            .saturating_add(self.reserved);
        self.bytes.saturating_sub(spent) / (depth * self.counter_bytes)
    }
}

/// The division of a budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Slots of the table of exact counts.
    pub explicit_slots: usize,
    /// Rows of the sketch.
    pub depth: usize,
    /// Counters in a row.
    pub width: usize,
    /// The predicted average absolute frequency error with plain update.
    pub predicted_aafe: f64,
}

/// Finds the number of explicit slots, the depth and the width that minimize the average absolute
/// frequency error of a count-min sketch with plain update, for an oracle with this coverage curve.
///
/// The curve should be that of an earlier window. The errors of conservative update are smaller than
/// predicted, especially where many keys share a counter; it favors smaller tables and a depth of two
/// or more.
///
/// # Errors
///
/// [`SketchError::Parameter`] when the budget is too small for a single counter, or a cost or the
/// maximum depth is zero.
pub fn plan(budget: &Budget, curve: &CoverageCurve) -> Result<Plan, SketchError> {
    for (argument, value) in [
        ("slot_bytes", budget.slot_bytes),
        ("counter_bytes", budget.counter_bytes),
        ("max_depth", budget.max_depth),
    ] {
        if value == 0 {
            return Err(SketchError::parameter(argument, "at least 1", value));
        }
    }
    if budget.max_depth > MAX_DEPTH {
        let expected = format!("at most {MAX_DEPTH}");
        return Err(SketchError::parameter(
            "max_depth",
            expected,
            budget.max_depth,
        ));
    }
    if budget.width(0, 1) == 0 {
        return Err(SketchError::parameter(
            "bytes",
            format!(
                "at least {}",
                budget.reserved.saturating_add(budget.counter_bytes)
            ),
            budget.bytes,
        ));
    }
    // The largest table: one counter must be left, and more slots than keys are useless.
    let affordable = (budget.bytes - budget.reserved - budget.counter_bytes) / budget.slot_bytes;
    let max_slots = affordable.min(curve.keys());
    let mut search = Search {
        budget,
        curve,
        best: None,
    };
    search.consider(0);
    search.consider(max_slots);
    if max_slots > 1 {
        // A coarse search in geometric steps.
        let ratio = (max_slots as f64).powf(1.0 / SIZES as f64);
        for step in 0..SIZES {
            search.consider(ratio.powi(step as i32).round() as usize);
        }
        // Where the table takes most of the budget, linear steps are finer.
        for tenth in 5..10 {
            search.consider(max_slots * tenth / 10);
        }
        // Refinement around the best size with ever smaller factors.
        let mut factor = ratio;
        for _ in 0..4 {
            factor = factor.sqrt();
            let center = search.best.map_or(0, |best| best.explicit_slots) as f64;
            search.consider((center / factor).round() as usize);
            search.consider(((center * factor).round() as usize).min(max_slots));
        }
    }
    // The search used the fast approximation; the result gets the accurate prediction.
    let mut best = search.best.expect("a table without slots was considered");
    let residual = curve.residual(best.explicit_slots);
    best.predicted_aafe = aafe(&residual, curve.total(), best.depth, best.width)?;
    Ok(best)
}

struct Search<'a> {
    budget: &'a Budget,
    curve: &'a CoverageCurve,
    best: Option<Plan>,
}

impl Search<'_> {
    /// Tries a size of the table with every depth.
    fn consider(&mut self, explicit_slots: usize) {
        let residual = self.curve.residual(explicit_slots);
        for depth in 1..=self.budget.max_depth {
            let width = self.budget.width(explicit_slots, depth);
            if width == 0 {
                continue;
            }
            let predicted_aafe = if self.curve.total() == 0 {
                0.0
            } else {
                approximate_aafe(&residual, self.curve.total(), depth, width)
            };
            if self
                .best
                .is_none_or(|best| predicted_aafe < best.predicted_aafe)
            {
                self.best = Some(Plan {
                    explicit_slots,
                    depth,
                    width,
                    predicted_aafe,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_for_every_key_makes_no_error() {
        let curve = CoverageCurve::ideal(&[5; 100]);
        let plan = plan(&Budget::new(10_000), &curve).unwrap();
        assert_eq!(plan.predicted_aafe, 0.0);
        assert_eq!(plan.explicit_slots, 100);
    }

    #[test]
    fn a_blind_oracle_gets_no_table() {
        // Equal counts: a slot of eight bytes saves less than two counters.
        let curve = CoverageCurve::in_order(vec![1; 100_000]);
        let plan = plan(&Budget::new(40_000), &curve).unwrap();
        assert!(plan.explicit_slots < 100, "{plan:?}");
    }

    #[test]
    fn budgets_are_checked() {
        let curve = CoverageCurve::ideal(&[5; 100]);
        assert!(plan(&Budget::new(3), &curve).is_err());
        let mut budget = Budget::new(1000);
        budget.reserved = 998;
        assert!(plan(&budget, &curve).is_err());
        let mut budget = Budget::new(1000);
        budget.max_depth = 0;
        assert!(plan(&budget, &curve).is_err());
        assert!(plan(&Budget::new(1000), &CoverageCurve::ideal(&[])).is_ok());
    }
}
