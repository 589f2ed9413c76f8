//! Approximate power of the robust uniformity test.

use crate::parameter::Epsilon;
use crate::theory::coupling::response_contraction;
use crate::theory::{folded_normal_mean, kantorovich};

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
