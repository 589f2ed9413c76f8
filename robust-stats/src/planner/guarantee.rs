//! The proved part of a plan.
//!
//! Let `F` be the deviation that min-L1 minimizes, `F(p)` at the true distribution `p`, and `x` the
//! estimate. The design keeps at least a fraction `kept` of `||x - p||_1`, so that
//!
//! ```text
//! kept ||x - p||_1 <= ||A (x - p)|| <= F(x) + F(p) <= 2 F(p) + gap
//! ```
//!
//! and `F(p)` is at most the noise of honest reports, which is bounded for every distribution, plus the
//! changed reports.

use crate::decode::MinL1Options;
use crate::parameter::Gamma;
use crate::theory::coupling::response_contraction;
use crate::theory::learning::HashedSetting;

/// The probability with which a guarantee may fail: half of it for noise, half for the sizes of groups.
const ERROR_LEVEL: f64 = 0.01;

/// Maximum size `k^2 N` of a design for which [`typical_kept`] is measured.
const MAX_PASS: usize = 1 << 28;

/// A bound on the total variation between the min-L1 estimate and the true distribution, for every
/// distribution and every adversary that replaces at most a fraction `gamma` of the messages, with
/// probability 99 % over honest clients and their assignment to groups; at most 1. The design keeps at
/// least a fraction `kept`.
pub(super) fn error_guarantee(setting: &HashedSetting, kept: f64, gamma: Gamma, users: f64) -> f64 {
    let (cells, groups) = (
        setting.cells.min(setting.symbols) as f64,
        setting.groups as f64,
    );
    if setting.symbols < 2 {
        return 0.0;
    }
    let size = users / groups;
    // 1. The mean deviation of the messages by noise, in total variation, as in
    // `Observation::noise_bound`. It is concave in the sizes of groups: largest for equal ones.
    let normal = (2.0 * (cells - 1.0) / (std::f64::consts::PI * size)).sqrt() + cells / size;
    let mean = 0.5 * ((cells - 1.0) / size).sqrt().min(normal);
    // 2. Its deviation from the mean (McDiarmid).
    let deviation = ((2.0 / ERROR_LEVEL).ln() / (2.0 * users)).sqrt();
    // 3. No group is smaller than this share of the mean size (Chernoff and a union bound). The
    // certificate of equal groups shrinks by it.
    let smallest = if setting.groups == 1 {
        1.0
    } else {
        1.0 - (2.0 * (2.0 * groups / ERROR_LEVEL).ln() / size).sqrt()
    };
    if smallest <= 0.0 || kept <= 0.0 {
        return 1.0;
    }
    // 4. Both deviations. The empirical distribution of a central protocol has none; elsewhere that of
    // the estimate is at most that of the truth. The solver stops at a gap to the minimum.
    let options = MinL1Options::default();
    let truth = mean + deviation + gamma.get();
    let is_empirical = setting.cells >= setting.symbols && setting.epsilon.is_none();
    let minimum = if is_empirical { 0.0 } else { truth };
    let estimate = (minimum / (1.0 - options.relative_tolerance))
        .max(minimum + options.noise_tolerance * mean);
    let private = setting
        .epsilon
        .map_or(1.0, |epsilon| response_contraction(epsilon, setting.cells));
    (private * (truth + estimate) / (kept * smallest)).min(1.0)
}

/// What certificates of random designs with the default number of groups reach for more than 64 symbols;
/// `None` if designs of this size are not certified.
///
/// A fit to certificates of designs of 65 to 512 symbols with 2 to 100 cells, below all of them: by about 8 %
/// for 2 cells and up to 65 % for nearly as many cells as symbols. [`drawn_with`] verifies it for the
/// design that is used.
///
/// [`drawn_with`]: crate::design::DesignParameters::drawn_with
pub(super) fn typical_kept(setting: &HashedSetting) -> Option<f64> {
    let (k, l) = (setting.symbols as f64, setting.cells as f64);
    let pass = setting
        .symbols
        .checked_mul(setting.symbols)?
        .checked_mul(setting.groups)?;
    if setting.cells < 2 || pass > MAX_PASS {
        return None;
    }
    let factor = if setting.cells == 2 {
        2.2
    } else {
        1.35 + 0.35 * l.sqrt()
    };
    Some(l / (k * factor))
}
