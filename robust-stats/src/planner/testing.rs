//! Plans for the robust uniformity test, by its approximate power.

use crate::error::RobustStatsError;
use crate::parameter::Epsilon;
use crate::theory::coupling::{coupling_shift, response_contraction};
use crate::theory::learning::HashedSetting;
use crate::theory::{folded_normal_mean, kantorovich, normal_quantile};

use super::{Feasibility, Plan, Request, fits, min_users, too_many_users};

/// The plan with the fewest users among designs of several shapes and numbers of groups.
pub(super) fn plan(
    request: &Request,
    candidates: &[HashedSetting],
    level: f64,
    power: f64,
) -> Result<Feasibility, RobustStatsError> {
    // 1. Infeasible if manipulation under both hypotheses makes them meet halfway, for all shapes.
    let floor_of = |setting: &HashedSetting| 2.0 * shift(request, setting);
    let floor = candidates
        .iter()
        .map(floor_of)
        .fold(f64::INFINITY, f64::min);
    if floor >= request.target {
        return Ok(Feasibility::infeasible(floor));
    }
    // 2. The test separates the hypotheses by these quantiles of its normal approximation.
    let quantiles = (normal_quantile(1.0 - level), normal_quantile(power));
    let plans = candidates
        .iter()
        .filter(|setting| floor_of(setting) < request.target)
        .flat_map(|&setting| {
            // Without a hash design there is one partition; otherwise optimize over powers of two.
            let largest = if setting.cells >= setting.symbols {
                1
            } else {
                20
            };
            (0..largest).map(move |power| HashedSetting {
                groups: 1 << power,
                ..setting
            })
        })
        .filter(fits)
        .filter_map(|setting| plan_with(request, &setting, quantiles, floor_of(&setting)));
    let best = plans.min_by_key(|plan| plan.users);
    best.map(Feasibility::Feasible)
        .ok_or_else(|| too_many_users(request))
}

/// The undetectable shift: the alternative is fixed before the partitions are drawn, so it cannot be
/// optimized against them.
fn shift(request: &Request, setting: &HashedSetting) -> f64 {
    let (gamma, cells) = (request.gamma.get(), setting.cells);
    if cells >= setting.symbols {
        let private = setting
            .epsilon
            .map(|epsilon| response_contraction(epsilon, cells));
        gamma * private.unwrap_or(1.0)
    } else {
        coupling_shift(gamma, setting.symbols, cells, setting.epsilon)
    }
}

/// The plan for one design; `None` if no number of users is sufficient.
fn plan_with(
    request: &Request,
    setting: &HashedSetting,
    quantiles: (f64, f64),
    floor: f64,
) -> Option<Plan> {
    let clean = TestSetting {
        symbols: setting.symbols,
        cells: setting.cells,
        groups: setting.groups,
        epsilon: setting.epsilon,
        gamma: 0.0,
        quantiles,
    };
    let manipulated = TestSetting {
        gamma: request.gamma.get(),
        ..clean
    };
    let least = (8 * setting.groups) as f64;
    let users = min_users(least, |users| manipulated.detects(request.target, users))?;
    Some(Plan {
        statistical_error: clean.min_detectable_distance(users),
        predicted_error: manipulated.min_detectable_distance(users),
        manipulation_floor: floor,
        ..Plan::new(setting, request.gamma, users)
    })
}

/// The parameters of a uniformity test in its normal approximation.
#[derive(Clone, Copy, Debug)]
pub(super) struct TestSetting {
    pub(super) symbols: usize,
    pub(super) cells: usize,
    pub(super) groups: usize,
    pub(super) epsilon: Option<Epsilon>,
    pub(super) gamma: f64,
    /// The normal quantiles of one minus the level, and of the power.
    pub(super) quantiles: (f64, f64),
}

impl TestSetting {
    /// Whether the robust test detects a distribution at this distance: the gap of the statistic
    /// exceeds twice its maximum shift by manipulation plus the noise of both hypotheses.
    pub(super) fn detects(&self, distance: f64, users: f64) -> bool {
        let (gap, null, alternative, sensitivity) = self.moments(distance, users);
        let noise = self.quantiles.0 * null + self.quantiles.1 * alternative;
        gap >= 2.0 * self.gamma * users * sensitivity + noise
    }

    /// The minimum distance that is detected, by bisection.
    pub(super) fn min_detectable_distance(&self, users: f64) -> f64 {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..40 {
            let middle = f64::midpoint(low, high);
            if self.detects(middle, users) {
                high = middle;
            } else {
                low = middle;
            }
        }
        high
    }

    /// The gap of the statistic, its standard deviation under both hypotheses, and its sensitivity.
    fn moments(&self, distance: f64, users: f64) -> (f64, f64, f64, f64) {
        let lambda = users / self.symbols as f64;
        // The Poisson sums take time proportional to the mean count; for larger means the normal
        // approximation agrees.
        if self.cells >= self.symbols && self.epsilon.is_none() && lambda <= 2_000.0 {
            let k = self.symbols as f64;
            let (null, deviation) = kantorovich::statistic_moments(0.0, users, k);
            let (alternative, wider) = kantorovich::statistic_moments(distance, users, k);
            let sensitivity = kantorovich::sensitivity(users, k);
            return (alternative - null, deviation, wider, sensitivity);
        }
        let l = self.cells.min(self.symbols) as f64;
        let k = self.symbols as f64;
        let kept = self.epsilon.map_or(1.0, |epsilon| {
            1.0 / response_contraction(epsilon, self.cells)
        });
        // Symbols per cell, and the noise of a cell frequency with n / N reports per group.
        let size = k / l;
        let noise = (1.0 / l * (1.0 - 1.0 / l) * self.groups as f64 / users).sqrt();
        // The standard deviation of a cell's mass: a sum of signs drawn without replacement. With one
        // symbol per cell it is not random.
        let mass = kept * 2.0 * distance / k * (size * (k - size) / (k - 1.0).max(1.0)).sqrt();
        let identity = self.cells >= self.symbols;
        let shifted = if identity {
            folded_normal_mean(kept * 2.0 * distance / k, noise)
        } else {
            (2.0 / std::f64::consts::PI).sqrt() * mass.hypot(noise)
        };
        let still = (2.0 / std::f64::consts::PI).sqrt() * noise;
        // The statistic averages over groups, each with half the sum over its cells.
        let gap = 0.5 * l * (shifted - still);
        // The cells of a group sum to 1, which correlates their deviations.
        let spread = |deviation: f64| {
            let of_group = 0.25 * l * l / (l - 1.0) * deviation * deviation;
            (of_group * (1.0 - 2.0 / std::f64::consts::PI) / self.groups as f64).sqrt()
        };
        let alternative = if identity { noise } else { mass.hypot(noise) };
        (gap, spread(noise), spread(alternative), 1.0 / users)
    }
}
